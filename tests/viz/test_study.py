"""Each seed is a point, the mean a line, and a baseline without training data a horizontal line."""

import numpy as np
import pytest

from mld_closure.viz.study import draw_study, means_of

POINTS = [(2, 0.5), (4, 0.2), (2, 0.3), (4, float("nan"))]


def test_means_are_over_seeds_and_in_order():
    counts, means = means_of([(8, 1.0), (2, 0.5), (2, 0.3)])
    assert counts == [2, 8]
    assert means == pytest.approx([0.4, 1.0])


def test_points_line_and_level(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    lines, levels = [], []
    plot, level = Axes.plot, Axes.axhline

    def spy_plot(self, x, y, *args, **kwargs):
        lines.append((self.get_title(), list(x), np.round(y, 6).tolist()))
        return plot(self, x, y, *args, **kwargs)

    def spy_level(self, y, **kwargs):
        levels.append((y, kwargs["label"]))
        return level(self, y, **kwargs)

    monkeypatch.setattr(Axes, "plot", spy_plot)
    monkeypatch.setattr(Axes, "axhline", spy_level)
    methods = {"a": POINTS, "nothing changes": [(0, 0.9)]}
    path = draw_study({"area": methods}, tmp_path / "study.png", "cases")
    assert path.read_bytes()[1:4] == b"PNG"
    assert [(x, y) for _, x, y in lines] == [([2, 4], [0.4, 0.2]), ([2, 4, 2], [0.5, 0.2, 0.3])]
    assert levels == [(0.9, "nothing changes")]


def test_a_point_far_off_the_scale_is_an_arrow_at_the_top(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn, plot = [], Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda self, *a, **k: (drawn.append(a), plot(self, *a, **k))[1])
    draw_study(
        {"area": {"a": [(2, 1.0), (4, 1.2)], "b": [(2, 0.8), (4, 900.0)]}}, tmp_path / "s.png", "cases"
    )
    top = 3.0 * 1.1  # three times the median
    assert [(list(x), [round(v, 9) for v in y]) for x, y, m in (a for a in drawn if "^" in a)] == [
        ([4], [round(0.98 * top, 9)])
    ]


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no finite error"):
        draw_study({"area": {"a": [(2, float("nan"))]}}, tmp_path / "study.png", "cases")
