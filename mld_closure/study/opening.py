"""The closure of a case, opened, with each cell registered and given its patch of the specimen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..macro.domain import Domain
from ..macro.problems import sides
from ..macro.rates import RateClosure
from .case import Case
from .fallbacks import make_fallback

HIGHEST_POROSITY = 0.25  # of a specimen with voids


def open_closure(
    case: Case, changes: Mapping[str, Any] | None = None, comm: Any = None, domain: Domain | None = None
) -> Any:
    """The closure of a case with its cells registered; None for a case without one.

    Each cell of a surrogate takes its patch of the specimen where its corner of least x and y lies.

    Parameters
    ----------
    case : Case
        The case.
    changes : mapping, optional
        Options of a surrogate in place of the case's own.
    comm, domain
        Communicator of the ranks that run the case together, and the block of this one, whose cells it
        registers; by default one rank has all.
    """
    domain = domain or Domain(case.grid, sides(case))
    ids = domain.cut(case.ids).ravel()
    if case.closure.kind == "none":
        return None
    if case.closure.kind == "ignition-growth":
        law = RateClosure(case.closure.constants().law(), max_change=case.closure.max_change)
        law.register(ids)
        return law
    return _open_surrogate(case, changes, comm, domain, ids)


def _open_surrogate(
    case: Case, changes: Mapping[str, Any] | None, comm: Any, domain: Domain, ids: np.ndarray
) -> Any:
    import mld_closure as mld

    chosen = case.closure.surrogate(changes)
    bundle: Any = case.closure.bundle
    fallback = None
    if chosen.fallback is not None:
        bundle = mld.Bundle.load(bundle)
        fallback = make_fallback(chosen.fallback, bundle)
    closure = mld.open(bundle, comm, fallback=fallback, **chosen.arguments())
    corners = np.indices(case.grid.shape)[::-1] * case.cell_size  # (2, row, column): x, y
    corners = domain.cut(corners).reshape(2, -1).T  # (cell, 2)
    porosities = domain.cut(case.porosities()).ravel()
    for porosity in np.unique(case.porosities()):
        mine = porosities == porosity
        pixel, shape = closure.bundle.pixel, chosen.patch_shape
        closure.register(
            ids[mine], **_patches(case, float(porosity), corners[mine], shape, pixel, chosen.seed)
        )
    return closure


def _patches(
    case: Case, porosity: float, corners: np.ndarray, shape: tuple[int, int], pixel: float, seed: int
) -> dict[str, Any]:
    """Patches of one porosity, as `register` takes them; uniform ones where no voids can be placed."""
    from ..patches.specimen import Specimen

    if not 0 < porosity <= HIGHEST_POROSITY:
        return {"patches": np.broadcast_to(np.float32(1 - porosity), (len(corners), *shape))}
    size = [
        math.ceil((n - 1) * case.cell_size / pixel) + 1 + side
        for n, side in zip(case.grid.shape, shape, strict=True)
    ]
    return {
        "specimen": Specimen.generate(tuple(size), pixel, seed, porosity=porosity),
        "offsets": corners,
    }
