"""Simulate two pore collapses, read one back and measure its hot spot. Takes about 20 s on one core."""

from pathlib import Path
from tempfile import TemporaryDirectory

import mld_closure as mld
from mld_closure.metrics.hotspots import hot_fraction


def main() -> None:
    with TemporaryDirectory() as folder:
        path = mld.simulate("micro", 2, Path(folder) / "two.h5", seed=3, up=(950.0, 1050.0), workers=2)
        with mld.Trajectories(path) as data:
            temperature = data.read(0, ["temperature"])[:, 0]  # (time, y, x), K
            up = data.scalars["piston_speed"][0]
    area = hot_fraction(temperature)
    print(f"piston {up:.0f} m/s: {100 * area[-1]:.2f} % of the frame above 875 K at the end")
    assert area[0] == 0, "the movie starts cold"
    assert area[-1] > 0.005, "the pore lit up"


if __name__ == "__main__":
    main()
