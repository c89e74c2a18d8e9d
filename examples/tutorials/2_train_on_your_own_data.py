# %% [markdown]
# # Train on your own data
#
# From arrays of your own simulations to a surrogate that serves cells: import, check, train, score, serve.
# Everything is tiny here, so that it takes less than a minute on one core: the point is the way, and the
# numbers at its end show that each step worked, not how good a surrogate can be. A useful one takes 200 small
# and 28 large simulations and two hours of one core (see `examples/02_hmx_compact.py`).

# %%
import json
import subprocess
from pathlib import Path

import numpy as np

import mld_closure as mld
from mld_closure.dns.cases import CaseConfig

folder = Path("own")
folder.mkdir(exist_ok=True)


def command(*words):
    """Run one `mld-closure` command in the folder; an error with its words where it fails."""
    done = subprocess.run(["mld-closure", *map(str, words)], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


# %% [markdown]
# ## 1. Your arrays
#
# A surrogate is trained on two scales. *Micro* movies show one pore each and are cheap; *meso* movies show
# many pores and are dear, and their frames are twice as far apart. Every movie begins when the shock has
# just entered at the left.
#
# Here the package's own simulation plays the part of your code, and the arrays are stored as your code might
# store them: one `.npy` file for each scale, axes (sample, y, x, field, time), fields temperature, pressure
# and solid fraction, scaled to [0, 1].

# %%
STEP = 0.172e-9  # s between micro frames
BOUNDS = {"temperature": (300.0, 5000.0), "pressure": (-2e9, 50e9), "microstructure": (0.0, 1.0)}
SCALES = {
    "micro": (5, CaseConfig("micro", (64, 96), frames=6, frame_interval=STEP, diameter=(14.0, 20.0))),
    "meso": (5, CaseConfig("meso", (64, 96), frames=6, frame_interval=2 * STEP, voids=(1, 6))),
}
for scale, (cases, config) in SCALES.items():
    made = mld.simulate(scale, cases, folder / f"simulated_{scale}.h5", seed=1, config=config)
    with mld.Trajectories(made) as data:
        movies = np.stack([data.read(i, list(BOUNDS)) for i in range(cases)])  # (sample, time, field, y, x)
    for k, (low, high) in enumerate(BOUNDS.values()):
        movies[:, :, k] = (movies[:, :, k] - low) / (high - low)
    np.save(folder / f"{scale}.npy", movies.transpose(0, 3, 4, 2, 1))

# %% [markdown]
# ## 2. Import and check
#
# `import` writes trajectory files: HDF5 with names, SI units, pixel size and times in them. `info` validates
# a file and names what is wrong and where.

# %%
for scale, interval in (("micro", "0.172"), ("meso", "0.344")):
    bounds = [f"--bounds={name}={low}:{high}" for name, (low, high) in BOUNDS.items()]
    command("import", f"{scale}.npy", "--layout", "reference", "--pixel-nm", "50",
            "--frame-ns", interval, *bounds, "--out", f"{scale}.h5")  # fmt: skip
    print(f"{scale}.h5 is", command("info", f"{scale}.h5").split()[-1])

# %% [markdown]
# ## 3. Train
#
# A training is described by a TOML file: the size of the networks, and stages. An autoencoder for each field
# comes first; then the latent dynamics on micro movies, then on meso movies; at last the readout head, which
# reads hot-spot area, temperatures and burned fraction from the latents. `compact` and `hmx-compact` are
# presets to start from.

# %%
(folder / "tiny.toml").write_text("""
micro_validation = 1
meso_validation = 1
validation_windows = 2
model = { preset = "compact", base = 4, evolve_logvar = false }

[[stages]]
name = "vae"
kind = "vae"
phases = [{ steps = 200, crop = 32 }]
losses = { reconstruction = 1.0 }
lr = 3e-3

[[stages]]
name = "coupled"
kind = "coupled"
phases = [{ steps = 30 }]
losses = { mean = 1.0 }

[[stages]]
name = "meso"
kind = "meso"
phases = [{ steps = 50 }]
losses = { mean = 1.0 }

[[stages]]
name = "head"
kind = "head"
phases = [{ steps = 300 }]
losses = { readout = 1.0 }
lr = 3e-3
""")
print(command("train", "tiny.toml", "--micro", "micro.h5", "--meso", "meso.h5", "--out", "run",
              "--budget", 0, "--threads", 1))  # fmt: skip

# %% [markdown]
# ## 4. Score
#
# `evaluate` rolls whole movies out from their first frame and prints the errors beside baselines. Score on
# movies that were not trained on; here one of the five was set aside for validation. The mildest baseline is
# "nothing changes".

# %%
command("evaluate", "run/bundle", "meso.h5", "--threads", 1, "--out", "scores.json")
scores = {
    result["name"]: {row["quantity"]: row["value"] for row in result["table"]}
    for result in json.loads((folder / "scores.json").read_text())["results"]
}
for name in ("bundle", "persistence"):
    print(f"{name:12s} temperature {scores[name]['T']:6.0f} K   pressure {scores[name]['P']:5.2f} GPa")

# %% [markdown]
# ## 5. Serve
#
# The bundle is a folder that a closure opens like the shipped one. A cell takes a patch of the sample, the
# host gives its pressure, and the closure says what has burned.

# %%
sample = mld.Specimen.generate((64, 96), 50e-9, seed=2, porosity=0.1)
with mld.open(folder / "run" / "bundle", device="cpu", threads=1) as closure:
    closure.register([7], patches=np.array(sample.window(0, 0, 96, 64))[None])
    for step in range(6):
        closure.begin_step(step * 0.3e-9, 0.3e-9)
        out = closure.advance(pressure=[8e9])
        closure.commit()
print(f"cell 7: burned {out.burned_fraction[0]:.3f}, {out.mean_pressure[0] / 1e9:.1f} GPa")

# %% [markdown]
# ## 6. Checked numbers

# %%
assert scores["bundle"]["P"] < scores["persistence"]["P"], "better than nothing changes"
assert 0 <= out.burned_fraction[0] <= 1
print(
    f"pressure error {scores['bundle']['P']:.2f} GPa, nothing changes: {scores['persistence']['P']:.2f} GPa"
)
