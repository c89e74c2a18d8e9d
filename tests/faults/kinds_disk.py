"""A disk that fails or fills up at some call, and processes that are killed while they write."""

import contextlib
import errno
import os
import signal
import time

import numpy as np
from attacked import CELLS, DT, step
from campaign import kind

from mld_closure import durable
from mld_closure.closure import checkpoint
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import CaseStore
from mld_closure.data.validation import validate
from mld_closure.errors import ClosureError
from mld_closure.models.bundle import Bundle, describe

CODES = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS)


class Failing(durable.Disk):
    """A disk of which one call fails, and with `for_good` all later ones too; a write stops half way."""

    def __init__(self, what, moment, code, for_good):
        self.what, self.left, self.code, self.for_good, self.failed = what, moment, code, for_good, False

    def before(self, name):
        if name == self.what or (self.for_good and self.failed):
            self.left -= 1
            if self.left < 0 and (self.for_good or not self.failed):
                self.failed = True
                raise OSError(self.code, os.strerror(self.code))

    def write(self, file, data):
        try:
            super().write(file, data)
        except OSError:
            file.write(data[: len(data) // 2])
            raise


@contextlib.contextmanager
def failing(draw):
    """The disk fails at some call."""
    what = str(draw.choice(["write", "fsync", "rename", "mkdir"]))
    broken = Failing(what, int(draw.integers(12)), int(draw.choice(CODES)), bool(draw.random() < 0.5))
    before, durable.disk = durable.disk, broken
    try:
        yield broken
    finally:
        durable.disk = before


@kind("disk fails, bundle replaced", 2)
def bundle_replaced(draw, bench):
    folder = bench.copy(bench.bundle)
    other = Bundle(**{**bench.networks.__dict__, "horizon": bench.networks.horizon + 1})
    wrote = True
    with failing(draw) as disk:
        try:
            other.save(folder, overwrite=True)
        except OSError:
            wrote = False
    found, left = describe(folder)["content_hash"], sorted(p.name for p in folder.parent.iterdir())
    good = found == (other.content_hash() if wrote else bench.content) and left == [folder.name]
    return None if good else f"{disk.what}: wrote {wrote}, found {found[:8]}, {left}"


def saved_again(bench, folder):
    """What is wrong with a restart folder that is whole, once another save has cleaned it."""
    checkpoint.read(folder)
    bench.burning.save(folder)
    left = len(list(folder.iterdir()))
    return None if left == 2 else f"{left} files after the next save"


@kind("disk fails, restart saved", 3)
def restart_saved(draw, bench):
    folder = bench.copy(bench.restart)
    wrote = True
    with failing(draw) as disk:
        try:
            bench.burning.save(folder)
        except OSError:
            wrote = False
    trouble = saved_again(bench, folder)
    return trouble and f"{disk.what}: wrote {wrote}, {trouble}"


@kind("disk fails, campaign of cases", 2)
def cases(draw, bench):
    spec = TrajectorySpec(2, (4, 6), 5e-8, (0.0, 1e-10))
    arrays = {n: np.full((2, 4, 6), 300 if n == "temperature" else 0, np.float32) for n in spec.fields}
    path = bench.fresh() / "data.h5"

    def work():
        store = CaseStore(path, spec)
        for index in sorted({0, 1} - store.done()):
            store.write(index, arrays, {"porosity": 0.1}, {})
        store.merge()

    with failing(draw), contextlib.suppress(OSError, RuntimeError):
        work()
    if path.exists() and validate(path):
        return "a file that is not whole"
    work()
    left = sorted(p.name for p in path.parent.iterdir())
    return None if not validate(path) and left == ["data.h5"] else f"{validate(path)}, {left}"


def killed(draw, work, most=0.03):
    """Run work() again and again in a child until it is killed, after a random time."""
    pid = os.fork()
    if pid == 0:
        try:
            while True:
                work()
        finally:
            os._exit(3)
    time.sleep(draw.uniform(0.0, most))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


@kind("killed while saving a restart", 3)
def killed_save(draw, bench):
    folder = bench.copy(bench.restart)
    if not killed(draw, lambda: bench.burning.save(folder)):
        return "the child ended by itself"
    return saved_again(bench, folder)


@kind("killed while replacing a bundle", 2)
def killed_bundle(draw, bench):
    folder = bench.copy(bench.bundle)
    known = {name: (bench.bundle / name).read_bytes() for name in os.listdir(bench.bundle)}
    if not killed(draw, lambda: durable.write_folder(folder, known)):
        return "the child ended by itself"
    found = describe(folder)["content_hash"]
    durable.write_folder(folder, known)
    left = sorted(p.name for p in folder.parent.iterdir())
    return None if found == bench.content and left == [folder.name] else f"{found[:8]}, {left}"


@kind("killed while writing cases", 2)
def killed_cases(draw, bench):
    spec = TrajectorySpec(3, (4, 6), 5e-8, (0.0, 1e-10))
    arrays = {n: np.full((2, 4, 6), 300 if n == "temperature" else 0, np.float32) for n in spec.fields}
    path = bench.fresh() / "data.h5"

    def work():
        store = CaseStore(path, spec)
        for index in sorted({0, 1, 2} - store.done()):
            store.write(index, arrays, {"porosity": 0.1}, {})
        store.merge()

    def loop():
        work()
        path.unlink(missing_ok=True)

    if not killed(draw, loop, 0.06):
        return "the child ended by itself"
    work()
    left = sorted(p.name for p in path.parent.iterdir())
    return None if not validate(path) and left == ["data.h5"] else f"{validate(path)}, {left}"


@kind("killed in a run, restarted", 1)
def killed_run(draw, bench):
    """A run that saves after each step: what the last restart says is on the way of the uninterrupted run."""
    folder = bench.fresh() / "r"
    whole = bench.closure()
    whole.save(folder)
    pressure = np.linspace(6e9, 9e9, CELLS)
    made = bench.closure()

    def work():
        t = 0.0 if made.time is None else made.time
        step(made, t, pressure)
        made.save(folder)

    if not killed(draw, work, 0.2):
        return "the child ended by itself"
    again = bench.closure()
    again.restore(folder)
    t = 0.0
    while again.time is not None and t < again.time - 0.5 * DT:
        step(whole, t, pressure)
        t += DT
    same = all(
        np.array_equal(getattr(whole.state, n), getattr(again.state, n))
        for n in ("tau", "frame", "value", "age")
    )
    whole.close(), again.close(), made.close()
    return None if same else f"another state at {t} s"


@kind("save against a full folder", 1)
def unwritable(draw, bench):
    where = draw.choice(["/dev/full", "/proc/nothing", str(bench.restart / "restart.json"), ""])
    try:
        bench.burning.save(where if where else bench.restart / "restart.json" / "x")
    except (OSError, ClosureError) as err:
        return None if "\n" not in str(err) else "several lines"
    return f"saved to {where}"
