"""Uncertainty: what set-aside cases of about this load and time showed, holding what it promises."""

import numpy as np
import pytest

from mld_closure.closure.policies import Status
from mld_closure.errors import BundleError
from mld_closure.surrogate.known_errors import NORMAL, KnownErrors

RANGE = (500.0, 1400.0)
TIMES = np.linspace(0.2e-9, 10e-9, 30)


def size(load, time):
    """True standard deviation of the errors: grows with load and time."""
    return 1e6 * (1 + 3 * (load - 500) / 900)[:, None] * (0.3 + time / 5e-9)


def cases(n, seed):
    draw = np.random.default_rng(seed)
    load = np.sort(draw.uniform(*RANGE, n))
    noise = draw.standard_normal((n, len(TIMES)))
    for k in range(1, len(TIMES)):  # errors of one case hang together
        noise[:, k] = 0.6 * noise[:, k - 1] + 0.8 * noise[:, k]
    return load, size(load, TIMES) * noise


@pytest.mark.parametrize("n", [8, 12, 30])
def test_intervals_hold_on_new_cases_what_they_promise(n):
    held = []
    for seed in range(20):
        loads, wrong = cases(n, seed)
        known = KnownErrors.learn(loads, TIMES, wrong, RANGE)
        load, errors = cases(50, 1000 + seed)
        sigma = np.array([known.at(np.full(len(TIMES), up), TIMES) for up in load])
        held.append(np.mean(np.abs(errors) <= NORMAL * sigma))
    assert 0.85 <= np.mean(held) <= 0.95


def test_it_differs_by_load_and_time_as_the_errors_do():
    known = KnownErrors.learn(cases(30, 1)[0], TIMES, cases(30, 1)[1], RANGE)
    weak, strong = known.at(np.array([600.0, 1300.0]), np.full(2, 5e-9))
    assert strong > 1.6 * weak
    early, late = known.at(np.full(2, 900.0), np.array([0.5e-9, 9.5e-9]))
    assert late > 2 * early


def test_it_grows_beyond_the_loads_of_training():
    known = KnownErrors.learn(cases(8, 1)[0], TIMES, cases(8, 1)[1], RANGE)
    np.testing.assert_allclose(known.beyond(np.array([500.0, 900.0, 1400.0, 1850.0, 50.0])), [1, 1, 1, 2, 2])


def test_a_closure_returns_it_by_load_and_frame(kit):
    bundle = kit.bundle(evolve_logvar=False)
    step = bundle.meso_step
    table = {"loads": [500.0, 1400.0], "times": [0.5 * step, 2.5 * step], "cases": 8,
             "burn_rate": [[1e6, 3e6], [5e6, 9e6]]}  # fmt: skip
    bundle.errors["meso"] = table
    known = KnownErrors.from_table(bundle.errors, "meso", bundle.load_range)
    closure = kit.make(n=2, given=bundle, history_exponent=0.0)
    p = kit.shock_pressure(np.array([500.0, 1400.0]))
    rows = []
    for t in step * np.arange(8):
        out = kit.run(closure, [t, t + step], lambda _: p)[-1]
        cells = closure.state
        active = (out.status & Status.ACTIVE) != 0  # a cell that seeks its load burns nothing yet
        wanted = known.at(cells.up, np.maximum(cells.frame - 0.5, 0.0) * step)
        np.testing.assert_allclose(out.uncertainty, np.where(active, wanted, 0.0))
        if active.all():
            rows.append(out.uncertainty)
    assert len(rows) > 3
    assert (np.diff(rows, axis=0) >= 0).all()
    assert rows[0][1] > rows[0][0] > 0
    assert rows[-1].tolist() == pytest.approx([3e6, 9e6], rel=0.02)


def test_without_cases_it_is_what_training_wrote_and_nan_where_it_wrote_nothing():
    one = KnownErrors.single(2e6, RANGE)
    assert one.at(np.array([600.0, 1300.0]), np.zeros(2)).tolist() == [2e6, 2e6]
    assert np.isnan(KnownErrors.single(None, RANGE).at(np.array([600.0]), np.zeros(1))).all()


@pytest.mark.parametrize(
    "entry",
    [
        7,
        {"loads": [1.0]},
        {"loads": [2.0, 1.0], "times": [0.0], "burn_rate": [[1.0], [1.0]], "cases": 3},
        {"loads": [1.0], "times": [0.0], "burn_rate": [[-1.0]], "cases": 3},
        {"loads": [1.0], "times": [0.0], "burn_rate": [[1.0, 2.0]], "cases": 3},
        {"loads": [], "times": [], "burn_rate": [], "cases": 3},
    ],
)
def test_tables_that_are_none_are_refused(kit, entry):
    bundle = kit.bundle(evolve_logvar=False)
    bundle.errors = {"meso": entry}
    with pytest.raises(BundleError, match="errors cannot be used"):
        kit.make(given=bundle)


def test_too_few_cases_teach_nothing():
    with pytest.raises(ValueError, match="at least 3"):
        KnownErrors.learn(np.array([600.0, 700.0]), TIMES, np.zeros((2, len(TIMES))), RANGE)
