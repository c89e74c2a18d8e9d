"""The command `run` with a surrogate of random networks: what it records, and restarts to the bit."""

import csv
import json

import h5py
import numpy as np
import pytest

from mld_closure.cli.main import main
from mld_closure.closure.fallback.request import FallbackRequest
from mld_closure.closure.policies import Status
from mld_closure.config import ConfigError
from mld_closure.dns.cases import PRESETS, record, with_changes
from mld_closure.dns.load_table import load_table
from mld_closure.dns.microstructure import Ellipse, solid_fraction
from mld_closure.models.readout_head import stack_targets, targets_from_fields
from mld_closure.study.fallbacks import make_fallback
from mld_closure.surrogate import frame0 as load

CASE = """
cells = {cells}
rows = {rows}
cell_size = 2.4e-6
piston_speed = 900
porosity = 0.1
end_time = {end}
[closure]
kind = "surrogate"
bundle = "{bundle}"
options = {{ seed = 3, threads = 1, device = "cpu", engine = {{ patch_shape = [32, 32], micro_batch = 4 }} }}
[[blocks]]
x = 1.2e-5
y = 0.0
width = 2.4e-6
height = 1.0
porosity = 0.0
"""


@pytest.fixture
def case(drawn_case, undrawn):
    return drawn_case


@pytest.fixture
def drawn_case(kit, tmp_path):
    bundle = kit.bundle(evolve_logvar=True)
    bundle.extras[load.EXTRA] = kit.table().to_extra()
    bundle.save(tmp_path / "bundle")

    def write(cells=12, rows=1, end=6e-9):
        path = tmp_path / f"case-{rows}.toml"
        path.write_text(CASE.format(cells=cells, rows=rows, end=end, bundle=tmp_path / "bundle"))
        return path

    return write


def run(*words):
    with pytest.raises(SystemExit) as end:
        main(["run", *map(str, words)])
    return int(end.value.code or 0)


def results(folder):
    with h5py.File(folder / "history.h5") as file:
        fields = {name: item[()] for name, item in file["fields"].items()}
    with open(folder / "steps.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return fields, rows


def test_a_surrogate_burns_a_slab_and_a_restart_gives_its_bits(case, tmp_path, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(case(), "--out", whole, "--checkpoint-every", 6, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    fields, rows = results(whole)
    assert sum(found["closure_status"].values()) == 12
    assert found["closure_status"]["IDLE"] < 12
    assert all(found["seconds"][part] > 0 for part in ("hydro", "gather", "encode", "evolve", "readout"))
    assert max(int(r["active_cells"]) for r in rows) > 0
    assert fields["hotspot_temperature"].max() > 0
    assert (np.diff(fields["burned_fraction"], axis=0) >= 0).all()
    assert fields["status"].max() > 0
    served = [int(r["step"]) for r in rows if int(r["active_cells"]) and int(r["step"]) % 6 == 0]
    start = whole / f"checkpoints/step-{served[0]:08d}"
    assert run(case(), "--out", cut, "--restart", start) == 0
    again, rows_again = results(cut)
    assert all(np.array_equal(fields[name], again[name]) for name in fields)
    for row in (*rows, *rows_again):
        for part in [name for name in row if name.startswith("seconds")]:
            del row[part]
    assert rows == rows_again


def test_cells_take_their_own_patch_of_the_specimen(case, kit):
    from mld_closure import config
    from mld_closure.patches.specimen import Specimen
    from mld_closure.study.case import Case
    from mld_closure.study.opening import open_closure

    macro = config.load(Case, case(rows=2))
    closure = open_closure(macro)
    sample = Specimen.generate((400, 900), kit.PIXEL, 3, porosity=0.1)
    step = round(macro.cell_size / kit.PIXEL)
    for number in (0, 3, 12, 23):  # ids run along x, row by row
        row, column = divmod(number, 12)
        (patch,) = closure._sources.gather(closure._cells.rows(np.array([number])))
        assert np.array_equal(patch, sample.window(step * column, step * row, 32, 32)), number
    solid = closure._sources.gather(closure._cells.rows(np.array([5, 17])))
    assert (solid == 1).all()
    closure.close()


def test_a_surrogate_in_two_dimensions_draws_maps(drawn_case, tmp_path):
    out = tmp_path / "plane"
    assert run(drawn_case(rows=3, end=2e-9), "--out", out, "--frames", 10, "--device", "cpu") == 0
    fields, _ = results(out)
    assert fields["pressure"].shape[1:] == (3, 12)
    assert "velocity_y" in fields
    assert (out / "maps.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("change", "words"),
    [("seed = 3", "horizn = 3"), ('"cpu"', '"abacus"')],
)
def test_wrong_options_end_with_one_line(case, tmp_path, capsys, change, words):
    path = case()
    path.write_text(path.read_text().replace(change, words))
    assert run(path, "--out", tmp_path / "o") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words.split()[0].strip('"') in err


LAW = "{ kind = 'ignition-growth', I = 1e9, a = 0.0, b = 1.0, x = 1.0, G1 = 0.0, c = 1.0, d = 0.0, y = 1.0 }"


def test_a_case_names_its_fallback(case, tmp_path, capsys):
    path = case()
    text = path.read_text().replace("piston_speed = 900", "piston_speed = 1900")
    path.write_text(
        text.replace("seed = 3", f"seed = 3, policy.on_extrapolation = 'fallback', fallback = {LAW}")
    )
    assert run(path, "--out", tmp_path / "o", "--json") == 0
    fields, _ = results(tmp_path / "o")
    helped = (fields["status"][-1].astype(int) & Status.FALLBACK) != 0
    assert helped.any()
    assert (fields["burned_fraction"][-1][helped] > 0).all()
    assert np.isfinite(fields["burned_fraction"]).all()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("dsn", r"fallback 'dsn': choose dns \| ignition-growth"),
        ({"kind": "dns", "I": 3}, "takes no constants, got I"),
        ({"kind": "ignition-growth", "G3": 1.0}, "unknown key 'G3'"),
        ({"kind": "ignition-growth", "I": 1.0}, "missing 7 required"),
    ],
)
def test_fallbacks_that_make_no_sense(kit, choice, message):
    bundle = kit.bundle()
    bundle.extras[load.EXTRA] = kit.table().to_extra()
    with pytest.raises(ConfigError, match=message):
        make_fallback(choice, bundle)


def test_the_dns_by_name_is_the_dns_of_the_patch(kit):
    bundle = kit.bundle()
    bundle.horizon = 3
    mu = solid_fraction((32, 96), [Ellipse(60.0, 16.0, 20.0)])
    case = with_changes(
        PRESETS["micro"], shape=mu.shape, frames=4, frame_interval=bundle.meso_step, pixel=bundle.pixel
    )
    truth = stack_targets(targets_from_fields(record(mu, 1300.0, case)[0]))
    request = FallbackRequest(
        ids=np.array([1]), patches=lambda: mu[None], up=np.array([1300.0]), shock_pressure=np.array([14e9]),
        pressure=np.array([14e9]), since=np.zeros(1), until=np.array([2.5 * bundle.meso_step]),
        before=np.zeros((1, 6)), dt=np.array([2.5 * bundle.meso_step]),
    )  # fmt: skip
    bundle.extras[load.EXTRA] = load.LoadTable.from_arrays(load_table((800.0, 1300.0), kit.PIXEL)).to_extra()
    got, frame = make_fallback("dns", bundle)(request)[0], 0.5 * (truth[2] + truth[3])
    np.testing.assert_allclose(np.delete(got, 2), np.delete(frame, 2), rtol=1e-6)
    assert got[1] > 875  # K, the pore has collapsed
    assert 1.3 * frame[2] < got[2] < 1  # of the cell's own material: more than a quarter has flowed in
