"""`mld-closure strip`: one command from a microstructure to a file."""

import json

import pytest

from mld_closure.cli.main import main
from mld_closure.dns.strip_file import Strip


def test_a_short_strip_is_simulated_and_written(tmp_path, capsys):
    out = tmp_path / "strip.npz"
    with pytest.raises(SystemExit) as end:
        main(["strip", "--up", "1.2", "--patches", "1", "--end", "2.2", "--out", str(out), "--json"])
    assert not end.value.code
    said = json.loads(capsys.readouterr().out)
    assert said["patches"] == 1
    assert said["bytes"] == out.stat().st_size < 1e6
    strip = Strip.load(out)
    assert (strip.up, strip.solid.shape) == (1200.0, (64, 280))
    assert 1e-9 < strip.arrival[0, 0] < 2.2e-9
    assert not list(tmp_path.glob("*.part"))
