"""The closure with real (random) networks: against the model itself, and the rules of the step protocol."""

import itertools

import numpy as np
import pytest
import torch

import mld_closure as mld
from mld_closure import fields as field_table
from mld_closure.closure.policies import Status
from mld_closure.closure.response import ARRAYS
from mld_closure.errors import ClosureError
from mld_closure.models.readout_head import EXTRA, ReadoutHead
from mld_closure.patches.specimen import Specimen

PEAKS = np.array([5e9, 6e9, 7e9, 8e9, 9e9])
TIMES = np.linspace(0, 4e-9, 17)


def shock(kit, peaks=PEAKS, starts=None):
    starts = np.linspace(0.5e-9, 2e-9, len(peaks)) if starts is None else starts
    return lambda t: kit.ramp(t, peaks, starts)


def same(a, b):
    """Whether two responses agree bit for bit."""
    return all(
        np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in ("ids", "dt_max", *ARRAYS)
    )


def test_readings_are_the_models_own_at_the_clocks_of_the_cells(kit):
    """Encode, advance, head and interpolation written out once more, plainly, for each cell alone."""
    bundle = kit.bundle(**kit.PAPER)
    closure = kit.make(given=bundle, micro_batch=1)
    out = kit.run(closure, TIMES, shock(kit))[-1]
    assert (out.status & Status.ACTIVE).all()
    head, table, mu = ReadoutHead.from_extra(bundle.extras[EXTRA]), kit.table(), kit.patches(5)
    for i, record in enumerate(closure.state.pack()):
        frame = table.frame0(mu[i : i + 1], record["up"][None], bundle.config.fields)
        scaled = [field_table.get(n).scale(frame[:, k]) for k, n in enumerate(bundle.config.fields)]
        with torch.inference_mode():
            z = bundle.meso.encode(torch.from_numpy(np.stack(scaled, axis=1)))
            frames = [head(z.mean)]
            for _ in range(int(record["frame"])):
                z = bundle.meso.advance(z)
                frames.append(head(z.mean))
        curve = torch.cat(frames).numpy().astype(float)
        curve[:, kit.BURNED] = np.maximum.accumulate(curve[:, kit.BURNED])
        at = np.arange(len(curve)) * kit.STEP
        for name, k in (("burned_fraction", kit.BURNED), ("hotspot_area_fraction", kit.AREA)):
            wanted = np.interp(record["tau"], at, curve[:, k])
            assert getattr(out, name)[i] == pytest.approx(wanted, rel=1e-5), (i, name)


def test_decode_readout_measures_the_decoded_fields(kit):
    bundle = kit.bundle(**kit.PAPER)
    closure = kit.make(n=1, given=bundle, readout="decode", threshold=500.0)
    kit.run(closure, TIMES, shock(kit, PEAKS[:1]))
    (record,) = closure.state.pack()
    frame = kit.table().frame0(kit.patches(1), record["up"][None], bundle.config.fields)
    movie = bundle.rollout(frame[0], int(record["frame"]))
    for side, fields in (("right", movie[-1]), ("left", movie[-2])):
        hot = fields[0] > 500.0
        assert record[side][kit.AREA] == pytest.approx(hot.mean(), abs=2 / hot.size)
        assert record[side][kit.HOT] == pytest.approx(fields[0][hot].mean() if hot.any() else 0.0, rel=1e-3)
        assert record[side][3] == pytest.approx(fields[0].mean(), rel=1e-5)
        assert record[side][4] == pytest.approx(fields[1].mean(), rel=1e-4)
    assert record["right"][kit.BURNED] >= record["right"][kit.AREA]  # the proxy, made monotone


def test_fields_not_decoded_are_unknown(kit):
    closure = kit.make(n=1, readout="decode", fields=("temperature",))
    out = kit.run(closure, TIMES, shock(kit, PEAKS[:1]))[-1]
    assert np.isnan(out.mean_pressure).all()
    assert np.isnan(out.porosity).all()
    assert np.isfinite(out.mean_temperature).all()
    assert out.status[0] & (Status.NOT_FINITE | Status.REJECTED) == 0


def test_rollback_restores_the_committed_state(kit):
    closure, undisturbed = kit.make(), kit.make()
    for c in (closure, undisturbed):
        kit.run(c, TIMES[:9], shock(kit))
    before = kit.state(closure)
    closure.begin_step(TIMES[8], 3e-9)  # a step far too long, tried and rejected twice
    closure.advance(pressure=PEAKS * 1.5)
    closure.rollback()
    assert kit.state(closure) == before
    closure.begin_step(TIMES[8], 1e-9)
    closure.rollback()
    got, wanted = (kit.run(c, TIMES[8:], shock(kit)) for c in (closure, undisturbed))
    assert all(same(a, b) for a, b in zip(got, wanted, strict=True))
    assert kit.state(closure) == kit.state(undisturbed)


def test_repeated_advance_gives_the_same_bits_and_the_last_counts(kit):
    closure, direct = kit.make(), kit.make()
    for c in (closure, direct):
        kit.run(c, TIMES[:9], shock(kit))
    before = kit.state(closure)
    closure.begin_step(TIMES[8], 0.9e-9)
    first = closure.advance(pressure=PEAKS)
    closure.advance(pressure=PEAKS * 0.3)
    assert same(closure.advance(pressure=PEAKS), first)
    assert kit.state(closure) == before
    last = closure.advance(pressure=PEAKS * 0.7)
    closure.commit()
    direct.begin_step(TIMES[8], 0.9e-9)
    wanted = direct.advance(pressure=PEAKS * 0.7)
    direct.commit()
    np.testing.assert_allclose(last.burned_fraction, wanted.burned_fraction, rtol=1e-6)
    np.testing.assert_array_equal(closure.state.tau, direct.state.tau)


def test_a_corrector_computes_no_frame_twice(kit):
    closure = kit.make()
    kit.run(closure, TIMES[:13], shock(kit))
    calls = []
    step = kit.engine(closure).step
    kit.engine(closure).step = lambda z, load: calls.append(len(load)) or step(z, load)
    closure.begin_step(TIMES[12], 0.5e-9)
    closure.advance(pressure=PEAKS)
    once = sum(calls)
    assert once > 0
    closure.advance(pressure=PEAKS * 1.0001)
    assert sum(calls) == once


def test_a_predictor_that_wakes_a_cell_binds_nothing(kit):
    closure, direct = kit.make(), kit.make()
    for c in (closure, direct):
        c.begin_step(0.0, 0.5e-9)
    closure.advance(pressure=PEAKS)
    for c in (closure, direct):
        c.advance(pressure=PEAKS * 0.1)
        c.commit()
    assert kit.state(closure) == kit.state(direct)
    assert closure.status["IDLE"] == 5


def test_calls_for_parts_equal_one_for_all(kit):
    whole, parts, batched = (kit.make(reproducible=True, micro_batch=2) for _ in range(3))
    ids = whole.ids
    for t0, t1 in itertools.pairwise(TIMES):
        p = shock(kit)(t1)
        for c in (whole, parts, batched):
            c.begin_step(t0, t1 - t0)
        one = whole.advance(pressure=p)
        split = [parts.advance(ids[k], pressure=p[k]) for k in ([4, 1], [0, 2, 3])]
        tickets = [batched.submit(ids[k], pressure=p[k]) for k in ([4, 1], [0, 2, 3])]
        assert tickets[0].response is None
        batched.wait()
        for k, a, b in zip(([4, 1], [0, 2, 3]), split, tickets, strict=True):
            assert np.array_equal(a.burned_fraction, one.burned_fraction[k])
            assert np.array_equal(b.response.burned_fraction, one.burned_fraction[k])
            assert np.array_equal(b.response.ids, ids[k])
        for c in (whole, parts, batched):
            c.commit()
    assert kit.state(whole) == kit.state(parts) == kit.state(batched)


def test_reproducible_cells_do_not_depend_on_their_neighbours(kit):
    """Alone, among five, or among nine: the same bits, in any place of a micro-batch."""
    mu, p = kit.patches(9), np.linspace(5e9, 9e9, 9)
    seen = {}
    for chosen in ([3], [7, 3, 0, 8, 1], [8, 7, 6, 5, 4, 3, 2, 1, 0]):
        closure = kit.make(n=0, reproducible=True, micro_batch=4, given=kit.bundle(evolve_logvar=True))
        closure.register(chosen, patches=mu[chosen])
        out = kit.run(closure, TIMES, shock(kit, p[chosen], np.full(len(chosen), 0.5e-9)))[-1]
        for k, i in enumerate(chosen):
            seen.setdefault(i, []).append((out.burned_fraction[k], out.burn_rate[k], out.uncertainty[k]))
    assert {len(v) for v in seen.values()} == {1, 2, 3}
    assert all(len(set(v)) == 1 for v in seen.values())


def test_a_cell_left_out_stands_still(kit):
    closure = kit.make()
    kit.run(closure, TIMES[:9], shock(kit))
    before = closure.state.pack()[1].copy()
    closure.begin_step(TIMES[8], 0.5e-9)
    closure.advance(closure.ids[[0, 2]], pressure=PEAKS[[0, 2]])
    closure.commit()
    assert closure.state.pack()[1].tobytes() == before.tobytes()
    assert closure.state.pack()[0]["tau"] > 0


def test_specimen_windows_serve_as_patches(kit):
    image = (np.random.default_rng(0).random((96, 128)) > 0.1).astype(np.float32)
    pixels = np.array([[0, 0], [64, 32], [10, 60], [96, 64], [33, 7]])
    cut = np.stack([image[y : y + 32, x : x + 32] for x, y in pixels])
    direct, windows = kit.make(n=0), kit.make(n=0, patch_shape=(32, 32))
    direct.register(np.arange(5), patches=cut)
    windows.register(np.arange(5), specimen=Specimen.from_array(image, kit.PIXEL), offsets=pixels * kit.PIXEL)
    a, b = (kit.run(c, TIMES, shock(kit)) for c in (direct, windows))
    assert all(same(x, y) for x, y in zip(a, b, strict=True))


def test_cells_may_come_and_go(kit):
    closure = kit.make(reproducible=True, micro_batch=2)
    kit.run(closure, TIMES[:9], shock(kit))
    used = kit.pool(closure).used
    closure.unregister([101, 103])
    assert kit.pool(closure).used < used
    closure.register([7], patches=kit.patches(1))
    assert list(closure.ids) == [100, 102, 104, 7]
    kept = [0, 2, 4]
    out = kit.run(closure, TIMES[8:], lambda t: np.append(shock(kit)(t)[kept], 1e8))[-1]
    whole = kit.make(reproducible=True, micro_batch=2)
    wanted = kit.run(whole, TIMES, shock(kit))[-1]
    np.testing.assert_array_equal(out.burned_fraction[:3], wanted.burned_fraction[kept])
    assert out.status[3] == Status.IDLE


def test_micro_scale_serves_in_micro_steps(kit):
    closure = kit.make(given=kit.bundle(meso_micro_ratio=2), scale="micro")
    assert closure._stepper.clock.step == kit.STEP / 2
    assert closure._stepper.clock.horizon == 2 * kit.HORIZON
    out = kit.run(closure, TIMES, shock(kit))[-1]
    assert (out.status & Status.ACTIVE).all()
    assert kit.engine(closure).model is closure.bundle.micro


def test_loads_by_the_incoming_wave(kit):
    closure = kit.make(load="incoming wave")
    u = np.array([600.0, 800.0, 900.0, 1000.0, 1100.0])
    p = 0.8 * kit.shock_pressure(u)
    for i in range(3):
        closure.begin_step(i * 1e-9, 1e-9)
        closure.advance(pressure=p, velocity=u)
        closure.commit()
    got = closure.state.up
    speed = kit.us(got)  # p + rho0 us u = 2 rho0 us up'
    np.testing.assert_allclose(p + kit.RHO0 * speed * u, 2 * kit.RHO0 * speed * got, rtol=1e-5)
    closure.begin_step(3e-9, 1e-9)
    with pytest.raises(ClosureError, match="needs the velocity"):
        closure.advance(pressure=p)


def test_load_conditioning_reaches_the_networks(kit):
    bundle = kit.bundle(load_conditioning=True)
    closure = kit.make(given=bundle, n=2)
    seen = []
    step = kit.engine(closure).step
    kit.engine(closure).step = lambda z, load: seen.append(load.clone()) or step(z, load)
    kit.run(closure, TIMES, shock(kit, PEAKS[:2]))
    wanted = bundle.config.scale_load(closure.state.up)
    np.testing.assert_allclose(sorted({float(v) for s in seen for v in s}), np.sort(wanted), rtol=1e-6)


def test_closure_takes_what_speaks_dlpack(kit):
    a, b = kit.make(), kit.make()
    for c, p in ((a, torch.tensor(PEAKS)), (b, PEAKS)):
        c.begin_step(0.0, 1e-9)
        c.advance(pressure=p)
        c.commit()
    assert kit.state(a) == kit.state(b)


def test_open_is_public_and_serves_one_process(kit, tmp_path):
    kit.bundle(**kit.PAPER).save(tmp_path / "b")
    options = {"device": "cpu", "threads": 1, "load_table": kit.table()}
    before = torch.get_num_threads()
    with mld.open(tmp_path / "b", **options, engine={"patch_shape": (32, 32)}) as closure:
        assert kit.pool(closure).bytes_per_cell == 2 * 4 * 12 * 16
    assert torch.get_num_threads() == before

    with pytest.raises(ValueError, match="did you mean 'micro_batch'"):
        mld.open(tmp_path / "b", **options, engine={"micro_bacth": 3})
    with pytest.raises(ValueError, match=r"'micro_batch' belongs to a group: engine=\{'micro_batch': 3\}"):
        mld.open(tmp_path / "b", **options, micro_batch=3)
    with pytest.raises(ValueError, match=r"unknown option 'horizn'; did you mean engine\.horizon"):
        mld.open(tmp_path / "b", **options, horizn=3)
    with pytest.raises(ValueError, match="kind must be one of"):
        mld.open(tmp_path / "b", readout="eyes", **options)
    with pytest.raises(ValueError, match="holds no load table"):
        mld.open(tmp_path / "b", device="cpu", threads=1)
    headless = kit.bundle(head=False)
    with pytest.raises(ValueError, match="no readout head; use readout='decode'"):
        mld.open(headless, **options)
    with pytest.raises(ValueError, match="pass fallback="):
        mld.open(kit.bundle(), **options, policy={"on_extrapolation": "fallback"})


@pytest.mark.parametrize("precision", ["bf16", "bf16-decode"])
def test_low_precision_is_near_and_said(kit, precision, caplog):
    with caplog.at_level("INFO", logger="mld_closure"):
        low = kit.make(precision=precision, readout="decode", given=kit.bundle(evolve_logvar=True))
    assert f"cpu, {precision}, 1 threads" in caplog.text
    high = kit.make(readout="decode", given=kit.bundle(evolve_logvar=True))
    a, b = (kit.run(c, TIMES, shock(kit))[-1] for c in (low, high))
    gap = np.abs(a.mean_temperature - b.mean_temperature)
    assert 0 < gap.max() < 100
