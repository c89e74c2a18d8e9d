"""Cells whose patches are unlike those of training: flagged when they start, named when registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import ClosureError, name_cells
from ..patches.descriptors import describe
from ..surrogate.novelty import Familiar
from .cells import CellState
from .policies import Status

_CHUNK = 64  # patches looked at together
NO_PORES, ALL_VOID = 1e-6, 0.999  # porosities up to and from which a patch is so


@dataclass(frozen=True)
class Strangers:
    """Compares the patches of cells with those of training.

    Parameters
    ----------
    familiar
        What these were like; None where the bundle does not say.
    patches
        patches(rows): solid fractions (k, ny, nx) of cells.
    pixel
        Side of a pixel (m).
    shape
        (ny, nx) of all patches.
    """

    familiar: Familiar | None
    patches: Callable[[np.ndarray], np.ndarray]
    pixel: float
    shape: tuple[int, int]

    def flag(
        self, state: CellState, which: np.ndarray, rows: np.ndarray, ids: np.ndarray, *, refuse: bool
    ) -> np.ndarray:
        """Flag cells that start, at places `which` (k,) of a state, with patches unlike those of training.

        rows, ids: of these cells (k,). Returns which they are (k,); with `refuse` raises ClosureError.
        """
        if self.familiar is None or not len(which):
            return np.zeros(len(which), bool)
        new = np.flatnonzero(np.isnan(state.novelty[which]))
        for k in range(0, len(new), _CHUNK):
            part = new[k : k + _CHUNK]
            state.novelty[which[part]] = self.familiar.look(self.patches(rows[part]), self.pixel)
        strange = state.novelty[which] > 1.0
        other_size = self.shape != self.familiar.shape
        if refuse and strange.any():
            one = int(np.flatnonzero(strange)[0])
            first = min(self.familiar.first, self.shape[1] - 1)
            described = describe(self.patches(rows[one : one + 1]), self.pixel, first)[0]
            raise ClosureError(
                f"patch of {name_cells(ids[strange])} is unlike those trained on "
                f"({self.familiar.sentence(described)}); choose policy 'clamp' or 'fallback' to go on",
                ids[strange],
            )
        if refuse and other_size:
            raise ClosureError(
                f"patch of {name_cells(ids)} has another size than those trained on: {size_sentence(self)}; "
                "choose policy 'clamp' or 'fallback' to go on",
                ids,
            )
        state.flags[which[strange]] |= Status.EXTRAPOLATING | Status.MICROSTRUCTURE
        if other_size:
            state.flags[which] |= Status.EXTRAPOLATING | Status.PATCH_SIZE
        return strange | other_size


def size_sentence(one: Strangers) -> str:
    """The size of patches beside that of training."""
    assert one.familiar is not None
    (ny, nx), (my, mx) = one.shape, one.familiar.shape
    return f"{ny} x {nx} pixels, trained on {my} x {mx}"


def unlike_any(
    ids: np.ndarray, porosity: np.ndarray, shape: tuple[int, int], familiar: Familiar | None, mean: float
) -> dict[str, str]:
    """A sentence, by kind, for each thing about new patches that no model was trained on.

    ids, porosity: (n,), NaN for not known. shape: (ny, nx). mean: mean solid fraction of all patches; NaN for
    not known.
    """
    found = {}
    void, dense = ids[porosity >= ALL_VOID], ids[porosity <= NO_PORES]
    if mean < 0.5:
        found["inverted"] = (
            f"the mean solid fraction is {mean:.2g}: turn an inverted image round, as 1 is solid and 0 void"
        )
    if len(void):
        found["void"] = f"the patch of {name_cells(void)} is all void: nothing in it can burn"
    if len(dense):
        found["dense"] = f"the patch of {name_cells(dense)} has no pores: the model knows none without"
    if familiar is not None and tuple(shape) != familiar.shape and len(ids):
        found["size"] = (
            f"patches of {shape[0]} x {shape[1]} pixels: the model was trained on "
            f"{familiar.shape[0]} x {familiar.shape[1]}, and is extrapolating with others"
        )
    return found
