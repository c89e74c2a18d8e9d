"""The command `export`: what it refuses before it compiles, and the table it prints."""

import json

import pytest
from click.testing import CliRunner

from mld_closure.cli import export
from mld_closure.cli.main import cli, main

FOUND = {
    "compile_seconds": 80.0,
    "cells": 8,
    "frames": 25,
    "seconds": {"eager": 0.042, "compiled": 0.035},
    "speedup": 1.2,
    "latents": {
        "compiled_to_eager": [1e-6, 2e-5],
        "eager_to_fp32": [3e-3, 4e-2],
        "greatest": [4.0, 5.0],
    },
    "readouts": {"compiled_to_eager": {"burned_fraction": 7e-7}, "eager_to_fp32": {"burned_fraction": 6e-3}},
}


@pytest.fixture
def stubbed(monkeypatch):
    """The command with compiler and comparison replaced by a file of 9 MB and the numbers above."""
    from mld_closure.models.bundle import Bundle
    from mld_closure.surrogate import export as room

    calls = []

    def make(bundle, out, **options):
        calls.append(options)
        with open(out, "wb") as file:
            file.truncate(9_000_000)

    monkeypatch.setattr(Bundle, "load", lambda path: path)
    monkeypatch.setattr(room, "export", make)
    monkeypatch.setattr(room, "compare", lambda bundle, path, device: dict(FOUND))
    return calls


def test_the_numbers_are_printed(stubbed, tmp_path):
    words = ["export", "b", "--out", str(tmp_path / "s.pt2"), "--precision", "bf16", "--micro-batch", "4"]
    run = CliRunner().invoke(cli, words, env={"COLUMNS": "120"})
    assert run.exit_code == 0, run.output
    for text in ("42.0 ms", "35.0 ms, 1.20 times", "1e-06 of 4", "0.04 of 5", "7e-07", "9 MB"):
        assert text in run.output
    assert stubbed == [{"frame_shape": (320, 480), "scale": "meso", "precision": "bf16", "micro_batch": 4}]
    run = CliRunner().invoke(
        cli, ["export", "b", "--out", str(tmp_path / "t.pt2"), "--scale", "micro", "--json"]
    )
    assert json.loads(run.output)["latents"] == FOUND["latents"]
    assert stubbed[1]["frame_shape"] == (160, 256)


def test_rows_without_a_head():
    rows = export._rows({**FOUND, "bytes": 1e7, "readouts": None})
    assert len(rows) == 7


def test_a_missing_bundle_ends_with_one_line(capsys, tmp_path):
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "none"), "--out", str(tmp_path / "s.pt2")])
    err = capsys.readouterr().err
    assert (end.value.code, err.count("\n")) == (2, 1)
    assert "no bundle at" in err
    assert not list(tmp_path.iterdir())
