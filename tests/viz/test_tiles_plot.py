"""The plot of errors over overlaps shows every number it was given."""

import numpy as np

from mld_closure.viz.tiles import draw_overlap


def test_each_curve_holds_its_errors():
    errors = {"a simulation": [90.0, 60.0, 50.0], "the whole strip": [30.0, 3.0, 0.1]}
    (axes,) = draw_overlap([0, 32, 96], errors, "strip").axes
    assert [line.get_label() for line in axes.lines] == ["from a simulation", "from the whole strip"]
    for line, values in zip(axes.lines, errors.values(), strict=True):
        assert np.array_equal(line.get_xdata(), [0, 32, 96])
        assert np.array_equal(line.get_ydata(), values)
    assert axes.get_yscale() == "log"
