"""Write bundles of random tiny networks, enough to run every host: make_bundle.py FOLDER [CURVES].

CURVES: folder of a second one, of burn curves, for hosts with material points.
"""

import sys

import numpy as np
import torch

from mld_closure.models import readout_head
from mld_closure.models.bundle import Bundle
from mld_closure.models.dynamics import MesoDynamics, MicroDynamics
from mld_closure.models.readout_head import HeadConfig, ReadoutHead
from mld_closure.models.settings import ModelConfig
from mld_closure.surrogate import frame0 as load
from mld_closure.surrogate.frame0 import LoadTable
from mld_closure.testing import random_curves

PARTS = 8  # of a patch of burn curves
PIXEL, STEP, HORIZON = 50e-9, 0.4e-9, 12
FRONT, ENTRY, RHO0 = 8, 12, 1900.0


def table() -> LoadTable:
    """Hugoniot of us = 2650 + 2.38 up, and a shock of 8 pixels."""
    up = np.arange(300.0, 1701.0, 100.0)
    us = 2650.0 + 2.38 * up
    p, T = RHO0 * us * up, 300 + 1e-4 * up**2
    behind = np.arange(16) < FRONT
    profile = np.ones((len(up), 3, 16))
    profile[:, 0] = np.where(behind, T[:, None], 300.0)
    profile[:, 1] = np.where(behind, p[:, None], 0.0)
    return LoadTable(
        up=up, us=us, p=p, rho=RHO0 * us / (us - up), T=T, profile=profile, wave=np.full(len(up), ENTRY),
        profile_fields=("temperature", "pressure", "microstructure"), front_column=FRONT, pixel=PIXEL,
        rho0=RHO0, rho_void=1.9, T0=300.0,
    )  # fmt: skip


def bundle(seed: int = 9, base: int = 2) -> Bundle:
    """The same weights for the same arguments; one micro step a frame, as fewer networks are quicker.

    Those of the default seed keep burning for all frames, at rates that differ between cells.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = ModelConfig(base=base, residual=True, standardize=True, meso_micro_ratio=1)
    micro = MicroDynamics(config)
    meso = MesoDynamics.from_micro(micro)
    head = ReadoutHead(HeadConfig(config.latent_size, width=4, depth=1))
    with torch.no_grad():
        for p in meso.coupled_mean.out.parameters():
            p.mul_(2.0)
        head.local.weight.mul_(8.0)
    extras = {readout_head.EXTRA: head.to_extra(), load.EXTRA: table().to_extra()}
    return Bundle(
        micro.eval(), meso.eval(), pixel=PIXEL, micro_step=STEP, horizon=HORIZON,
        load_range=(500.0, 1400.0), extras=extras,
    )  # fmt: skip


if __name__ == "__main__":
    bundle().save(sys.argv[1], overwrite=True)
    for folder in sys.argv[2:]:
        random_curves(parts=PARTS).save(folder, overwrite=True)
