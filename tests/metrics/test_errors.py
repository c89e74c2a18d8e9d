"""Errors of fields compared with values computed by hand and with a number of the reference."""

from pathlib import Path

import numpy as np
import pytest

from mld_closure.metrics.errors import FieldErrors, rmse

PARITY = Path(__file__).parents[1] / "data" / "parity_metrics.npz"


def test_rmse_reproduces_the_reference():
    with np.load(PARITY) as z:
        assert rmse(z["metric_T_pred"], z["metric_T_true"]) == pytest.approx(
            z["metric_field_rmse"], rel=1e-12
        )


def test_rmse_over_picked_entries_only():
    truth, prediction = np.zeros((2, 3)), np.array([[3.0, 4.0, 99.0], [7.0, 99.0, 99.0]])
    picked = prediction < 50
    assert rmse(prediction, truth, 1, where=picked) == pytest.approx([np.sqrt(12.5), 7.0])
    assert np.isnan(rmse(prediction, truth, 0, where=picked)[2])
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 2\)"):
        rmse(truth, truth[:, :2])


def test_errors_added_case_by_case_equal_those_of_all_cases_at_once():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(4, 5, 2, 6, 8)).astype(np.float32)
    prediction = truth + rng.normal(size=truth.shape).astype(np.float32)
    errors = FieldErrors(["temperature", "pressure"])
    for a, b in zip(prediction, truth, strict=True):
        errors.add(a, b)
    for i, name in enumerate(errors.names):
        assert errors.per_frame()[name] == pytest.approx(rmse(prediction[:, :, i], truth[:, :, i], (0, 2, 3)))
        assert errors.per_field()[name] == pytest.approx(float(rmse(prediction[:, :, i], truth[:, :, i])))


def test_wrong_shapes_are_refused():
    errors = FieldErrors(["temperature"])
    with pytest.raises(ValueError, match="1 fields"):
        errors.add(np.zeros((3, 2, 4, 4)), np.zeros((3, 2, 4, 4)))
    errors.add(np.zeros((3, 1, 4, 4)), np.zeros((3, 1, 4, 4)))
    with pytest.raises(ValueError, match="2 frames"):
        errors.add(np.zeros((2, 1, 4, 4)), np.zeros((2, 1, 4, 4)))
