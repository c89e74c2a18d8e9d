"""Files that are damaged: flipped, cut, exchanged, missing, odd."""

import os

import numpy as np
from attacked import refuses, state
from campaign import kind

import mld_closure as mld
from mld_closure.closure import checkpoint
from mld_closure.config import ConfigError
from mld_closure.data.trajectories import Trajectories
from mld_closure.data.validation import validate
from mld_closure.errors import BundleError, ClosureError
from mld_closure.models.bundle import Bundle, describe
from mld_closure.patches.specimen import Specimen
from mld_closure.study.case import read_case
from mld_closure.surrogate.compiled import read_facts

GONE = FileNotFoundError


def damage(draw, file):
    """Damage a file in place; what was done, in words."""
    data = bytearray(file.read_bytes())
    how = draw.choice(["flip", "flip", "flip", "cut", "zeros", "grow", "empty", "missing", "swap"])
    at = int(draw.integers(len(data)))
    if how == "flip":
        data[at] ^= 1 << int(draw.integers(8))
    elif how == "cut":
        del data[at:]
    elif how == "zeros":
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    elif how == "grow":
        data += draw.bytes(int(draw.integers(1, 100)))
    elif how == "empty":
        data.clear()
    elif how == "swap":
        to = int(draw.integers(len(data)))
        n = int(draw.integers(1, 65))
        a, b = bytes(data[at : at + n]), bytes(data[to : to + n])
        n = min(len(a), len(b))
        data[at : at + n], data[to : to + n] = b[:n], a[:n]
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(data)
    return f"{how} at {at} of {file.name}"


def pick(draw, folder):
    """A file of a folder."""
    files = sorted(p for p in folder.iterdir() if p.is_file())
    return files[int(draw.integers(len(files)))]


@kind("bundle, damaged file", 4)
def bundle_bytes(draw, bench):
    folder = bench.copy(bench.bundle)
    file = folder / "bundle.json" if draw.random() < 0.5 else pick(draw, folder)
    done = damage(draw, file)
    found = {}
    if draw.random() < 0.25:
        refused = refuses(lambda: found.update(hash=Bundle.load(folder).content_hash()), BundleError)
    else:
        refused = refuses(lambda: found.update(hash=describe(folder)["content_hash"]), BundleError)
    return None if refused or found["hash"] == bench.content else f"other content after {done}"


@kind("bundle, files exchanged", 1)
def bundle_exchange(draw, bench):
    folder = bench.copy(bench.bundle)
    a, b = pick(draw, folder), pick(draw, folder)
    one, two = a.read_bytes(), b.read_bytes()
    a.write_bytes(two)
    b.write_bytes(one)
    found = {}
    refused = refuses(lambda: found.update(hash=describe(folder)["content_hash"]), BundleError)
    return (
        None
        if refused or found["hash"] == bench.content
        else f"{a.name} and {b.name} exchanged: other content"
    )


@kind("restart, damaged file", 4)
def restart_bytes(draw, bench):
    before, folder = state(bench.burning), bench.copy(bench.restart)
    done = damage(draw, pick(draw, folder))
    time = bench.burning.time
    refuses(lambda: bench.burning.restore(folder), ClosureError, GONE)
    same = state(bench.burning) == before and bench.burning.time == time
    return None if same else f"another state after {done}"


@kind("recorded call, damaged file", 2)
def failure_bytes(draw, bench):
    folder = bench.copy(bench.failure)
    wanted = checkpoint.read(folder)
    done = damage(draw, pick(draw, folder))
    found = {}
    if refuses(lambda: found.update(all=checkpoint.read(folder)), ClosureError, GONE):
        return None
    same = found["all"][1] == wanted[1] and all(
        np.array_equal(found["all"][0][k], v, equal_nan=v.dtype.kind == "f") for k, v in wanted[0].items()
    )
    return None if same else f"another call after {done}"


@kind("compiled file, damaged", 2)
def compiled_bytes(draw, bench):
    file = bench.copy(bench.compiled)
    before = file.read_bytes()
    done = damage(draw, file)
    if refuses(lambda: read_facts(file), BundleError, GONE):
        return None
    return None if file.exists() and file.read_bytes() == before else f"taken after {done}"


@kind("trajectories, damaged file", 3)
def trajectory_bytes(draw, bench):
    """No crash, no hang, no other error than the one documented."""
    file = bench.copy(bench.data)
    damage(draw, file)

    def look():
        validate(file)
        with Trajectories(file) as data:
            for case in range(data.n_cases):
                data.read(case)
            repr(data)

    refuses(look, ValueError, GONE)


@kind("image of a specimen, damaged", 1)
def image_bytes(draw, bench):
    file = bench.copy(bench.image)
    damage(draw, file)

    def look():
        with Specimen.open(file, pixel=5e-8) as sample:
            sample.window(0, 0, *reversed(sample.shape))

    refuses(look, ValueError, GONE)


def odd(draw, path, outside):
    """Put something that is no regular file at a path."""
    if path.is_dir():
        for inner in path.iterdir():
            inner.unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    outside.write_bytes(b"{}")
    makes = [
        lambda: os.mkfifo(path),
        path.mkdir,
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to("/dev/full"),
        lambda: path.symlink_to(path.name),
        lambda: path.symlink_to(outside),
        lambda: path.symlink_to("/proc/self/mem"),
        lambda: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 42),
    ]
    makes[int(draw.integers(len(makes)))]()


@kind("odd files in place of a file", 2)
def odd_files(draw, bench):
    what = draw.choice(["bundle", "restart", "data", "compiled", "image", "case"])
    source = {"case": bench.data}.get(what) or getattr(bench, what)
    there = bench.copy(source)
    file = pick(draw, there) if there.is_dir() else there
    odd(draw, file, bench.folder / "outside")
    time = bench.burning.time
    reads = {
        "bundle": lambda: describe(there),
        "restart": lambda: bench.burning.restore(there),
        "data": lambda: Trajectories(there).close(),
        "compiled": lambda: read_facts(there),
        "image": lambda: Specimen.open(there, pixel=5e-8).close(),
        "case": lambda: read_case(there),
    }
    refused = refuses(reads[what], BundleError, ClosureError, ConfigError, ValueError, GONE)
    return None if refused and bench.burning.time == time else f"{what} was taken"


@kind("names that are none", 1)
def odd_names(draw, bench):
    name = draw.choice(
        ["", "a\0b", "a" * 5000, "../" * 300, "/dev/zero", "/proc/self/mem", "/", "\udcff", "x\ny"]
    )
    reads = (
        lambda: mld.open(name, device="cpu", threads=1),
        lambda: Trajectories(name).close(),
        lambda: read_case(str(name)),
        lambda: bench.burning.restore(name),
        lambda: Specimen.open(name, pixel=5e-8).close(),
        lambda: read_facts(name),
    )
    call = reads[int(draw.integers(len(reads)))]
    if name == "x\ny":
        name = "x y"
    return None if refuses(call, ValueError, OSError) else f"{name!r} was taken"
