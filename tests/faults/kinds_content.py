"""Content that is right in form and wrong in fact: types, sizes, NaN, keys that are missing, links."""

import hashlib
import json

import h5py
import numpy as np
import safetensors.numpy
from attacked import refuses, state
from campaign import kind

import mld_closure as mld
from mld_closure import intake
from mld_closure.closure import checkpoint
from mld_closure.config import ConfigError, parse_toml
from mld_closure.data.trajectories import Trajectories
from mld_closure.data.validation import validate
from mld_closure.errors import BundleError, ClosureError
from mld_closure.models.bundle import describe
from mld_closure.study.case import read_case

VALUES = [None, True, -1, 0, 1, 2**31, 2**63, 10**30, -1.0, 0.0, 1e-300, 1e300, "", "a", "../x", "/dev/zero",
          "NaN", [], [1], [[]], {}, {"a": 1}, [None] * 3, "x" * 10_000]  # fmt: skip
BROKEN = [*("scalar", "short", "type", "remove", "group", "soft", "external", "huge", "text"),
          *("attribute", "no attribute")]  # fmt: skip
CASE = """
cells = 8
cell_size = 24e-6
piston_speed = 900.0
porosity = 0.1
end_time = 1e-9
drive = "wall"
[material]
kappa = 20.0
[closure]
kind = "surrogate"
bundle = "hmx-compact"
[closure.options]
device = "cpu"
threads = 1
[closure.options.policy]
on_extrapolation = "clamp"
"""


def spots(value, path=()):
    """Paths of everything in nested dicts and lists."""
    if isinstance(value, dict):
        for key in value:
            yield (*path, key)
            yield from spots(value[key], (*path, key))
    elif isinstance(value, list):
        for i in range(len(value)):
            yield (*path, i)
            yield from spots(value[i], (*path, i))


def spoil(draw, value):
    """Change, remove or add one thing somewhere in nested dicts and lists; where, and to what."""
    path = list(spots(value))[int(draw.integers(sum(1 for _ in spots(value))))]
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    new = VALUES[int(draw.integers(len(VALUES)))]
    how = draw.choice(["change", "change", "remove", "add"])
    if how == "remove":
        del parent[path[-1]]
    elif how == "add" and isinstance(parent, dict):
        parent[str(draw.choice(["surplus", "../x", "", "sha256", "version"]))] = new
    else:
        parent[path[-1]] = new
    return f"{how} {path} to {new!r:.60}"


@kind("bundle.json, hostile content", 3)
def bundle_json(draw, bench):
    folder = bench.copy(bench.bundle)
    file = folder / "bundle.json"
    manifest = json.loads(file.read_text())
    done = spoil(draw, manifest)
    try:
        file.write_bytes(intake.canonical(intake.sealed(manifest)))
    except (TypeError, ValueError):
        file.write_text(json.dumps(manifest))
    refuses(lambda: describe(folder), BundleError)
    if draw.random() < 0.2:
        refuses(lambda: mld.open(folder, device="cpu", threads=1).close(), ValueError)
    assert done


@kind("restart.json, hostile content", 3)
def restart_json(draw, bench):
    before, folder = state(bench.burning), bench.copy(bench.restart)
    file = folder / "restart.json"
    facts = json.loads(file.read_text())
    done = spoil(draw, facts)
    file.write_bytes(intake.canonical(intake.sealed(facts)))
    time, fitting = bench.burning.time, bench.burning._ranks.fitting
    if not refuses(lambda: bench.burning.restore(folder), ClosureError, FileNotFoundError):
        ok = np.isfinite(bench.burning.time) if bench.burning.time is not None else True
        ok = ok and (bench.burning._ranks.fitting or 1) >= 1
        bench.burning.restore(bench.restart)
        bench.burning._ranks.fitting = fitting
        return None if ok and state(bench.burning) == before else f"taken: {done}"
    return None if state(bench.burning) == before and bench.burning.time == time else f"changed by {done}"


@kind("restart, hostile arrays", 2)
def restart_arrays(draw, bench):
    before, folder = state(bench.burning), bench.copy(bench.restart)
    (file,) = folder.glob("*.safetensors")
    arrays = safetensors.numpy.load(file.read_bytes())
    name = sorted(arrays)[int(draw.integers(len(arrays)))]
    a = arrays[name]
    how = draw.choice(["remove", "nan", "inf", "huge", "negative", "shape", "type", "rows"])
    changes = {
        "nan": np.nan, "inf": np.inf, "huge": 1e300, "negative": -5.0,
    }  # fmt: skip
    if how == "remove":
        del arrays[name]
    elif how in changes and a.size:
        with np.errstate(all="ignore"):
            b = a.copy().reshape(-1)
            value = changes[how]
            b[int(draw.integers(b.size))] = (
                value
                if a.dtype.kind == "f"
                else np.int64(min(abs(value), 100) if value == value else 99).astype(a.dtype)
            )
            arrays[name] = b.reshape(a.shape)
    elif how == "shape":
        arrays[name] = a[None]
    elif how == "type":
        arrays[name] = a.astype(np.float32 if a.dtype != np.float32 else np.float64)
    else:
        arrays[name] = a[:-1]
    data = safetensors.numpy.save(arrays)
    file.write_bytes(data)
    facts = json.loads((folder / "restart.json").read_text())
    facts["shards"] = [{"file": file.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}]
    (folder / "restart.json").write_bytes(intake.canonical(intake.sealed(facts)))
    if refuses(lambda: bench.burning.restore(folder), ClosureError):
        return None if state(bench.burning) == before else f"changed by {how} of {name}"
    # what is taken is possible, and serves
    made = bench.burning
    try:
        made.begin_step(made.time, 1e-10)
        out = made.advance(pressure=np.full(len(made.ids), 8e9))
        good = np.isfinite(out.burned_fraction).all() and (out.burned_fraction >= 0).all()
        good = good and (out.burned_fraction <= 1).all()
    except ClosureError:
        good = True  # refused with a sentence
    finally:
        made.rollback()
        made.restore(bench.restart)
    return None if good and state(made) == before else f"{how} of {name} was taken and serves badly"


@kind("safetensors, hostile header", 2)
def safetensors_header(draw, bench):
    folder = bench.copy(bench.restart)
    (file,) = folder.glob("*.safetensors")
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    spoil(draw, header)
    text = json.dumps(header).encode()
    length = len(text) if draw.random() < 0.8 else int(draw.choice([0, 1, 2**32, 2**63 - 1, len(text) - 1]))
    data = length.to_bytes(8, "little") + text + data[8 + size :]
    file.write_bytes(data)
    entry = {"file": file.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    refuses(lambda: checkpoint.read_shard(folder, entry), ClosureError)


@kind("TOML of a case, hostile", 3)
def toml(draw, bench):
    text = CASE
    how = draw.choice(["value", "value", "value", "value", "deep", "twice", "bytes", "long"])
    lines = [i for i, line in enumerate(text.splitlines()) if "=" in line]
    if how == "value":
        number = lines[int(draw.integers(len(lines)))]
        values = ["nan", "inf", "-inf", "1e300", "1e-300", "-1", "0", "true", "[]", "{}", '""', '"a"', "1e9",
                  "10" * 200, "[[1]]", "2020-01-01", "9" * 5000]  # fmt: skip
        rows = text.splitlines()
        rows[number] = rows[number].split("=")[0] + "= " + values[int(draw.integers(len(values)))]
        text = "\n".join(rows)
    elif how == "deep":
        text = "a = " + "[" * 20_000
    elif how == "twice":
        text += "\n" + text
    elif how == "bytes":
        cut = int(draw.integers(len(text)))
        text = text[:cut] + draw.bytes(3).decode("latin-1") + text[cut:]
    else:
        text = "a" * 100_000 + "=1"
    file = bench.fresh() / "case.toml"
    file.write_text(text)
    found = {}
    if not refuses(lambda: found.update(case=read_case(file)), ConfigError, ValueError):
        case = found["case"]
        numbers = [case.cell_size, case.end_time, case.piston_speed, case.porosity, case.cfl, case.heat]
        return None if np.isfinite(numbers).all() else f"a case with {numbers}"
    refuses(lambda: parse_toml(text, "text"), ConfigError)
    return None


@kind("HDF5, hostile structure", 3)
def hdf5(draw, bench):
    file = bench.copy(bench.data)
    with h5py.File(file, "a") as f:
        names: list[str] = []
        f.visit(names.append)
        where = names[int(draw.integers(len(names)))]
        how = draw.choice(BROKEN)
        if how in ("attribute", "no attribute"):
            owner = f if draw.random() < 0.6 else f[where]
            keys = sorted(owner.attrs)
            if not keys:
                return None
            key = keys[int(draw.integers(len(keys)))]
            del owner.attrs[key]
            if how == "attribute":
                value = VALUES[int(draw.integers(len(VALUES)))]
                try:
                    owner.attrs[key] = value
                except (TypeError, ValueError, OverflowError):
                    owner.attrs[key] = np.nan
        else:
            del f[where]
            if how == "scalar":
                f[where] = 1.0
            elif how == "short":
                f[where] = np.zeros(1, np.float32)
            elif how == "type":
                f[where] = np.zeros((2, 3, 8, 12), np.complex64)
            elif how == "group":
                f.create_group(where)
            elif how == "soft":
                f[where] = h5py.SoftLink("/nowhere")
            elif how == "external":
                f[where] = h5py.ExternalLink("/etc/passwd", "/x")
            elif how == "huge":
                f.create_dataset(where, (2, 3, 1 << 20, 1 << 20), "f4", chunks=(1, 1, 1 << 9, 1 << 9))
            elif how == "text":
                f[where] = "text"

    def look():
        validate(file)
        with Trajectories(file) as data:
            repr(data)
            for case in range(min(data.n_cases, 2)):
                data.read(case)
                data.description(case)

    refuses(look, ValueError, FileNotFoundError)
