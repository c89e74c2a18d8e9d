"""`bench bridge` on one rank, where the installation has the compiled bridge."""

import importlib.util
import json

import pytest

from mld_closure.benchmarks import bridge


@pytest.mark.skipif(
    importlib.util.find_spec("mld_closure._bridge") is None, reason="installed without _bridge"
)
def test_the_same_step_from_python_and_from_cpp(tmp_path, capsys):
    path = bridge._saved(tmp_path / "random")
    bridge.measure(str(path), (2,), (32, 96), 1)
    idle, active = json.loads(capsys.readouterr().out)
    assert (idle["active"], active["active"]) == (0, 2)
    assert 0 < idle["cpp"] < active["cpp"]
    assert 0 < idle["python"] < active["python"]
