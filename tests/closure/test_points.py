"""Points of patches: whole burn curves, loads by entropy, and clocks that run by the frame's own pressure."""

import numpy as np
import pytest

import mld_closure as mld
from mld_closure.dns.eos import Material, entropy
from mld_closure.dns.exact import porous_shock
from mld_closure.errors import ClosureError
from mld_closure.models.curve_net import CurveNet
from mld_closure.surrogate.curves import CurveEngine

STEP = 16e-9
SHAPE = (16, 40)  # a halo of 8 columns and 4 parts of 8


@pytest.fixture(scope="module")
def bundle():
    return mld.testing.random_curves()


@pytest.fixture(scope="module")
def patches():
    rng = np.random.default_rng(3)
    solid = np.ones((3, *SHAPE), np.float32)
    for patch in solid:
        for _ in range(6):
            y, x = rng.integers(0, SHAPE[0] - 3), rng.integers(0, SHAPE[1] - 3)
            patch[y : y + 3, x : x + 4] = 0.0
    return solid


def opened(bundle, **options):
    engine = {"patch_shape": SHAPE, **options.pop("engine", {})}
    return mld.open(bundle, device="cpu", threads=1, engine=engine, **options)


def shock(up, patch):
    """Pressure (Pa) behind the porous shock of a piston speed, and entropy (J/kg) of the solid."""
    rho, p, e, _ = porous_shock(up, Material(), float(patch.mean()))
    return p, float(entropy(np.array(rho), np.array(e), Material()))


def run(closure, pressure, entropies, dt=4e-9, steps=30, first=0):
    """Responses of steps under constant pressures and entropies."""
    out = []
    for k in range(first, first + steps):
        closure.begin_step(k * dt, dt)
        out.append(closure.advance(pressure=pressure, entropy=entropies).burned_fraction.copy())
        closure.commit()
    return np.array(out)


def expected(bundle, patch, part, up, tau):
    net = CurveNet.from_extra(bundle.extras["curves"])
    import torch

    curves = net(torch.from_numpy(patch[None]), torch.tensor([up], dtype=torch.float32))
    return np.interp(tau, net.config.times, curves["burned_share"][0, part].numpy().astype(float))


def test_a_point_burns_along_the_curve_of_its_part_at_its_own_load(bundle, patches):
    with opened(bundle, load={"history_exponent": 0.0}) as closure:
        parts, which, loads = [0, 1, 3, 2], [0, 0, 0, 1], [800.0, 1100.0, 800.0, 1300.0]
        closure.register(range(4), patches=patches[which], parts=parts)
        p, A = np.array([shock(up, patches[k]) for up, k in zip(loads, which, strict=True)]).T
        got = run(closure, p, A)
        p0 = closure.facts["p_arrival"]
    assert p0 == 2.5e9
    since = (np.arange(30) + 1 - p0 / p[:, None]) * 4e-9  # the pressure rises linearly in the first step
    for k in range(4):
        want = expected(bundle, patches[which[k]], parts[k], loads[k], since[k])
        late = since[k] > 3 * STEP / 2  # when the load is known
        assert got[late, k] == pytest.approx(want[late], abs=2e-3)
        assert want[-1] > 0.02


def test_the_clock_runs_by_the_pressure_of_the_points_own_frame(bundle, patches):
    net = CurveNet.from_extra(bundle.extras["curves"])
    import torch

    def frame(up, tau):
        curves = net(torch.from_numpy(patches[:1]), torch.tensor([up], dtype=torch.float32))
        return np.interp(tau, net.config.times, curves["mean_pressure"][0, 1].numpy().astype(float))

    p, A = shock(900.0, patches[0])
    taus = {}
    for factor in (1.0, 2.0, 100.0):
        with opened(bundle) as closure:
            closure.register([5], patches=patches[:1], parts=[1])
            tau = []
            for k in range(40):
                now = closure.state
                pressure = p
                if now.up[0] > 0:
                    pressure = factor * frame(now.up[0], now.tau[0])
                closure.begin_step(k * 1e-9, 1e-9)
                closure.advance(pressure=[pressure], entropy=[A])
                closure.commit()
                tau.append(closure.state.tau[0])
        taus[factor] = np.diff(tau)[15:]
    assert taus[1.0] == pytest.approx(np.full(24, 1e-9), rel=5e-3)
    assert taus[2.0] == pytest.approx(np.full(24, 2.0**1.5 * 1e-9), rel=5e-3)
    assert taus[100.0] == pytest.approx(np.full(24, 8e-9), rel=5e-3)  # the ratio is at most 4


def test_the_points_of_a_patch_share_what_the_network_saw(bundle, patches, monkeypatch):
    seen = []
    see = CurveNet.features

    def watched(net, solid):
        seen.append(len(solid))
        return see(net, solid)

    monkeypatch.setattr(CurveNet, "features", watched)
    with opened(bundle) as closure:
        closure.register(range(8), patches=patches[[0] * 4 + [1] * 4], parts=[0, 1, 2, 3] * 2)
        p, A = np.array([shock(900.0, patches[k]) for k in [0] * 4 + [1] * 4]).T
        asleep = np.arange(8) % 4 > 1
        run(closure, np.where(asleep, 0.0, p), A, steps=6)
        run(closure, p, A, steps=6, first=6)  # others start later
        assert closure.status["ACTIVE"] == 8
    assert seen == [2]


def test_the_whole_patch_is_the_mean_of_its_parts(bundle, patches):
    with opened(bundle, load={"history_exponent": 0.0}) as closure:
        closure.register(range(5), patches=patches[[0] * 5], parts=[0, 1, 2, 3, -1])
        p, A = shock(1000.0, patches[0])
        got = run(closure, np.full(5, p), np.full(5, A))
        read = closure.read()
    assert got[-1, 4] == pytest.approx(got[-1, :4].mean(), abs=1e-6)
    assert read.hotspot_area_fraction[4] == pytest.approx(read.hotspot_area_fraction[:4].mean(), abs=1e-6)
    assert np.isnan(read.mean_temperature).all()  # which curves do not know


def test_a_restart_goes_on_with_the_same_bits(bundle, patches, tmp_path):
    p, A = np.array([shock(up, patches[0]) for up in (700.0, 900.0, 1200.0)]).T
    results = []
    for stop in (False, True):
        closure = opened(bundle)
        closure.register([3, 1, 2], patches=patches[[0] * 3], parts=[0, 2, -1])
        run(closure, p, A, steps=9)
        if stop:
            closure.save(tmp_path / "restart")
            closure.close()
            closure = opened(bundle)
            closure.register([3, 1, 2], patches=patches[[0] * 3], parts=[0, 2, -1])
            closure.restore(tmp_path / "restart")
        results.append(run(closure, p * 0.8, A, steps=12, first=9))
        closure.close()
    assert results[0][-1].min() > 0
    assert (results[0] == results[1]).all()


def test_in_reproducible_mode_a_point_keeps_its_bits_in_any_company(bundle, patches):
    p, A = np.array([shock(800.0 + 50 * k, patches[k % 3]) for k in range(6)]).T
    results = {}
    for mine in (range(6), (4,), (1, 4)):
        mine = list(mine)
        with opened(bundle, engine={"reproducible": True, "micro_batch": 4}) as closure:
            closure.register(mine, patches=patches[[k % 3 for k in mine]], parts=[k % 4 for k in mine])
            results[len(mine)] = run(closure, p[mine], A[mine])[:, mine.index(4)]
    assert results[6][-1] > 0
    assert (results[6] == results[1]).all()
    assert (results[6] == results[2]).all()


def test_the_load_does_not_fall_with_the_pressure_behind_the_shock(bundle, patches):
    with opened(bundle) as closure:
        closure.register([0], patches=patches[:1], parts=[0])
        p, A = shock(1000.0, patches[0])
        run(closure, [p], [A], steps=6)
        run(closure, [0.5 * p], [A], steps=6, first=6)
        assert closure.state.up[0] == pytest.approx(1000.0, rel=5e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": [4]}, "part 4; the model knows parts 0 to 3, and -1 for the whole patch"),
        ({"parts": [-2]}, "part -2"),
        ({"parts": [0, 1]}, "one for each of 1 ids"),
        ({"parts": [0.5]}, "whole numbers"),
    ],
)
def test_parts_that_are_none_are_refused(bundle, patches, change, message):
    with opened(bundle) as closure:
        with pytest.raises(ClosureError, match=message):
            closure.register([7], patches=patches[:1], **change)
        assert len(closure.ids) == 0


def test_a_patch_without_room_for_halo_and_parts_is_refused(bundle):
    with pytest.raises(ClosureError, match="a halo of 24 and 16 parts take more"):
        mld.open(mld.testing.random_curves(halo=24, parts=16), device="cpu", engine={"patch_shape": (16, 32)})


@pytest.mark.parametrize(
    ("bad", "named"), [(np.nan, "not finite"), (-1.0, "negative"), (np.inf, "not finite")]
)
def test_an_impossible_entropy_names_the_cell(bundle, patches, bad, named):
    with opened(bundle) as closure:
        closure.register([7, 8], patches=patches[:2], parts=[0, 0])
        closure.begin_step(0.0, 1e-9)
        with pytest.raises(ClosureError, match=f"entropy of cell 8 .*{named}"):
            closure.advance(pressure=[1e9, 1e9], entropy=[1.0, bad])
        closure.rollback()


def test_a_load_by_entropy_needs_entropies_and_a_bundle_that_knows_them(bundle, patches):
    with opened(bundle, load="entropy") as closure:
        closure.register([7], patches=patches[:1], parts=[0])
        closure.begin_step(0.0, 1e-9)
        with pytest.raises(
            ClosureError, match="load = 'entropy' needs the entropy of the cells; pass entropy="
        ):
            closure.advance(pressure=[1e9])
        closure.rollback()
    with mld.open(mld.testing.random_networks(base=2), device="cpu") as closure:
        closure.register([7], patches=np.ones((1, 32, 96), np.float32))
        closure.begin_step(0.0, 1e-9)
        with pytest.raises(ClosureError, match="this bundle cannot tell a load by the entropy"):
            closure.advance(pressure=[1e9], entropy=[1.0])
        closure.rollback()


def test_a_failing_call_keeps_its_entropies_for_the_replay(bundle, patches, tmp_path):
    with opened(bundle, failures=tmp_path / "failed") as closure:
        closure.register([7, 8], patches=patches[:2], parts=[0, 3])
        p, A = shock(900.0, patches[0])
        run(closure, [p, p], [A, A], steps=4)
        closure.begin_step(16e-9, 4e-9)
        with pytest.raises(ClosureError, match="pressure of cell 8 is not finite"):
            closure.advance(pressure=[p, np.nan], entropy=[A, A])
        closure.rollback()
    (folder,) = (tmp_path / "failed").iterdir()
    with pytest.raises(ClosureError, match="pressure of cell 8 is not finite"):
        mld.replay(folder, bundle, device="cpu", threads=1)


def test_calls_handed_in_one_by_one_bring_their_entropies(bundle, patches):
    p, A = shock(900.0, patches[0])
    both = []
    for apart in (False, True):
        with opened(bundle, engine={"reproducible": True}) as closure:
            closure.register([7, 8], patches=patches[:2], parts=[0, 3])
            for k in range(8):
                closure.begin_step(k * 4e-9, 4e-9)
                if apart:
                    tickets = [closure.submit([i], pressure=[p], entropy=[A]) for i in (7, 8)]
                    closure.wait()
                    got = [t.response.burned_fraction[0] for t in tickets]
                else:
                    got = closure.advance(pressure=[p, p], entropy=[A, A]).burned_fraction.tolist()
                closure.commit()
        both.append(got)
    assert both[0][0] > 0
    assert both[0] == both[1]


def test_curves_serve_alone_and_are_asked_for_by_name(bundle):
    with opened(bundle) as closure:
        assert closure.options.readout.kind == "curves"
        assert closure.facts["points"] == 1
    with pytest.raises(mld.errors.BundleError, match="holds burn curves and no meso model"):
        opened(bundle, readout="head")
    with pytest.raises(mld.errors.BundleError, match="this bundle holds no burn curves"):
        mld.open(mld.testing.random_networks(base=2), device="cpu", readout="curves")


def test_a_bundle_of_curves_survives_on_disk(bundle, tmp_path):
    bundle.save(tmp_path / "curves")
    back = mld.Bundle.load(tmp_path / "curves")
    assert back.content_hash() == bundle.content_hash()
    assert "burn curves" in repr(back)
    with pytest.raises(mld.errors.BundleError, match="no meso model"):
        back.rollout(np.ones((3, 32, 32)), 1)


def test_features_are_forgotten_when_there_are_too_many(bundle, monkeypatch):
    from mld_closure.device import choose
    from mld_closure.surrogate import curves

    monkeypatch.setattr(curves, "REMEMBERED", 2)
    engine = CurveEngine(CurveNet.from_extra(bundle.extras["curves"]), choose("cpu", "fp32", 1))
    rng = np.random.default_rng(0)
    many = (rng.random((5, *SHAPE)) > 0.1).astype(np.float32)
    parts, up = np.zeros(5, np.int64), np.full(5, 900.0)
    first = engine.curves(many, parts, up)
    assert len(engine._features) == 2
    assert engine.curves(many, parts, up) == pytest.approx(first, abs=1e-6, nan_ok=True)
