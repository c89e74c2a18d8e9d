"""The capture file: valid for the reader of trajectories, and enough to simulate a captured cell."""

import numpy as np
import pytest

from mld_closure.closure.observe.capture import Capture
from mld_closure.closure.policies import Status
from mld_closure.data.trajectories import Trajectories
from mld_closure.data.validation import validate
from mld_closure.fields import MODEL_FIELDS

RISING = np.linspace(0, 0.6, 13)
TIMES = np.linspace(0, 4e-9, 17)


def captured(kit, path, **settings):
    closure = kit.scripted(kit.curve(RISING), n=4, p_arrival=1e9, capture=path, **settings)
    peaks = kit.shock_pressure(np.array([400.0, 900.0, 1000.0, 1600.0]))
    out = kit.run(closure, TIMES, lambda t: kit.ramp(t, peaks, 0.5e-9))
    return closure, out


def test_cells_that_needed_a_policy_are_written_once_each(kit, tmp_path):
    captured(kit, tmp_path / "c.h5")
    assert validate(tmp_path / "c.h5") == []
    with Trajectories(tmp_path / "c.h5") as data:
        assert data.n_cases == 2
        assert data.shape == (32, 32)
        assert data.pixel == kit.PIXEL
        assert set(data.fields) == set(MODEL_FIELDS)
        assert data.scalars["cell"].tolist() == [100, 103]
        np.testing.assert_allclose(data.scalars["piston_speed"], [400.0, 1600.0], rtol=1e-6)
        np.testing.assert_allclose(
            data.scalars["porosity"], 1 - kit.patches(4)[[0, 3]].mean((1, 2)), rtol=1e-6
        )
        wanted = kit.table().frame0(kit.patches(4)[[0, 3]], data.scalars["piston_speed"], MODEL_FIELDS)
        for case in range(2):
            np.testing.assert_allclose(data.read(case, MODEL_FIELDS)[0], wanted[case], rtol=1e-6)
        status = data.scalars["status"].astype(int)
        assert status[0] == Status.EXTRAPOLATING | Status.LOAD_LOW
        story = data.description(1)
        assert story["why"] == "EXTRAPOLATING, LOAD_HIGH"
        assert story["load_served"] == pytest.approx(1400.0)
        assert story["before"]["burned_fraction"] == 0
        assert story["after"]["burned_fraction"] == pytest.approx(data.scalars["burned_fraction"][1])


def test_a_rejected_step_captures_nothing(kit, tmp_path):
    path = tmp_path / "c.h5"
    closure = kit.scripted(kit.curve(RISING), p_arrival=1e9, capture=path, window=1.0)
    peak = kit.shock_pressure(1600.0)
    for end in (closure.commit, closure.rollback):
        closure.begin_step(closure.time or 0.0, 1e-9)
        out = closure.advance(pressure=[peak])
        end()
    assert out.status[0] & Status.EXTRAPOLATING
    assert not path.exists()
    kit.run(closure, [1e-9, 2e-9], lambda t: peak)
    with Trajectories(path) as data:
        assert data.n_cases == 1


def test_a_second_run_appends(kit, tmp_path):
    captured(kit, tmp_path / "c.h5")
    captured(kit, tmp_path / "c.h5")
    assert validate(tmp_path / "c.h5") == []
    with Trajectories(tmp_path / "c.h5") as data:
        assert data.cases.tolist() == [0, 1, 2, 3]


def test_files_that_do_not_fit_are_refused(kit, tmp_path):
    captured(kit, tmp_path / "c.h5")
    with pytest.raises(ValueError, match="holds patches of 32 x 32 pixels"):
        Capture(tmp_path / "c.h5", (64, 64), kit.PIXEL, {})
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(ValueError, match="not a readable trajectory file"):
        Capture(tmp_path / "text.h5", (32, 32), kit.PIXEL, {})
    with pytest.raises(ValueError, match="no such folder"):
        kit.make(n=0, capture=tmp_path / "nowhere" / "c.h5")


def test_a_file_that_cannot_be_written_does_not_stop_the_run(kit, tmp_path, caplog):
    (tmp_path / "c.h5").write_text("no HDF5")
    _, out = captured(kit, tmp_path / "c.h5")
    assert "given up" in caplog.text
    assert out[-1].burned_fraction.min() > 0


def test_the_shadow_sees_both_readouts_and_changes_nothing(kit):
    given = kit.bundle(evolve_logvar=True)
    shadowed, plain = kit.make(20, given, shadow={"readout": 0.5}), kit.make(20, given)
    peaks = np.linspace(5e9, 9e9, 20)
    a, b = (kit.run(c, TIMES, lambda t: kit.ramp(t, peaks, 0.5e-9)) for c in (shadowed, plain))
    np.testing.assert_array_equal(a[-1].burned_fraction, b[-1].burned_fraction)
    seen = shadowed.shadow_records("readout")
    assert 4 <= len(set(seen["id"])) <= 16
    decode = kit.make(20, given, readout="decode")
    kit.run(decode, TIMES, lambda t: kit.ramp(t, peaks, 0.5e-9))
    for row in seen[-3:]:
        record = decode.state.pack()[row["id"] - 100]
        if record["frame"] == row["frame"]:
            assert row["other"][3] == pytest.approx(record["right"][3], rel=1e-5)
    count = len(seen)
    shadowed.begin_step(4e-9, 1e-9)
    shadowed.advance(pressure=peaks)
    shadowed.rollback()
    assert len(shadowed.shadow_records("readout")) == count


def test_the_physics_shadow_sees_model_and_physics_and_changes_nothing(kit):
    def physics(request):
        out = request.before.copy()
        out[:, kit.BURNED] += (request.until - request.since) * 1e8  # a law that integrates its own course
        for cell, since in zip(request.ids, request.since, strict=True):
            starts.setdefault(int(cell), since)  # its clock at the arrival of the shock
        return out

    starts = {}
    options = {"shadow": {"fallback": 0.5}, "fallback": physics}
    shadowed, plain = kit.make(20, **options), kit.make(20)
    peaks = np.linspace(5e9, 9e9, 20)
    times = np.linspace(0, 3e-9, 10)
    a, b = (kit.run(c, times, lambda t: kit.ramp(t, peaks, 0.5e-9)) for c in (shadowed, plain))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one.burned_fraction, other.burned_fraction)
    seen = shadowed.shadow_records("fallback")
    sampled = set(seen["id"].tolist())
    assert 5 < len(sampled) < 15
    course = seen["tau"] - np.array([starts[cell] for cell in seen["id"]])
    np.testing.assert_allclose(seen["other"][:, kit.BURNED], 1e8 * course, rtol=1e-9)
    last = {row["id"]: row["served"][kit.BURNED] for row in seen}
    for cell, burned in last.items():
        assert burned == a[-1].burned_fraction[cell - 100]
    count = len(seen)
    shadowed.begin_step(3e-9, 1e-10)
    shadowed.advance(pressure=peaks)
    shadowed.rollback()
    assert len(shadowed.shadow_records("fallback")) == count
    shadowed.begin_step(3e-9, 1e-10)
    for _ in range(2):  # predictor and corrector count once
        shadowed.advance(pressure=peaks)
    shadowed.commit()
    assert len(shadowed.shadow_records("fallback")) == count + len(sampled)


def test_a_failing_physics_shadow_leaves_the_run_alone(kit, caplog):
    def physics(request):
        raise ZeroDivisionError("no physics today")

    shadowed = kit.make(3, shadow={"fallback": 1.0}, fallback=physics)
    out = kit.run(shadowed, np.linspace(0, 3e-9, 7), lambda t: kit.ramp(t, np.full(3, 7e9), 0.5e-9))
    assert out[-1].burned_fraction.min() > 0
    assert np.isnan(shadowed.shadow_records("fallback")["other"]).all()
    assert "no physics today" in caplog.text
    with pytest.raises(ValueError, match=r"shadow.fallback is set but no fallback was given"):
        kit.make(0, shadow={"fallback": 1.0})
