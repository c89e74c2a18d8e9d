"""Target maps of a readout head: their mean gives the quantities of the frame; the truth has no loss."""

import numpy as np
import pytest
import torch

from mld_closure.models.readout_head import (
    QUANTITIES,
    HeadConfig,
    ReadoutHead,
    pool_maps,
    targets_from_fields,
)
from mld_closure.models.readout_maps import LOCAL_SIZES, curve_loss, maps_from_fields, readout_loss


def frames(seed=0):
    rng = np.random.default_rng(seed)
    out = {
        "temperature": rng.uniform(300, 1200, (3, 16, 24)),
        "pressure": rng.uniform(0, 2e10, (3, 16, 24)),
        "microstructure": rng.uniform(0, 1, (3, 16, 24)),
        "reaction_progress": rng.uniform(0, 1, (3, 16, 24)),
        "density": rng.uniform(1, 2400, (3, 16, 24)),
    }
    out["temperature"][0] = 400.0
    return out


def test_pooled_maps_are_the_quantities_of_the_frame():
    given = frames()
    maps = maps_from_fields(given)
    assert maps.shape == (3, 6, 2, 3)
    pooled = pool_maps(torch.from_numpy(maps)).numpy()
    for i, (name, wanted) in enumerate(targets_from_fields(given).items()):
        name_at = list(QUANTITIES).index(name)
        np.testing.assert_allclose(pooled[:, name_at], wanted, rtol=2e-6, err_msg=f"{i} {name}")


def test_one_latent_pixel_is_the_mean_of_its_block():
    given = frames()
    block = {name: values[2:, 8:16, 16:24] for name, values in given.items()}
    maps = maps_from_fields(given)[2, :, 1, 2]
    wanted = targets_from_fields({n: v for n, v in block.items() if n != "density"})
    np.testing.assert_allclose(maps[3], wanted["mean_temperature"][0], rtol=1e-6)
    np.testing.assert_allclose(maps[5], wanted["porosity"][0], rtol=1e-5)
    hot = wanted["hotspot_area_fraction"] * wanted["hotspot_temperature"]
    np.testing.assert_allclose(maps[1], hot[0], rtol=1e-6)


def test_loss_is_zero_at_the_truth_and_counts_errors_in_their_sizes():
    maps = torch.from_numpy(maps_from_fields(frames())).double()
    assert readout_loss(maps, maps).item() == 0
    off = maps.clone()
    off[:, 4] += LOCAL_SIZES[4]
    pooled = (LOCAL_SIZES[4] / QUANTITIES["mean_pressure"][1]) ** 2
    assert readout_loss(off, maps).item() == pytest.approx(1 + pooled, rel=1e-6)


def test_curve_loss_counts_the_whole_in_hundredths():
    maps = torch.from_numpy(maps_from_fields(frames())).double()
    moved = maps.roll(1, dims=-1)
    assert curve_loss(moved, maps).item() == pytest.approx(0.0, abs=1e-12)
    off = maps.clone()
    off[:, 0] += 0.03  # hot area
    off[:, 2] -= 0.04  # burned fraction
    off[:, 4] += 1e9  # pressure, which this loss ignores
    assert curve_loss(off, maps).item() == pytest.approx(3.0**2 + 4.0**2, rel=1e-9)
    maps[:, 2] = torch.nan
    assert curve_loss(off, maps).item() == pytest.approx(3.0**2, rel=1e-9)


def test_what_the_data_do_not_say_does_not_count():
    given = frames()
    del given["reaction_progress"]
    maps = torch.from_numpy(maps_from_fields(given))
    off = torch.nan_to_num(maps, nan=0.7)
    assert readout_loss(off, maps).item() == 0
    off.requires_grad_(True)
    readout_loss(off, maps).backward()
    assert torch.isfinite(off.grad).all()


def test_a_head_reads_its_own_maps():
    torch.manual_seed(0)
    head = ReadoutHead(HeadConfig(latent_size=4, width=8))
    z = torch.randn(2, 4, 6, 8)
    assert torch.equal(head(z), pool_maps(head.maps(z)))
    assert head.maps(z).shape == (2, 6, 6, 8)
