"""What is kept of a run as it goes: the fields of a frame, and the columns of the table of steps."""

from __future__ import annotations

FLOW = ("pressure", "temperature", "density", "velocity_x", "velocity_y", "reaction_progress")
BURNING = {"burned_fraction": "1", "burn_rate": "1/s"}
READOUT = {  # of a surrogate
    "hotspot_temperature": "K",
    "hotspot_area_fraction": "1",
    "uncertainty": "1/s",
    "status": "1",
}
NETWORKS = ("gather", "encode", "evolve", "readout")  # parts of a surrogate's time
SECONDS = ("hydro", *NETWORKS, "rest_of_closure")
STEP = {
    "step": "1",
    "time": "s",
    "dt": "s",
    "rejected": "1",
    "forced": "1",
    "active_cells": "1",
    "burned_cells": "1",
    "mean_burned_fraction": "1",
    "released": "J/m",
    "peak_pressure": "Pa",
    "front": "m",
    "distance": "m",
    **{f"seconds_{part}": "s" for part in SECONDS},
}
BURNED = 0.999  # burned fraction from which a cell counts as burned


def frame_fields(rows: int, surrogate: bool) -> list[str]:
    """Names of the fields of a frame, in their order in the file."""
    flow = [name for name in FLOW if name != "velocity_y" or rows > 1]
    return [*flow, *BURNING, *(READOUT if surrogate else ())]
