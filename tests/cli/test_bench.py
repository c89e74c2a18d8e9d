"""`mld-closure bench` from the command line."""

import json

import pytest

from mld_closure.cli.main import main


def run(args, capsys):
    with pytest.raises(SystemExit) as end:
        main(args)
    return end.value.code, capsys.readouterr()


def test_models_as_json_and_as_a_table(capsys):
    args = ["bench", "models", "--size", "compact", "--part", "encode", "--batch", "2", "--frame", "32", "32"]
    code, out = run([*args, "--precision", "fp32", "--json"], capsys)
    assert code == 0
    result = json.loads(out.out)
    (row,) = result["results"]
    assert row["gflops"] == pytest.approx(row["gflop"] / row["seconds"])
    assert row["of_peak"] == pytest.approx(row["gflops"] / result["peak_gflops"]["fp32"])
    code, out = run([*args, "--precision", "fp32", "--limit", "1e-9"], capsys)
    assert code == 0
    assert "skipped" in out.out


def test_help_names_the_benchmarks_and_bad_input_ends_with_2(capsys):
    code, out = run(["bench", "--help"], capsys)
    assert code == 0
    assert "dns" in out.out
    assert "models" in out.out
    code, out = run(["bench", "models", "--frame", "33", "32"], capsys)
    assert code == 2
    assert "multiples of 32" in out.err
    assert len(out.err.strip().splitlines()) == 1
    code, out = run(["bench"], capsys)
    assert code == 2
    assert "Usage" in out.err
