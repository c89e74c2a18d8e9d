"""The command `run`: exact yardsticks, restarts to the bit, kills and full disks, and what it refuses."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from mld_closure.cli.main import main

SLAB = Path(__file__).resolve().parents[2] / "examples/cases/slab_ignition_growth.toml"
SHORT = """
cells = 24
piston_speed = 900
end_time = 4e-8
[closure]
kind = "{kind}"
"""


@pytest.fixture
def run(capsys):
    """Runs `mld-closure run` with these words; returns (exit code, standard output, standard error)."""

    def call(*args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(["run", *(str(a) for a in args)])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


@pytest.fixture
def case(tmp_path, undrawn):
    def write(kind="ignition-growth", extra=""):
        path = tmp_path / "case.toml"
        path.write_text(SHORT.format(kind=kind) + extra)
        return path

    return write


def results(folder):
    """Everything that should not depend on how a run was cut: histories, and steps without their cost."""
    with h5py.File(folder / "history.h5") as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item[()]}) if hasattr(item, "shape") else None)
    with open(folder / "steps.csv", newline="") as file:
        rows = [{k: v for k, v in r.items() if not k.startswith("seconds")} for r in csv.DictReader(file)]
    return found, rows


def same(a, b):
    (fields_a, rows_a), (fields_b, rows_b) = results(a), results(b)
    assert rows_a == rows_b
    assert fields_a.keys() == fields_b.keys()
    return all(np.array_equal(fields_a[n], fields_b[n], equal_nan=True) for n in fields_a)


def test_the_example_slab_detonates_at_the_exact_speed(run, tmp_path):
    out = tmp_path / "slab"
    code, text, _ = run(SLAB, "--out", out, "--json")
    found = json.loads(text)
    assert code == 0
    assert found == json.loads((out / "summary.json").read_text())
    assert found["front_speed_m_per_s"] == pytest.approx(found["chapman_jouguet_speed_m_per_s"], rel=0.02)
    assert found["chapman_jouguet_speed_m_per_s"] == pytest.approx(7263.4, abs=1)
    assert found["transition_distance_m"] is None  # too prompt for these cells
    assert 0 < found["detonates_before_m"] < 0.3e-3
    names = {
        "history.h5",
        "history.vtkhdf",
        "steps.csv",
        "xt.png",
        "profiles.png",
        "front.png",
        "summary.json",
    }
    assert {p.name for p in out.iterdir()} == names == set(found["files"])
    with h5py.File(out / "history.h5") as file:
        pressure, burned = file["fields/pressure"][-1, 0], file["fields/burned_fraction"][-1, 0]
        assert len(file["time"]) == pytest.approx(201, abs=2)
        assert file["time"][-1] == 320e-9
    assert burned.sum() / 96 == pytest.approx(found["mean_burned_fraction"], rel=1e-6)
    assert pressure[:5] == pytest.approx(12.2e9, rel=0.03)
    with open(out / "steps.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    spent = sum(float(v) for r in rows for k, v in r.items() if k.startswith("seconds"))
    assert len(rows) == found["steps"]
    assert sum(float(r["dt"]) for r in rows) == pytest.approx(320e-9)
    assert spent < found["seconds"]["wall"]
    code, _, err = run(SLAB, "--out", out)
    assert (code, err.count("\n")) == (2, 1)
    assert "holds a run already" in err


def test_without_a_closure_the_shock_is_the_exact_one(run, case, tmp_path):
    path = case("none")
    path.write_text(path.read_text().replace("4e-8", "12e-8"))
    code, text, _ = run(path, "--out", tmp_path / "o", "--json", "--frames", 5)
    found = json.loads(text)
    assert code == 0
    assert found["front_speed_m_per_s"] == pytest.approx(found["inert_shock_speed_m_per_s"], rel=0.03)
    assert found["chapman_jouguet_speed_m_per_s"] is found["transition_time_s"] is None
    assert found["mean_burned_fraction"] == found["seconds"]["rest_of_closure"] == 0


def test_a_restart_gives_the_bits_of_the_whole_run(run, case, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(case(), "--out", whole, "--frames", 13)[0] == 0
    assert run(case(), "--out", cut, "--frames", 13, "--checkpoint-every", 30)[0] == 0
    assert same(whole, cut)
    made = sorted(p.name for p in (cut / "checkpoints").iterdir())
    assert made[:2] == ["step-00000030", "step-00000060"]
    for into in ("other", "same"):
        for name in (made[-1], made[0]):
            out = cut if into == "same" else tmp_path / name
            words = ("--out", out, "--restart", cut / "checkpoints" / name, "--checkpoint-every", 30)
            assert run(case(), *words)[0] == 0
            assert same(whole, out), (into, name)
        assert sorted(p.name for p in (cut / "checkpoints").iterdir()) == made


def test_a_run_can_be_prolonged(run, case, tmp_path):
    short = case()
    assert run(short, "--out", tmp_path / "a", "--checkpoint-every", 50)[0] == 0
    longer = tmp_path / "longer.toml"
    longer.write_text(short.read_text().replace("4e-8", "5e-8"))
    assert run(longer, "--out", tmp_path / "whole")[0] == 0
    first = tmp_path / "a/checkpoints/step-00000050"
    assert run(longer, "--out", tmp_path / "b", "--restart", first)[0] == 0
    assert results(tmp_path / "b")[1] == results(tmp_path / "whole")[1]
    other = tmp_path / "other.toml"
    other.write_text(short.read_text().replace("900", "800"))
    code, _, err = run(other, "--out", tmp_path / "c", "--restart", first)
    assert (code, err.count("\n")) == (2, 1)
    assert "piston_speed" in err


@pytest.mark.system
def test_a_kill_leaves_the_last_checkpoint_whole(run, case, tmp_path):
    path, out = case(), tmp_path / "killed"
    assert run(path, "--out", tmp_path / "whole")[0] == 0
    words = [sys.executable, "-m", "mld_closure", "run", path, "--out", out, "--checkpoint-every", "1"]
    folder = out / "checkpoints"
    for wanted in (3, 60):
        last = sorted(folder.glob("step-*"))[-1:]
        child = subprocess.Popen(
            [*map(str, words), *(("--restart", str(last[0])) if last else ())],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while child.poll() is None and not (
            len(list(folder.glob("step-*"))) >= wanted and list(folder.glob(".step-*"))
        ):
            time.sleep(0)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    last = sorted(folder.glob("step-*"))[-1]
    assert run(path, "--out", out, "--restart", last)[0] == 0
    assert same(tmp_path / "whole", out)
    assert not list(folder.glob(".step-*"))


WRITER = """
import itertools, os, signal, sys
from pathlib import Path
import numpy as np
from mld_closure.study.checkpoints import checkpoints, save_checkpoint
from mld_closure.closure import checkpoint

out = Path(sys.argv[1])
events = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "fsync"}

facts = {"bundle": 64 * "0", "options": {}, "patches": {}}

def save(n):
    arrays = {"a": np.full(30_000, float(n))}
    write = lambda folder: checkpoint.write(folder, arrays, facts | {"n": n})
    save_checkpoint(out, f"step-{n:08d}", arrays, {"n": n}, write)

save(0)
for moment in itertools.count():
    n = len(checkpoints(out))
    child = os.fork()
    if child == 0:
        seen = itertools.count()
        def die(event, arguments):
            if event in events and str(out) in str(arguments) and next(seen) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
        fsync = os.fsync
        def synced(handle):
            die("fsync", str(out))
            fsync(handle)
            die("fsync", str(out))
        sys.addaudithook(die)
        os.fsync = synced
        save(n)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, n, len(checkpoints(out)), flush=True)
    if status == 0:
        break
"""


@pytest.mark.system
def test_a_checkpoint_survives_a_kill_at_every_event_of_its_writing(tmp_path):
    """kill -9 before each file is opened, flushed, renamed or removed, and after each flush: over 20."""
    from mld_closure.closure import checkpoint
    from mld_closure.study.checkpoints import checkpoints, load_checkpoint

    child = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path)], capture_output=True, text=True, check=True
    )
    ends = [tuple(map(int, line.split())) for line in child.stdout.splitlines()]
    assert len(ends) > 20
    assert [status for status, _, _ in ends] == [-signal.SIGKILL] * (len(ends) - 1) + [0]
    assert all(after in (before, before + 1) for _, before, after in ends)  # none lost, at most one more
    assert [after - before for _, before, after in ends].count(0) >= 15
    found = checkpoints(tmp_path)
    assert len(found) == ends[-1][2]
    for n, path in enumerate(found):
        arrays, facts = load_checkpoint(path)
        assert facts["n"] == n
        assert np.array_equal(arrays["a"], np.full(30_000, float(n)))
        inner, inner_facts = checkpoint.read(path / "closure")
        assert inner_facts["n"] == n
        assert np.array_equal(inner["a"], arrays["a"])
    assert not list((tmp_path / "checkpoints").glob(".step-*"))


def test_a_full_disk_ends_with_one_line_and_the_earlier_checkpoint_whole(run, case, tmp_path, monkeypatch):
    from mld_closure.study import checkpoints

    path, out, calls = case(), tmp_path / "full", []
    assert run(path, "--out", tmp_path / "whole")[0] == 0
    savez = np.savez

    def fill(file, **arrays):
        calls.append(file)
        if len(calls) == 3:
            file.write(b"half of it")
            raise OSError(28, "No space left on device")
        savez(file, **arrays)

    monkeypatch.setattr(checkpoints.np, "savez", fill)
    code, _, err = run(path, "--out", out, "--checkpoint-every", 30)
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert "step-00000090 could not be written (No space left on device)" in last
    assert "step-00000060" in last
    names = sorted(p.name for p in (out / "checkpoints").iterdir())
    assert names == ["step-00000030", "step-00000060"]
    assert run(path, "--out", out, "--restart", out / "checkpoints" / names[-1])[0] == 0
    assert same(tmp_path / "whole", out)


def test_damaged_and_missing_checkpoints_are_named(run, case, tmp_path):
    path, out = case(), tmp_path / "o"
    assert run(path, "--out", out, "--checkpoint-every", 50)[0] == 0
    state = out / "checkpoints/step-00000050/state.npz"
    data = bytearray(state.read_bytes())
    data[len(data) // 2] ^= 1
    state.write_bytes(data)
    code, _, err = run(path, "--out", tmp_path / "p", "--restart", state.parent)
    assert (code, err.count("\n")) == (2, 1)
    assert "is damaged" in err
    code, _, err = run(path, "--out", tmp_path / "p", "--restart", out / "checkpoints/step-7")
    assert (code, err.count("\n")) == (2, 1)
    assert "step-00000050" in err
    os.truncate(out / "frames.bin", 100)
    code, _, err = run(path, "--out", tmp_path / "p", "--restart", out / "checkpoints/step-00000100")
    assert (code, err.count("\n")) == (2, 1)
    assert "holds 100 of the" in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cels = 3", "did you mean 'cells'?"),
        ("cells = 2", "at least 4 cells"),
        ("[closure]\nkind = 'surrogate'\nbundle = 'no-such'", "no-such"),
        ("[closure]\nkind = 'surrogate'", "surrogate"),
    ],
)
def test_bad_cases_end_with_one_line(run, tmp_path, text, words):
    (tmp_path / "bad.toml").write_text(text)
    code, out, err = run(tmp_path / "bad.toml", "--out", tmp_path / "o")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert not (tmp_path / "o").exists()


def test_other_bad_input_ends_with_one_line(run, case, tmp_path):
    for words in (
        (tmp_path / "none.toml", "--out", tmp_path / "o"),
        (case(), "--out", tmp_path / "o", "--device", "cpu"),
        (case(),),
    ):
        code, _, err = run(*words)
        assert (code, err.count("\n")) == (2, 1)
