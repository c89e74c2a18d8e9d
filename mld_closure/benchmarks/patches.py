"""How fast patches are gathered and added back, beside plain copies of as many bytes in the same run.

Why: every figure is timed in turn with its plain counterpart and the best of each is kept, so that a busy
machine slows both alike. Patches lie at random, never twice, in an image far beyond the caches.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mld_closure.patches.plan import PatchPlan
from mld_closure.patches.specimen import Specimen

PIXEL = 50e-9  # m


def measure(
    patch_shape: tuple[int, int] = (320, 480), megabytes: int = 128, batch: int = 8, repeats: int = 9
) -> dict[str, Any]:
    """All figures of `mld-closure bench patches`, in bytes read and written a second, on one thread.

    megabytes: size of the image, float32. "all": every patch of the image in one call, so that both ends are
    in memory; "batch": calls of `batch` patches to the same array, which may stay in cache.
    """
    (h, w), pixels = patch_shape, megabytes * 2**20 // 4
    across = max(int(pixels**0.5) // w, 1)
    nx = across * w + w // 2
    down = max(pixels // nx // h, 1)
    image = np.ones((down * h, nx), np.float32)
    rng = np.random.default_rng(0)
    places = rng.permutation([(x * w, y * h) for y in range(down) for x in range(across)])
    plan, n = PatchPlan(image.shape, places, patch_shape), down * across
    sides = np.stack([np.where(np.arange(n) % 2, -(w // 2), nx - w // 2), places[:, 1]], axis=1)
    overhanging = PatchPlan(image.shape, sides, patch_shape, "reflect")
    batch = min(batch, n)
    out, flat = np.zeros((n, h, w), np.float32), image.reshape(-1)
    size = h * w
    batches = [np.arange(k, k + batch) for k in range(0, n - batch + 1, batch)]

    def copy_all() -> None:
        np.copyto(out.reshape(-1), flat[: n * size])

    def copy_batches() -> None:
        for cells in batches:
            np.copyto(out[:batch].reshape(-1), flat[cells[0] * size : (cells[0] + batch) * size])

    def slice_all() -> None:
        for k, (x, y) in enumerate(places):
            np.copyto(out[k], image[y : y + h, x : x + w])

    def gather_batches() -> None:
        for cells in batches:
            plan.gather(image, out[:batch], cells)

    def add_all() -> None:
        np.add(flat[: n * size], out.reshape(-1), out=flat[: n * size])

    whole, parts = 2 * out.nbytes, 2 * len(batches) * batch * size * 4
    rates = _rates(
        {
            "copy": (copy_all, whole),
            "gather": (lambda: plan.gather(image, out), whole),
            "slices": (slice_all, whole),
            "gather_across_edges": (lambda: overhanging.gather(image, out), whole),
            "copy_batch": (copy_batches, parts),
            "gather_batch": (gather_batches, parts),
            "add": (add_all, 3 * out.nbytes),
            "scatter_add": (lambda: plan.scatter_add(out, image), 3 * out.nbytes),
        },
        repeats,
    )
    return {
        "machine": f"{platform.machine()}, {platform.processor() or 'processor not named'}",
        "patch_shape": patch_shape,
        "patches": n,
        "batch": batch,
        "image_bytes": image.nbytes,
        **rates,
        "gather_of_copy": rates["gather"] / rates["copy"],
        "gather_batch_of_copy": rates["gather_batch"] / rates["copy_batch"],
        "scatter_of_add": rates["scatter_add"] / rates["add"],
        "generated_pixels": _generated(patch_shape),
    }


def _rates(cases: dict[str, tuple[Callable[[], Any], int]], repeats: int) -> dict[str, float]:
    """Bytes per second of each case, best of `repeats` rounds after one that compiles and warms up."""
    best = dict.fromkeys(cases, float("inf"))
    for turn in range(repeats + 1):
        for name, (work, _) in cases.items():
            start = time.perf_counter()
            work()
            if turn:
                best[name] = min(best[name], time.perf_counter() - start)
    return {name: moved / best[name] for name, (_, moved) in cases.items()}


def _generated(patch_shape: tuple[int, int], windows: int = 20) -> float:
    """Pixels a second of a generated specimen, its voids included, in places never seen before."""
    h, w = patch_shape
    specimen = Specimen.generate((4 * h, (windows + 2) * w), PIXEL, seed=1)
    specimen.window(0, 0, w, h)
    start = time.perf_counter()
    for k in range(windows):
        specimen.window((k + 1) * w, 2 * h, w, h)
    return windows * h * w / (time.perf_counter() - start)
