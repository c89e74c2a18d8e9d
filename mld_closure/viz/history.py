"""Loss curves of a training run, one panel per stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .plots import new_figure, save

COLUMNS = 3
NOT_LOSSES = ("step", "seconds", "horizon", "lr", "gradient norm")


def draw_history(history: Mapping[str, Sequence[Mapping[str, Any]]], path: str | Path) -> Path:
    """Draw losses over steps, with validation scores as points on a second axis, and save the picture.

    Parameters
    ----------
    history : mapping of str to sequence of dict
        For each stage the entries of `history.json`. Stages without entries are left out.
    path : path
        File to write.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        No stage has an entry.
    """
    stages = {name: rows for name, rows in history.items() if rows}
    if not stages:
        raise ValueError("the history has no entry to draw")
    n_rows = -(-len(stages) // COLUMNS)
    figure = new_figure(4.6 * COLUMNS, 3.2 * n_rows)
    for i, (name, rows) in enumerate(stages.items()):
        axes = figure.add_subplot(n_rows, COLUMNS, i + 1)
        axes.set_title(name, loc="left")
        axes.set_xlabel("step")
        losses = [k for k in _keys(rows) if k not in NOT_LOSSES and not k.startswith("validation ")]
        for key in losses:
            steps, values = _series(rows, key)
            axes.semilogy(steps, values, label=key, lw=2 if key == "total" else 1)
        steps, values = _series(rows, "validation score")
        if steps:
            right = axes.twinx()
            right.plot(steps, values, "ko", ms=4, label="validation score")
            right.set_ylim(bottom=0)
            right.legend(fontsize="small", loc="lower left")
        axes.legend(fontsize="small", loc="upper right")
    return save(figure, path, dpi=110)


def _keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """All keys of the entries, in order of first appearance."""
    return list(dict.fromkeys(key for row in rows for key in row))


def _series(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Steps and values of one key."""
    pairs = [(row["step"], row[key]) for row in rows if key in row]
    return [s for s, _ in pairs], [v for _, v in pairs]
