"""Curves of an evaluation: truth and all forecasts in the column of each case, in the units of the axes."""

import numpy as np

from mld_closure.viz.curves import draw_curves


def test_every_case_shows_truth_and_forecasts(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn = []
    original = Axes.plot

    def spy(self, x, y, **kwargs):
        drawn.append((kwargs["label"], list(x), list(y)))
        return original(self, x, y, **kwargs)

    monkeypatch.setattr(Axes, "plot", spy)
    truth = {"area": [[0.0, 1e-12], [0.0, 2e-12]], "burned": [[0.0, 0.1], [0.0, 0.2]]}
    head = {"area": [[0.0, 3e-12], [0.0, 4e-12]]}
    path = draw_curves([0.0, 1e-9], ["slow", "fast"], truth, {"head": head}, tmp_path / "c.png")
    assert path.read_bytes()[1:4] == b"PNG"
    wanted = [("truth", 1.0), ("head", 3.0), ("truth", 2.0), ("head", 4.0), ("truth", 0.1), ("truth", 0.2)]
    assert [label for label, *_ in drawn] == [label for label, _ in wanted]
    np.testing.assert_allclose([y[-1] for *_, y in drawn], [value for _, value in wanted])
    assert all(np.allclose(x, [0.0, 1.0]) for _, x, _ in drawn)
