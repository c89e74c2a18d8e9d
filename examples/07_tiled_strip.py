"""Roll out a strip wider than one model frame by tiles, beside the simulation (DNS) of the same strip.

    mpirun -n 2 python -m mpi4py examples/07_tiled_strip.py --bundle hmx-compact --strip 320 960 \\
        --tile 320 480 --overlaps 0 64 128 256 --steps 24 --dns strip.npz --plot overlap.png
    python examples/07_tiled_strip.py        random networks and a small strip: checks the tiles alone

For each overlap it prints the error of the temperature field against the DNS, and against the same networks
on the whole strip at once, which tells what the tiles add; --plot draws both. --dns keeps the simulation in a
file, and reads it where it is there and of this strip. Takes ten seconds as it stands.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
import torch

import mld_closure as mld
from mld_closure import fields as field_table
from mld_closure.dns.eos import Material
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.loading import shocked_solver
from mld_closure.runtime.tiled import tiled_rollout
from mld_closure.surrogate.frame0 import LoadTable
from mld_closure.testing import random_networks
from mld_closure.viz.plots import save
from mld_closure.viz.tiles import draw_overlap


def simulate(mu: np.ndarray, up: float, bundle: mld.Bundle, steps: int) -> np.ndarray:
    """Temperature (steps, y, x) in K of the DNS at the model's frame times, float32."""
    solver = shocked_solver(mu, up, bundle.pixel, Material(), Kinetics())
    frames = []
    for n in range(steps):
        solver.run((n + 1) * bundle.meso_step)
        frames.append(solver.fields()["temperature"])
    return np.array(frames, np.float32)


def simulated(path: Path | None, mu: np.ndarray, up: float, bundle: mld.Bundle, steps: int) -> np.ndarray:
    """What `simulate` gives, from a file where that holds it; written there otherwise."""
    strip = np.array([*mu.shape, zlib.crc32(mu), up, bundle.pixel, bundle.meso_step])
    if path is not None and path.exists():
        with np.load(path) as file:
            if np.array_equal(file["strip"], strip) and len(kept := file["temperature"]) >= steps:
                return kept[:steps]
    frames = simulate(mu, up, bundle, steps)
    if path is not None:
        with open(path, "wb") as file:
            np.savez(file, temperature=frames, strip=strip)
    return frames


def main() -> None:
    parse = argparse.ArgumentParser()
    parse.add_argument("--bundle")
    parse.add_argument("--strip", type=int, nargs=2, default=(64, 256))
    parse.add_argument("--tile", type=int, nargs=2, default=(64, 128))
    parse.add_argument("--overlaps", type=int, nargs="+", default=(0, 32, 96))
    parse.add_argument("--steps", type=int, default=3)
    parse.add_argument("--up", type=float, default=900.0)
    parse.add_argument("--dns", type=Path)
    parse.add_argument("--plot", type=Path)
    args = parse.parse_args()
    overlaps = sorted(set(args.overlaps))
    if len(overlaps) < 2:
        parse.error("--overlaps: give two or more, to compare")
    comm, up = mld.default_comm(), args.up
    torch.set_num_threads(1)
    bundle = mld.Bundle.load(args.bundle) if args.bundle else random_networks()
    model, table, (ny, nx) = bundle.meso, LoadTable.from_bundle(bundle), args.strip
    mu = mld.Specimen.generate((ny, nx), bundle.pixel, 4, porosity=0.1).window(0, 0, nx, ny).copy()
    mu[:, : table.columns] = 1.0
    names = model.config.fields
    frame = table.frame0(mu[None], np.array([up]), names)[0]
    frame = np.stack([field_table.get(name).scale(f) for name, f in zip(names, frame, strict=True)])
    temperature, whole = field_table.get("temperature"), None
    if comm.rank == 0:
        truth = simulated(args.dns, mu, up, bundle, args.steps)
        with torch.inference_mode():
            load = torch.tensor([model.config.scale_load(up)], dtype=torch.float32)
            start = torch.from_numpy(frame[None])
            whole = model.trajectory(start, args.steps, load=load, fields=["temperature"])[0, :, 0].numpy()
    added, errors = [], []
    for overlap in overlaps:
        tiles = tiled_rollout(model, (ny, nx), tuple(args.tile), overlap, comm=comm)
        found = tiles.rollout(frame, args.steps, up, ["temperature"])[:, 0]
        if comm.rank == 0:
            added.append(rms(temperature.unscale(found) - temperature.unscale(whole)))
            errors.append(rms(temperature.unscale(found) - truth))
            print(
                f"overlap {overlap:4d} pixels, {len(tiles.pixels)} tiles on {comm.size} ranks: "
                f"{errors[-1]:7.1f} K from the DNS, {added[-1]:7.2f} K from the networks on the whole strip"
            )
    if comm.rank == 0:
        if args.plot:
            curves = {"the simulation": errors, "the networks on the whole strip": added}
            title = f"strip of {ny} x {nx} pixels, tiles of {args.tile[0]} x {args.tile[1]}"
            save(draw_overlap(overlaps, curves, title), args.plot)
        assert added[-1] < added[0], "overlap brings tiles closer to the whole strip"


def rms(difference: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))


if __name__ == "__main__":
    main()
