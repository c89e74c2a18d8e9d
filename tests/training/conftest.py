"""Two tiny files of artificial movies, in which a front ignites voids, shared by the tests of this folder."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories

FIELDS = ("temperature", "pressure", "microstructure", "velocity_x", "velocity_y")


def movie(rng, frames, ny, nx, speed):
    y, x = np.mgrid[:ny, :nx]
    out = {name: np.zeros((frames, ny, nx)) for name in FIELDS}
    voids = [(rng.uniform(8, ny - 8), rng.uniform(16, nx - 8), rng.uniform(3, 6)) for _ in range(3)]
    for t in range(frames):
        front = 10 + speed * t
        behind = 1 / (1 + np.exp((x - front) / 1.5))
        out["pressure"][t] = 1e10 * behind
        out["temperature"][t] = 300 + 200 * behind
        out["velocity_x"][t], out["velocity_y"][t] = 1000 * behind, 200 * behind * (y / ny - 0.3)
        out["microstructure"][t] = 1
        for cy, cx, r in voids:
            d, age = np.hypot(y - cy, x - cx), (front - cx) / speed
            if age < 0:
                out["microstructure"][t] *= 1 / (1 + np.exp((r - d) * 2))
            else:
                out["temperature"][t] += 1500 * np.exp(-((d / (r + age)) ** 2))
    return {name: values.astype(np.float32) for name, values in out.items()}


def write(path, cases, frames, ny, nx, interval, seed):
    rng = np.random.default_rng(seed)
    spec = TrajectorySpec(cases, (ny, nx), 50e-9, tuple(interval * np.arange(frames)), fields=FIELDS)
    return write_trajectories(
        path,
        spec,
        [(i, movie(rng, frames, ny, nx, 4.0), {"piston_speed": 700.0 + 50 * i}, {}) for i in range(cases)],
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Paths of four micro movies (7 frames of 32 x 64) and three meso movies (5 frames of 64 x 96)."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("movies")
    return SimpleNamespace(
        micro=write(folder / "micro.h5", 4, 7, 32, 64, 0.172e-9, 1),
        meso=write(folder / "meso.h5", 3, 5, 64, 96, 0.344e-9, 2),
    )
