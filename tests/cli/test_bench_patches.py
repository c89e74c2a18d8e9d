"""`mld-closure bench patches` from the command line."""

import json

import pytest

from mld_closure.cli.main import main


def test_figures_as_json_and_as_a_table(capsys):
    args = ["bench", "patches", "--patch", "32", "64", "--image", "1", "--repeats", "1"]
    with pytest.raises(SystemExit) as end:
        main([*args, "--json"])
    assert end.value.code == 0
    m = json.loads(capsys.readouterr().out)
    assert m["gather_of_copy"] == pytest.approx(m["gather"] / m["copy"])
    assert m["scatter_of_add"] == pytest.approx(m["scatter_add"] / m["add"])
    assert 0 < m["description"]["share"] < 1
    assert m["patches"] * 32 * 64 * 4 <= m["image_bytes"]
    with pytest.raises(SystemExit) as end:
        main(args)
    assert end.value.code == 0
    assert "plain copy" in capsys.readouterr().out
