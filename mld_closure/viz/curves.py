"""Curves of forecasts and of the truth over time, one column per case, as `evaluate` computes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .plots import new_figure, save

# name of a curve -> (axis label, factor from SI)
ROWS = {
    "area": ("hot area (um2)", 1e12),
    "temperature": ("hot-spot T (K)", 1.0),
    "burned": ("burned fraction", 1.0),
}


def draw_curves(
    times: Sequence[float],
    titles: Sequence[str],
    truth: Mapping[str, Sequence[Sequence[float]]],
    forecasts: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
    path: str | Path,
) -> Path:
    """Draw the curves of all cases and save the picture.

    Parameters
    ----------
    times : sequence (time,)
        Times of the frames [s].
    titles : sequence of str (case,)
        Titles of the columns.
    truth : mapping of str to curves (case, time)
        Keys as in `ROWS`, values in SI units; keys may be missing.
    forecasts : mapping of str to mapping
        For each name of a forecast, curves like `truth`.
    path : path
        File to write.

    Returns
    -------
    Path
        `path`.
    """
    rows = [name for name in ROWS if name in truth]
    figure = new_figure(2.6 * max(len(titles), 2), 2.3 * len(rows))
    panels = figure.subplots(len(rows), len(titles), sharex=True, sharey="row", squeeze=False)
    ns = [1e9 * t for t in times]
    for row, name in zip(panels, rows, strict=True):
        label, factor = ROWS[name]
        row[0].set_ylabel(label)
        for case, axes in enumerate(row):
            _draw(axes, ns, truth[name][case], factor, "truth", color="k", lw=2.0)
            for i, (who, curves) in enumerate(forecasts.items()):
                if name in curves:
                    _draw(axes, ns, curves[name][case], factor, who, color=f"C{i}", ls="--", lw=1.4)
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, fontsize="small")
    for axes in panels[-1]:
        axes.set_xlabel("t (ns)")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=6)
    return save(figure, path, dpi=110)


def _draw(axes: Any, ns: Sequence[float], values: Any, factor: float, label: str, **style: Any) -> None:
    """Draw one curve in display units."""
    axes.plot(ns, [factor * v for v in values], label=label, **style)
