"""`mld-closure import keras` on the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mld_closure.cli.import_keras import command
from mld_closure.models.bundle import Bundle

PARITY = Path(__file__).resolve().parents[1] / "data" / "parity"


def run(*args):
    return CliRunner().invoke(command, [str(a) for a in args])


def test_makes_a_bundle(tmp_path):
    out = tmp_path / "b"
    told = run(PARITY, "--out", out, "--pixel-nm", 40, "--micro-step-ns", 0.2, "--json")
    assert told.exit_code == 0, told.output
    text = json.loads(told.output)
    bundle = Bundle.load(out)
    assert bundle.pixel == pytest.approx(40e-9)
    assert text["meso_step"] == bundle.meso_step == pytest.approx(0.4e-9)
    assert text["content_hash"] == bundle.content_hash()
    again = run(PARITY, "--out", out)
    assert isinstance(again.exception, FileExistsError)
    table = run(PARITY, "--out", out, "--overwrite")
    assert table.exit_code == 0
    assert "temperature, pressure, microstructure" in table.output


def test_help_has_an_example():
    assert "mld-closure import keras weights --out" in run("--help").output


def test_directory_without_weights(tmp_path):
    told = run(tmp_path, "--out", tmp_path / "b")
    assert isinstance(told.exception, FileNotFoundError)
    assert "temperature_encoder.h5" in str(told.exception)
