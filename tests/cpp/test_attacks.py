"""A host keeps what is its own: its signals, its memory beyond what it passes, its children after a fork."""

import os
import signal
import subprocess

import pytest


@pytest.fixture(scope="module")
def attack(build, bundle):
    """Runs one of the programs of attacks.cpp to its end."""

    def run(what):
        program = build / "cpp_bridge/tests/attacks"
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.run([program, bundle, what], capture_output=True, text=True, timeout=600, env=env)

    return run


@pytest.mark.parametrize("what", ["signals", "lengths", "fork_in_a_call", "fork_before"])
def test_held(attack, what):
    found = attack(what)
    assert found.returncode == 0, found.stderr
    assert "held" in found.stdout


def test_a_host_ends_on_an_interrupt_as_before(attack):
    found = attack("interrupt")
    assert found.returncode == -signal.SIGINT, (found.returncode, found.stderr)
    assert "held" in found.stdout
