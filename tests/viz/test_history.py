"""The plot of losses has the curves of every stage and its validations; an empty history is an error."""

import pytest

from mld_closure.viz.history import draw_history


def test_every_stage_gets_a_panel_with_its_losses(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn = []
    original = Axes.semilogy

    def spy(self, steps, values, **kwargs):
        drawn.append((self.get_title(loc="left"), kwargs["label"], list(steps), list(values)))
        return original(self, steps, values, **kwargs)

    monkeypatch.setattr(Axes, "semilogy", spy)
    history = {
        "vae": [
            {"step": 2, "lr": 1.0, "kl": 0.5, "total": 2.0},
            {"step": 4, "lr": 0.5, "kl": 0.4, "total": 1.0},
        ],
        "meso": [{"step": 3, "hot": 0.1, "total": 0.2, "validation score": 0.7}],
        "waiting": [],
    }
    path = draw_history(history, tmp_path / "losses.png")
    assert path.read_bytes()[1:4] == b"PNG"
    assert drawn == [
        ("vae", "kl", [2, 4], [0.5, 0.4]),
        ("vae", "total", [2, 4], [2.0, 1.0]),
        ("meso", "hot", [3], [0.1]),
        ("meso", "total", [3], [0.2]),
    ]


def test_an_empty_history_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no entry"):
        draw_history({"vae": []}, tmp_path / "losses.png")
