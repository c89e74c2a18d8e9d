"""Validation of trajectory files: every fault and its place, and the range of the values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mld_closure import fields as field_table
from mld_closure.data.curves import GROUP, faulty_value
from mld_closure.data.layout import check_fields, first_not_increasing
from mld_closure.data.shapes import faulty_shapes
from mld_closure.data.trajectories import DAMAGE, Trajectories, field_names, open_file, stored_fields
from mld_closure.intake import reason

_ATTRIBUTES = (
    *("dataset_name", "grid_type", "n_spatial_dims", "n_trajectories", "pixel", "frame_times", "boundaries"),
    *("failures", "configuration", "version", "platform", "created"),
)
_OBJECTS = (
    *("dimensions/time", "dimensions/y", "dimensions/x", "boundary_conditions", "scalars/case"),
    *("t0_fields", "t1_fields", "t2_fields", "descriptions"),
)


@dataclass
class Inspection:
    """Result of `inspect`.

    Attributes
    ----------
    faults : list of str
        One sentence per fault; empty for a valid file.
    ranges : dict of str to (float, float)
        Smallest and largest finite value of each field, in SI units; empty if no value was read.
    """

    faults: list[str]
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)


def validate(path: str | Path) -> list[str]:
    """Return one sentence for every fault of a trajectory file; an empty list for a valid file."""
    return inspect(path).faults


def inspect(path: str | Path, on_case: Callable[[int], None] | None = None) -> Inspection:
    """Read a whole trajectory file once and collect its faults and the ranges of its values.

    Checks that the file can be opened and has the right version, that all parts exist with the right shapes,
    that times increase, and that every value is finite and within `fields.Field.valid`, of curves within
    those of `curves.CURVES`. For each field or curve of a case only the first frame with a fault is reported.

    Parameters
    ----------
    path : path
        The trajectory file.
    on_case : callable, optional
        Called with the case number after each case.

    Returns
    -------
    Inspection
    """
    found = Inspection(_faulty_structure(path))
    if found.faults:
        return found
    with Trajectories(path) as trajectories:
        try:
            found.faults += [*_faulty_header(trajectories), *faulty_shapes(trajectories)]
        except DAMAGE as err:
            found.faults.append(f"{path}: damaged trajectory file ({reason(err)})")
        if not found.faults:
            for case in range(trajectories.n_cases):
                try:
                    found.faults += _read_case(trajectories, case, found.ranges)
                except ValueError as err:
                    found.faults.append(str(err))
                if on_case:
                    on_case(case)
    return found


def _faulty_structure(path: str | Path) -> list[str]:
    """Faults that make the file unreadable: wrong format or missing parts."""
    try:
        file = open_file(path)
    except (ValueError, FileNotFoundError) as err:
        return [str(err)]
    try:
        with file:
            found = [f"attribute {a} is missing" for a in _ATTRIBUTES if a not in file.attrs]
            found += [f"{o} is missing" for o in _OBJECTS if o not in file]
            if not found:
                found += _faulty_names(file)
    except DAMAGE as err:
        return [f"{path}: damaged trajectory file ({reason(err)})"]
    if found:
        return found
    try:
        Trajectories(path).close()
    except ValueError as err:
        return [str(err)]
    return []


def _faulty_names(file: Any) -> Iterator[str]:
    """Names that are listed but have no dataset, and fields that the file must have but does not."""
    groups = ("scalars", "t0_fields", "t1_fields", "t2_fields", *([GROUP] if GROUP in file else []))
    for group in groups:
        try:
            missing = [name for name in field_names(file[group]) if name not in file[group]]
        except (TypeError, ValueError, KeyError, AttributeError):
            yield f"{group}: attribute field_names is missing, or no list of names"
            return
        yield from (f"{group}/{name} is listed but missing" for name in missing)
    try:
        check_fields(stored_fields(file))
    except ValueError as err:
        yield str(err)


def _faulty_header(trajectories: Trajectories) -> Iterator[str]:
    """Faults of pixel size, times, scalars and descriptions."""
    times = trajectories.times
    late = first_not_increasing(trajectories.curve_times)
    if late is not None:
        yield f"curves/time must increase, but time {late} is {trajectories.curve_times[late]} s"
    if not (np.isfinite(trajectories.pixel) and trajectories.pixel > 0):
        yield f"pixel size must be positive, it is {trajectories.pixel} m"
    late = first_not_increasing(times)
    if late is not None:
        yield f"time must increase, but frame {late} is at {times[late]} s"
    single = trajectories.raw("dimensions/time")[:]
    if single.shape != times.shape or not np.allclose(single, times, rtol=1e-6, atol=0):
        yield "dimensions/time differs from the attribute frame_times"
    for name, values in trajectories.scalars.items():
        if not np.isfinite(values).all():
            case = int(np.flatnonzero(~np.isfinite(values))[0])
            yield f"scalars/{name}: {values[case]} in case {case}"


def _read_case(
    trajectories: Trajectories, case: int, ranges: dict[str, tuple[float, float]]
) -> Iterator[str]:
    """Extend `ranges` by the values of a case, and yield the first fault of each of its fields and curves."""
    named = set()
    for name, values in trajectories.curves(case).items():
        fault = faulty_value(name, values)
        if fault:
            yield f"case {case}, curve {name}: {fault}"
    for frame in range(trajectories.n_frames):
        images = trajectories.read(case, frames=[frame])[0]
        for name, image in zip(trajectories.fields, images, strict=True):
            fault = None if name in named else faulty_pixel(name, image)
            if fault:
                named.add(name)
                yield f"case {case}, frame {frame}, {name}: {fault}"
            finite = image[np.isfinite(image)] if name in named else image
            if finite.size:
                low, high = ranges.get(name, (np.inf, -np.inf))
                ranges[name] = (min(low, float(finite.min())), max(high, float(finite.max())))


def faulty_pixel(name: str, image: np.ndarray) -> str | None:
    """Describe the worst pixel of an image, with its place.

    Parameters
    ----------
    name : str
        Field of the image.
    image : array (y, x)
        Values in SI units.

    Returns
    -------
    str or None
        None if every value is finite and within the valid range of the field.
    """
    entry = field_table.get(name)
    low, high = (np.float32(v) for v in entry.valid)
    with np.errstate(invalid="ignore"):
        bad = ~((image >= low) & (image <= high))
    if not bad.any():
        return None
    broken = ~np.isfinite(image)
    distance = np.where(broken, np.inf, np.maximum(low - image, image - high))
    y, x = (int(i) for i in np.unravel_index(np.argmax(distance), image.shape))
    count = f"{int(bad.sum())} pixels, the worst at y {y}, x {x}"
    if broken.any():
        return f"value {image[y, x]} is not finite ({count})"
    return f"value {image[y, x]:g} {entry.units} is outside {low:g} to {high:g} ({count})"
