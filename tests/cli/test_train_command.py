"""`mld-closure train`: help without torch, one clear line on bad input, a stop that can be continued."""

import json
import subprocess
import sys

import numpy as np
import pytest

from mld_closure.cli.main import main
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories

TOML = """
micro_validation = 1
record_every = 1
[model]
base = 2
evolve_logvar = false
[[stages]]
name = "vae"
kind = "vae"
losses = { reconstruction = 1.0 }
phases = [{ steps = 4, crop = 16 }]
batch = 1
[[stages]]
name = "decoupled"
kind = "decoupled"
losses = { mean = 1.0 }
phases = [{ steps = 2 }]
batch = 1
"""


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    spec = TrajectorySpec(
        2, (32, 32), 50e-9, (0.0, 1e-10, 2e-10), fields=("temperature", "pressure", "microstructure")
    )
    cases = [
        (i, {n: rng.random((3, 32, 32)).astype(np.float32) for n in spec.fields}, {}, {}) for i in range(2)
    ]
    data = write_trajectories(tmp_path / "micro.h5", spec, cases)
    (tmp_path / "tiny.toml").write_text(TOML)
    return ["train", str(tmp_path / "tiny.toml"), "--micro", str(data), "--threads", "1", "--device", "cpu"]


def run(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code, *capsys.readouterr()


def test_a_stopped_run_goes_on(files, tmp_path, capsys):
    files = [*files, "--out", str(tmp_path / "run")]
    code, out, _ = run([*files, "--stop-after", "1e-9", "--json"], capsys)
    assert code == 0
    answer = json.loads(out)
    assert answer["steps"] == {"vae-temperature": 1}
    assert answer["bundle"] is None
    code, out, _ = run([*files, "--stage", "vae"], capsys)
    assert code == 0
    assert "not finished: decoupled; the same command goes on" in out
    code, out, _ = run([*files, "--json"], capsys)
    answer = json.loads(out)
    assert answer["open"] == []
    assert answer["steps"]["decoupled"] == 2
    assert answer["bundle"] == str(tmp_path / "run/bundle")
    assert (tmp_path / "run/losses.png").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ["nothing.toml"],
            "no such training configuration: nothing.toml; give a file or compact | hmx-compact | paper",
        ),
        (["compact", "--stage", "vea"], "no stage 'vea'; stages: vae-temperature"),
        (["compact", "--device", "tpu"], "device 'tpu': choose auto | cpu | cuda"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(files, tmp_path, capsys, change, message):
    code, out, err = run(["train", *change, *files[2:4], "--out", str(tmp_path / "run")], capsys)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_help_needs_no_torch():
    code = (
        "import sys\nfrom mld_closure.cli.main import main\n"
        "try: main(['train', '--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "--budget 25" in done.stdout
