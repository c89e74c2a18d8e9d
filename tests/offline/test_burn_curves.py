"""Burn curves trained on small wall frames of two sizes: what the bundle holds, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import mld_closure as mld
from mld_closure.cli.curves import command
from mld_closure.config import ConfigError
from mld_closure.data.trajectories import Trajectories
from mld_closure.dns.cases import PRESETS
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.microstructure import Pores
from mld_closure.offline.burn_curves import train_burn_curves
from mld_closure.simulation import simulate
from mld_closure.training.curve_samples import read_samples

WALL = replace(
    PRESETS["wall"].wall, halo=8, tail=8, parts=4,
    pores=Pores(porosity=(0.05, 0.2), median=(0.9e-6, 1.1e-6), size=(0.8e-6, 1.2e-6)),
)  # fmt: skip
LARGE = replace(PRESETS["wall"], shape=(16, 48), frames=4, frame_interval=5e-9, wall=WALL)
SMALL = replace(LARGE, shape=(16, 28))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wall")
    out = []
    for name, config, count, seed in (("large", LARGE, 7, 1), ("small", SMALL, 7, 2), ("judge", LARGE, 3, 3)):
        out.append(simulate("wall", count, folder / f"{name}.h5", seed=seed, config=config))
    return out


@pytest.fixture(scope="module")
def made(files, tmp_path_factory):
    large, small, judge = files
    return train_burn_curves(
        tmp_path_factory.mktemp("run") / "m", [small, large], [judge], steps=60, threads=1
    )


def test_the_bundle_serves_points_of_the_largest_frames(made, files):
    bundle = mld.Bundle.load(made.bundle)
    options = {"engine": {"patch_shape": (16, 48)}, "load": {"history_exponent": 0.0}}
    with Trajectories(files[0]) as large, mld.open(made.bundle, device="cpu", **options) as closure:
        facts = closure.facts
        assert (facts["patch.parts"], facts["patch.halo"], facts["pixel"]) == (4, 8, large.pixel)
        assert facts["heat"] == Kinetics().Q
        assert facts["p_arrival"] == WALL.arrival
        assert facts["horizon"] == pytest.approx(15e-9)
        solid = large.read(0, ["microstructure"], [0])[0]
        closure.register([3], patches=solid, parts=[2])
        for k in range(3):
            closure.begin_step(k * 4e-9, 4e-9)
            response = closure.advance(pressure=[8e9], entropy=[2e5])
            closure.commit()
    assert 0 < response.burned_fraction[0] < 1
    assert response.uncertainty[0] > 0  # of the cases that judged
    assert bundle.errors["curves"]["cases"] == 3
    assert not int(response.status[0]) & int(mld.Status.MICROSTRUCTURE)  # it knows what it was trained on


def test_only_cases_that_were_not_trained_on_judge(made, files):
    assert [(name.rsplit("/")[-1], one["cases"]) for name, one in made.scores.items()] == [
        ("judge.h5", 3), ("small.h5 (chose)", 1), ("large.h5 (chose)", 1),
    ]  # fmt: skip
    for one in made.scores.values():
        assert 0 < one["network"] < 1
        assert 0 < one["mean_curve"] < 1


def test_narrow_parts_are_taken_together(files):
    from mld_closure.models.curve_net import CurveConfig

    config = CurveConfig(15e-9, 8, halo=8, parts=4, part_width=10)
    with Trajectories(files[1]) as small, Trajectories(files[0]) as large:
        joined, whole = read_samples(small, config), read_samples(large, config)
        curves = small.curves(0)
    assert (joined.parts, whole.parts) == (2, 4)
    assert joined.halo == 8
    late = joined.curves["burned_share"][0, :, -1]
    assert late.max() <= curves["burned_share"][:, 1:].max() + 1e-6
    assert np.isfinite(joined.curves["hot_temperature"]).all()


def test_the_command_goes_on_where_it_was_and_says_how_good_it_is(files, tmp_path):
    large, _, judge = files
    words = [
        str(large),
        "--held-out",
        str(judge),
        "--out",
        str(tmp_path / "m"),
        "--steps",
        "20",
        "--threads",
        "1",
    ]
    first = CliRunner().invoke(command, words)
    assert first.exit_code == 0, first.output
    assert "mean curve" in first.output
    content = mld.Bundle.load(tmp_path / "m/bundle").content_hash()
    again = CliRunner().invoke(command, [*words, "--json"])
    assert '"network"' in again.output
    assert mld.Bundle.load(tmp_path / "m/bundle").content_hash() == content


def test_data_of_another_kind_are_refused(files, tmp_path):
    colder = replace(LARGE, kinetics=replace(LARGE.kinetics, Q=5e6), frames=2)
    other = simulate("wall", 1, tmp_path / "other.h5", seed=9, config=colder)
    with pytest.raises(ConfigError, match="has other kinetics than"):
        train_burn_curves(tmp_path / "m", [files[0], other], steps=2)
    few = simulate("wall", 2, tmp_path / "few.h5", seed=9, config=replace(LARGE, frames=2))
    with pytest.raises(ConfigError, match="a file has 2 cases; at least 7 are needed"):
        train_burn_curves(tmp_path / "m", [few], steps=2)
    assert not (tmp_path / "m/bundle").exists()


def test_frames_without_a_wall_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match="must hold wall frames"):
        train_burn_curves(tmp_path / "m", [data], steps=2)


def test_a_case_whose_shock_never_arrived_teaches_nothing(tmp_path):
    from mld_closure.models.curve_net import CurveConfig

    weak = replace(LARGE, up=(60.0, 70.0), frames=2)
    path = simulate("wall", 2, tmp_path / "weak.h5", seed=4, config=weak)
    with Trajectories(path) as data:
        found = read_samples(data, CurveConfig(5e-9, 8, halo=8, parts=4, part_width=10))
    assert (len(found), found.case.tolist()) == (0, [])
