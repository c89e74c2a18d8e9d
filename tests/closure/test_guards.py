"""Policies for loads outside the range, impossible results and uncertainty; the rules of a fallback."""

import numpy as np
import pytest

from mld_closure.closure.fallback.curve import CurveFallback
from mld_closure.closure.fallback.ignition_growth import IgnitionGrowth
from mld_closure.closure.fallback.request import FallbackRequest
from mld_closure.closure.policies import Status
from mld_closure.errors import ClosureError

RISING = np.float32(np.linspace(0, 0.6, 13)).astype(float)
TIMES = np.linspace(0, 4e-9, 17)


def shock(kit, *ups):
    peaks = kit.shock_pressure(np.array(ups))
    return lambda t: kit.ramp(t, peaks, 0.5e-9)


def slow(request):
    """A fallback that burns a tenth of the rest per nanosecond."""
    out = request.before.copy()
    out[:, 2] = 1 - (1 - out[:, 2]) * np.exp(-1e8 * (request.until - request.since))
    return out


def test_a_load_outside_is_clamped_and_flagged(kit):
    closure = kit.scripted(kit.curve(RISING), n=3, p_arrival=1e9)
    out = kit.run(closure, TIMES, shock(kit, 400.0, 900.0, 1600.0))[-1]
    np.testing.assert_allclose(closure.state.up, [500.0, 900.0, 1400.0], rtol=1e-6)
    outside = Status.ACTIVE | Status.EXTRAPOLATING
    assert out.status.tolist() == [outside | Status.LOAD_LOW, Status.ACTIVE, outside | Status.LOAD_HIGH]


def test_a_load_outside_as_an_error(kit):
    closure = kit.scripted(kit.curve(RISING), n=2, on_extrapolation="error")
    with pytest.raises(ClosureError, match=r"load of cell 101, 1600.0 m/s, lies outside"):
        kit.run(closure, TIMES, shock(kit, 900.0, 1600.0))
    closure.rollback()
    assert closure.status["LOADING"] == 2


def test_a_load_outside_goes_to_the_fallback(kit):
    seen = []

    def fallback(request):
        seen.append(request)
        assert request.patches().shape == (1, 32, 32)
        return slow(request)

    closure = kit.scripted(kit.curve(RISING), n=2, on_extrapolation="fallback", fallback=fallback)
    out = kit.run(closure, TIMES, shock(kit, 900.0, 1600.0))
    assert kit.pool(closure).used == 1
    assert out[-1].status[1] & Status.FALLBACK
    assert seen[0].ids.tolist() == [101]
    assert seen[0].up[0] == pytest.approx(1600.0, rel=1e-6)
    tau = closure.state.tau[1]
    delay = 8 * kit.PIXEL / kit.us(1600.0)
    assert seen[0].since[0] == pytest.approx(delay, rel=1e-9)  # the clock when the shock arrived
    assert out[-1].burned_fraction[1] == pytest.approx(1 - np.exp(-1e8 * (tau - delay)), rel=1e-12)
    added = sum(r.burn_rate[1] * 0.25e-9 for r in out)
    assert added == pytest.approx(out[-1].burned_fraction[1], rel=1e-12)


def bad_curve(kit, kind):
    frames = kit.curve(RISING)
    if kind == "nan":
        frames[6:, 2] = np.nan
    elif kind == "hot":
        frames[6:, 3] = 1e6
    else:
        frames[6:, 2] = 0.1
    return frames


REASON = {"nan": Status.NOT_FINITE, "hot": Status.OUT_OF_BOUNDS, "falls": Status.NOT_MONOTONE}


@pytest.mark.parametrize("kind", REASON)
def test_impossible_results_are_clamped(kit, kind):
    closure = kit.scripted(bad_curve(kit, kind))
    out = kit.run(closure, np.linspace(0, 6e-9, 25), shock(kit, 900.0))
    last = out[-1]
    burned = np.array([r.burned_fraction[0] for r in out])
    assert (np.diff(burned) >= 0).all()
    assert np.isfinite(
        [getattr(last, n)[0] for n in ("burned_fraction", "mean_temperature", "burn_rate")]
    ).all()
    assert last.status[0] & REASON[kind]
    if kind == "nan":  # frame 5 is the last that can be told: the rest burns at the mean specific rate
        assert last.status[0] == Status.BEYOND_HORIZON | Status.REJECTED | Status.NOT_FINITE
        rate = np.log((1 - RISING[0]) / (1 - RISING[5])) / (5 * kit.STEP)
        past = closure.state.tau[0] - 5 * kit.STEP
        assert burned[-1] == pytest.approx(1 - (1 - RISING[5]) * np.exp(-rate * past), rel=1e-9)
        assert kit.pool(closure).used == 0
    elif kind == "hot":
        assert last.mean_temperature[0] == 20000.0
    else:
        inside = [r.burned_fraction[0] for r in out if r.status[0] & Status.ACTIVE]
        assert inside[-1] == pytest.approx(RISING[5], rel=1e-6)


@pytest.mark.parametrize("kind", REASON)
def test_impossible_results_as_an_error(kit, kind):
    closure = kit.scripted(bad_curve(kit, kind), on_bad_result="error")
    with pytest.raises(ClosureError, match=f"result of the model for cell 100: {REASON[kind].name}; choose"):
        kit.run(closure, np.linspace(0, 6e-9, 25), shock(kit, 900.0))
    committed = kit.state(closure)
    closure.rollback()
    assert kit.state(closure) == committed
    assert closure.state.frame[0] == 5


@pytest.mark.parametrize("kind", REASON)
def test_impossible_results_hand_the_cell_to_the_fallback(kit, kind):
    closure = kit.scripted(bad_curve(kit, kind), on_bad_result="fallback", fallback=slow)
    out = kit.run(closure, np.linspace(0, 6e-9, 25), shock(kit, 900.0))
    burned = np.array([r.burned_fraction[0] for r in out])
    flags = Status.ACTIVE | Status.FALLBACK | Status.REJECTED | REASON[kind]
    assert out[-1].status[0] == flags
    first = next(i for i, r in enumerate(out) if r.status[0] == flags)
    left = 1 - burned[first - 1 :]
    np.testing.assert_allclose(left[1:] / left[:-1], np.exp(-1e8 * 0.25e-9), rtol=1e-9)


def test_a_nan_at_frame_0_leaves_the_cell_unburned_and_said(kit):
    frames = kit.curve(RISING)
    frames[:, 2] = np.nan
    closure = kit.scripted(frames)
    out = kit.run(closure, TIMES, shock(kit, 900.0))[-1]
    assert out.burned_fraction[0] == 0
    assert out.status[0] == Status.BEYOND_HORIZON | Status.REJECTED | Status.NOT_FINITE


def test_uncertainty_is_the_spread_of_rates_between_draws(kit):
    spread = 0.01 * np.std(np.arange(4), ddof=1) / kit.STEP
    closure = kit.scripted(kit.curve(RISING), uncertainty=0.01)
    out = kit.run(closure, TIMES, shock(kit, 900.0))[-1]
    assert out.uncertainty[0] == pytest.approx(spread, rel=1e-4)
    assert out.status[0] == Status.ACTIVE
    (slower,) = kit.run(closure, [4e-9, 4.1e-9], lambda t: 0.5 * kit.shock_pressure(900.0))
    assert slower.uncertainty[0] == pytest.approx(0.5 * spread, rel=1e-4)
    flagged = kit.scripted(kit.curve(RISING), uncertainty=0.01, max_uncertainty=0.9 * spread)
    assert kit.run(flagged, TIMES, shock(kit, 900.0))[-1].status[0] == Status.ACTIVE | Status.UNCERTAIN
    with pytest.raises(ClosureError, match="cell 100: UNCERTAIN"):
        kit.run(
            kit.scripted(
                kit.curve(RISING), uncertainty=0.01, max_uncertainty=0.9 * spread, on_uncertain="error"
            ),
            TIMES,
            shock(kit, 900.0),
        )


def test_unknown_uncertainty_is_nan_or_what_training_measured(kit):
    plain = kit.make(n=1)
    assert np.isnan(kit.run(plain, TIMES, shock(kit, 900.0))[-1].uncertainty).all()
    bundle = kit.bundle()
    extra = bundle.extras["readout_head"]
    bundle.extras["readout_head"] = extra._replace(config={**extra.config, "burn_rate_error": 3e6})
    measured = kit.make(n=1, given=bundle)
    out = kit.run(measured, TIMES, shock(kit, 900.0))[-1]
    assert out.uncertainty[0] == pytest.approx(3e6)
    drawn = kit.run(kit.make(n=1, given=kit.bundle(evolve_logvar=True)), TIMES, shock(kit, 900.0))[-1]
    assert np.isfinite(drawn.uncertainty).all()
    assert drawn.uncertainty[0] > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v * np.nan, "burned_fraction = nan for cell 100"),
        (lambda v: v - 0.1, "hotspot_area_fraction = .*repair the fallback"),
        (lambda v: np.full((1, 6), [0, 0, 2.0, 0, 0, 0]), "burned_fraction = 2.0"),
        (lambda v: v[:, :3], r"shape \(1, 3\), expected \(1, 6\)"),
    ],
)
def test_a_fallback_must_keep_the_bounds(kit, change, message):
    closure = kit.scripted(
        kit.curve(RISING), on_extrapolation="fallback", fallback=lambda r: change(r.before.copy())
    )
    with pytest.raises(ClosureError, match=message):
        kit.run(closure, TIMES, shock(kit, 1600.0))


def test_a_fallback_may_not_unburn(kit):
    def back(request):
        out = request.before.copy()
        out[:, 2] = 0.5 if request.before[0, 2] == 0 else 0.4
        return out

    closure = kit.scripted(kit.curve(RISING), on_extrapolation="fallback", fallback=back)
    with pytest.raises(ClosureError, match=r"burned_fraction = 0.4 for cell 100 \(before: 0.5\)"):
        kit.run(closure, TIMES, shock(kit, 1600.0))


def constants(**changes):
    base = {"I": 0.0, "a": 0.0, "b": 1.0, "x": 1.0, "G1": 0.0, "c": 1.0, "d": 0.0, "y": 1.0}
    return IgnitionGrowth(compression=lambda p: 1 + p / 20e9, **base | changes)


def request(**changes):
    base = {
        "ids": np.array([1]), "patches": lambda: np.ones((1, 32, 32)), "up": np.array([900.0]),
        "shock_pressure": np.array([8e9]), "pressure": np.array([8e9]), "since": np.array([0.0]),
        "until": np.array([2e-9]), "before": np.zeros((1, 6)), "dt": np.array([2e-9]),
    }  # fmt: skip
    return FallbackRequest(**base | changes)


def test_ignition_and_growth_has_its_exact_solutions():
    """dF/dt = k (1 - F) from ignition (k = I eta) and from growth (k = G1 p); logistic growth."""
    for law, k in ((constants(I=1e9), 1e9 * 0.4), (constants(G1=0.1), 0.1 * 8e9)):
        assert law(request())[0, 2] == pytest.approx(1 - np.exp(-k * 2e-9), rel=1e-6)
    before = np.zeros((1, 6))
    before[0, 2] = 0.01
    logistic = constants(G1=0.2, d=1.0)(request(before=before))[0, 2]
    grown = 0.01 * np.exp(0.2 * 8e9 * 2e-9)
    assert logistic == pytest.approx(grown / (0.99 + grown), rel=1e-5)
    assert constants(I=1e9, a=0.5)(request())[0, 2] == 0  # not compressed enough to ignite
    assert constants(I=1e12, ignited=0.3)(request())[0, 2] == pytest.approx(0.3, abs=0.02)
    late = constants(G2=0.1, e=1.0, g=0.0, completion_start=0.5)
    assert late(request())[0, 2] == 0
    before[0, 2] = 0.6
    assert late(request(before=before))[0, 2] == pytest.approx(1 - 0.4 * np.exp(-0.8e9 * 2e-9), rel=1e-6)


def test_ignition_and_growth_takes_the_pressure_into_account_once():
    """dF/dt = G1 p (1 - F) below and above P_s, where the cell's clock runs slower or faster than time."""
    for p in (2e9, 8e9, 13e9):
        asked = request(pressure=np.array([p]), until=np.array([2e-9 * p / 8e9]))
        exact = 1 - np.exp(-0.1 * p * 2e-9)
        assert constants(G1=0.1)(asked)[0, 2] == pytest.approx(exact, rel=1e-6)


def test_a_run_asks_for_real_time_beside_the_clock(kit):
    """A shock of 1600 m/s that halves its pressure: growth with p is exact in the real time since arrival."""
    asked = []
    law = constants(G1=0.02)

    def physics(r):
        asked.append(r)
        return law(r)

    closure = kit.scripted(kit.curve(RISING), on_extrapolation="fallback", fallback=physics)
    full = kit.shock_pressure(1600.0)
    times = np.linspace(0, 4e-9, 17)
    out = kit.run(closure, times, lambda t: full if t < 2e-9 else 0.5 * full)
    since, until, dt, p = (
        np.array([getattr(r, n)[0] for r in asked]) for n in ("since", "until", "dt", "pressure")
    )
    assert dt.sum() == pytest.approx(times[-1] - closure.state.arrival[0], rel=1e-12)
    later = slice(1, None)
    np.testing.assert_allclose(dt[later], times[1], rtol=1e-12)
    np.testing.assert_allclose((until - since)[later], dt[later] * p[later] / full, rtol=1e-9)
    assert (p == 0.5 * full).any()
    exact = 1 - np.exp(-0.02 * np.sum(p * dt))
    assert out[-1].burned_fraction[0] == pytest.approx(exact, rel=1e-6)


def test_ignition_and_growth_serves_in_a_run(kit):
    law = constants(I=2e8, G1=0.02, d=0.667)
    closure = kit.scripted(kit.curve(RISING), on_extrapolation="fallback", fallback=law)
    burned = [r.burned_fraction[0] for r in kit.run(closure, TIMES, shock(kit, 1600.0))]
    assert 0.1 < burned[-1] < 1
    assert (np.diff(burned) >= 0).all()


def test_a_simulation_of_the_cell_is_played_back(kit):
    calls = []

    def simulate(patch, up):
        calls.append((patch.copy(), up))
        values = np.zeros((3, 6))
        values[:, 2] = [0.0, 0.3, 0.5]
        values[:, 3] = [300.0, 500.0, 800.0]
        return np.array([0.0, 1e-9, 5e-9]), values

    closure = kit.scripted(kit.curve(RISING), on_extrapolation="fallback", fallback=CurveFallback(simulate))
    out = kit.run(closure, TIMES, shock(kit, 1600.0))[-1]
    tau = closure.state.tau[0]
    assert out.burned_fraction[0] == pytest.approx(np.interp(tau, [0, 1e-9, 5e-9], [0, 0.3, 0.5]), rel=1e-12)
    assert len(calls) == 1
    wanted = kit.patches(1)[0].copy()
    wanted[:, : kit.ENTRY] = 1.0  # as the model sees it
    np.testing.assert_array_equal(calls[0][0], wanted)
    assert calls[0][1] == pytest.approx(1600.0, rel=1e-6)
