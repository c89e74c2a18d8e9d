# %% [markdown]
# # Read the physics: one pore
#
# What the surrogate learns from is a simulation of shocked microstructure. This tutorial simulates the
# smallest one, a single pore, and follows it through its four acts: the shock, the collapse, the hot spot,
# and its burning. Each act is measured, and compared with what is known exactly.

# %%
import numpy as np

from mld_closure.dns.cases import PRESETS, record, with_changes
from mld_closure.dns.exact import shock_from_piston
from mld_closure.dns.microstructure import Ellipse, solid_fraction
from mld_closure.metrics.arrival import front_position
from mld_closure.metrics.hotspots import burned_fraction, hotspot_curves
from mld_closure.viz.plots import draw_frames, save

# %% [markdown]
# ## 1. The shock
#
# A piston of speed `up` drives a shock of speed `us` into solid HMX at rest. Mass, momentum and energy are
# conserved across it (Rankine and Hugoniot), so the state behind it is known exactly.

# %%
UP = 1000.0  # m/s
config = with_changes(PRESETS["micro"], up=(UP, UP))
exact = shock_from_piston(UP, config.material)
print(f"exact shock: us {exact.us:.0f} m/s, p {exact.p / 1e9:.2f} GPa, T {exact.T:.0f} K")

# %% [markdown]
# The frame is 8 um high and 13 um long, in pixels of 50 nm; the shock enters at the left, and a pore 3 um
# wide waits in the middle. Twenty frames, 0.17 ns apart.

# %%
mu = solid_fraction(config.shape, [Ellipse(x=90, y=80, diameter=60)])  # (y, x), 1 solid, 0 void
movie, steps = record(mu, UP, config)  # fields by name, (time, y, x), SI units
times = np.array(config.times)
print(f"{steps} steps of the solver for {1e9 * times[-1]:.2f} ns")

# %% [markdown]
# The front is where the mean pressure of a column crosses half the shock pressure. Until it meets the pore it
# must run at the exact speed.

# %%
front = config.pixel * front_position(movie["pressure"], 0.5 * exact.p)  # m
early = front < config.pixel * 58  # columns before the pore begins
speed = np.polyfit(times[early], front[early], 1)[0]
print(f"front before the pore: {speed:.0f} m/s")

# %% [markdown]
# ## 2. The collapse
#
# A void cannot bear pressure: the material behind it jets into it at about twice the piston speed and hits
# the far wall. The pore is closed when the solid fraction has no hole left.

# %%
hole = movie["microstructure"].min(axis=(1, 2))  # (time,)
closed = int(np.argmax(hole > 0.99))
jet = movie["velocity_x"][:closed].max()
print(f"jet {jet:.0f} m/s; pore closed after {1e9 * times[closed]:.2f} ns")

# %% [markdown]
# ## 3. The hot spot
#
# The impact of the jet heats what it hits. The convention of the literature: hot is what exceeds 875 K. A hot
# spot is told by its area and its mean temperature.

# %%
hot = hotspot_curves(movie["temperature"], config.pixel, config.frame_interval)
print(f"hottest 1 ns after the collapse: {movie['temperature'][closed + 6].max():.0f} K")
print(f"the shock alone heats to {exact.T:.0f} K: without the pore nothing would burn")

# %% [markdown]
# ## 4. The burning
#
# Above 875 K the reaction runs away within nanoseconds; the hot spot burns, and its flame eats into the
# surrounding material. What an engineering code needs is this curve: the burned fraction over time, and its
# rate. The closure returns both, for every cell.

# %%
burned = burned_fraction(movie["reaction_progress"], movie["density"])
print("    ns  hot area um2  mean K  burned")
for i in range(0, len(times), 2):
    print(f"{1e9 * times[i]:6.2f}{1e12 * hot.area[i]:14.3f}{hot.temperature[i]:8.0f}{burned[i]:8.4f}")
names = ("temperature", "pressure", "microstructure")
shown = np.array([2, 6, 10, 19])
frames = np.stack([movie[name][shown] for name in names], axis=1)  # (time, field, y, x)
save(draw_frames(frames, times[shown], names, config.pixel, f"one pore at {UP:.0f} m/s"), "pore.png")

# %% [markdown]
# ## 5. Checked numbers
#
# The front runs at the exact speed within 1 %; nothing is hot before the shock meets the pore; and the hot
# spot grows to 6 % of the frame.

# %%
frame = config.pixel**2 * mu.size  # m2
assert abs(speed / exact.us - 1) < 0.01, "the captured shock runs at the exact speed"
assert hot.area[1] == 0, "the shock alone makes no hot spot"
assert 0.05 < hot.area[-1] / frame < 0.07, "the hot spot grows to 6 % of the frame"
assert (np.diff(burned) > -1e-6).all(), "what has burned stays burned"
print(f"hot at the end: {100 * hot.area[-1] / frame:.2f} % of the frame; wrote pore.png")
