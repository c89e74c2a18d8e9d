"""`mld-closure bench closure`: its figures follow from each other, and what it refuses."""

import json

import pytest

from mld_closure.cli.main import main

SMALL = ["bench", "closure", "--frame", "32", "96", "--batch", "2"]


def run(args, capsys):
    with pytest.raises(SystemExit) as end:
        main(args)
    return end.value.code, capsys.readouterr()


def test_figures_as_json(capsys):
    code, out = run([*SMALL, "--decode-field", "temperature", "--json"], capsys)
    assert code == 0
    found = json.loads(out.out)
    rows = {(r["readout"], r["precision"]): r for r in found["results"]}
    assert set(rows) == {
        ("head", "fp32"), ("head", "bf16"), ("decode", "fp32"), ("decode", "bf16"), ("decode", "bf16-decode"),
    }  # fmt: skip
    for (_, precision), row in rows.items():
        assert row["cell_frames_per_second"] == pytest.approx(1 / row["seconds"])
        peak = found["peak_gflops"][precision.removesuffix("-decode")]
        assert row["of_peak"] == pytest.approx(row["gflop"] / row["seconds"] / peak)
        life = row["encode_seconds"] + found["horizon"] * row["seconds"]
        assert row["to_dns"] == pytest.approx(found["horizon"] * found["dns_seconds_per_frame"] / life)
    # a meso step without log-variances is 1.7 GFLOP at 320 x 480, a decoded field 59.4 / 3
    share = 32 * 96 / (320 * 480)
    head, decode = (rows[name, "fp32"]["gflop"] for name in ("head", "decode"))
    step = decode - 59.4 / 3 * share
    assert step == pytest.approx(1.7 * share, rel=0.05)
    assert step < head < 1.1 * step
    assert 0 < found["idle_seconds_per_1000_cells"]["advance"] < 1e-3


def test_reading_fewer_frames_saves_readouts_alone(capsys):
    words = ["--readout", "decode", "--precision", "fp32", "--read-every", "1", "--read-every", "3"]
    code, out = run([*SMALL, *words, "--json"], capsys)
    assert code == 0
    each, third = json.loads(out.out)["results"]
    assert (each["read_every"], third["read_every"]) == (1, 3)
    readout = 1.5 * (each["gflop"] - third["gflop"])  # two of three
    decoder = 59.4 * 32 * 96 / (320 * 480)
    assert readout == pytest.approx(decoder, rel=0.05)


def test_the_table_says_what_was_timed_and_what_was_left_out(capsys):
    code, out = run([*SMALL, "--readout", "head", "--precision", "fp32", "--limit", "1e-9"], capsys)
    assert code == 0
    assert "skipped" in out.out
    assert "per thousand cells (target: under 50)" in out.out


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--frame", "33", "96"], "multiples of 32"), (["no-such-bundle"], "no bundle at no-such-bundle")],
)
def test_bad_input_ends_with_one_line(capsys, words, message):
    code, out = run(["bench", "closure", *words], capsys)
    assert (code, out.err.count("\n")) == (2, 1)
    assert message in out.err
