"""New cells: their states at rest, where their patches come from, and what a patch must be."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ClosureError, name_cells
from ..fields import QUANTITIES
from ..grids import check_frame
from ..surrogate.facts import ModelFacts
from ..surrogate.messages import WHOLE_PATCH
from .cells import CellState
from .plausible import Plausibility
from .sources import DirectPatches, SpecimenPatches, make_source, measure
from .strangers import unlike_any


def new_cells(
    facts: ModelFacts,
    watch: Plausibility,
    ids: np.ndarray,
    patches: Any,
    specimen: Any,
    offsets: Any,
    pixel: float | None,
    shape: tuple[int, int] | None,
    parts: Any = None,
) -> tuple[CellState, DirectPatches | SpecimenPatches] | None:
    """States of cells ids (n,) at rest and the source of their patches; None where nothing is given.

    watch: warns of patches that no model was trained on. patches, specimen, offsets, pixel, parts: as for
    `Closure.register`; shape: of patches, where it is known. Raises ClosureError for patches that the model
    cannot take.
    """
    if not len(ids) and patches is None and not np.size(offsets):
        return None
    source = make_source(patches, specimen, offsets, pixel, facts.pixel, shape)
    if source.count != len(ids):
        raise ClosureError(f"{len(ids)} ids but {source.count} patches; they must be as many")
    check_shape(facts, source.shape)
    state = CellState.new(len(ids))
    if parts is not None:
        state.part[:] = _checked_parts(facts, ids, parts)
    state.porosity[:] = measure(source, ids)
    mean = 1.0 - float(state.porosity.mean()) if len(ids) else float("nan")
    watch.registered(unlike_any(ids, state.porosity, source.shape, facts.familiar, mean))
    names = list(QUANTITIES)
    state.value[:, names.index("mean_temperature")] = facts.table.T0
    state.value[:, names.index("porosity")] = state.porosity
    return state, source


def _checked_parts(facts: ModelFacts, ids: np.ndarray, parts: Any) -> np.ndarray:
    """Column parts (n,) of patches; ClosureError where the model has no such points."""
    given = np.asarray(parts)
    if given.shape != ids.shape or given.dtype.kind not in "iu":
        raise ClosureError(f"parts must be whole numbers, one for each of {len(ids)} ids, got {given.shape}")
    wrong = (given < WHOLE_PATCH) | (given >= (facts.parts if facts.points else 0))
    if wrong.any():
        there = f"parts 0 to {facts.parts - 1}" if facts.points else "no parts of patches"
        raise ClosureError(
            f"{name_cells(ids[wrong])} in part {given[wrong][0]}; the model knows {there}, and {WHOLE_PATCH} "
            "for the whole patch",
            ids[wrong],
        )
    return given


def check_shape(facts: ModelFacts, shape: tuple[int, int]) -> None:
    """ClosureError, or ValueError of the networks, for patches (ny, nx) that the model cannot take."""
    check_frame(*shape, facts.multiple)
    entry = facts.table.entry
    if shape[1] - facts.halo < facts.parts:
        raise ClosureError(
            f"patches are {shape[1]} pixels wide, but a halo of {facts.halo} and {facts.parts} parts take "
            "more"
        )
    if shape[1] < entry:
        raise ClosureError(f"patches are {shape[1]} pixels wide, but the shock of frame 0 takes {entry}")
