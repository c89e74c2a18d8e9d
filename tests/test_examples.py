"""Every example runs and ends with its checked number; every README command parses; its Python block runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mld_closure.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.system
@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_example(example, tmp_path):
    quick = ["--quick"] if '"--quick"' in example.read_text() else []
    command = [sys.executable, example, *quick]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    assert run.stdout


def shell_lines():
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    commands = [c.strip() for b in blocks for line in b.splitlines() for c in line.split("&&")]
    return [c for c in commands if c.startswith("mld-closure")]


@pytest.mark.parametrize("line", shell_lines())
def test_readme_command_exists_with_its_options(line):
    words = shlex.split(line)[1:]
    command = cli
    while isinstance(command, click.Group):
        context = click.Context(command)
        command = command.get_command(context, words.pop(0))
        assert command is not None, line
    for word in words:
        if word.startswith("--"):
            assert any(word in (*p.opts, *p.secondary_opts) for p in command.params), f"{word} in: {line}"


def test_readme_python_runs(tmp_path):
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    run = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr


def test_readme_has_the_two_set_up_commands():
    blocks = re.findall(r"```sh\n(python3 -m venv.*?)```", README, re.S)
    assert len(blocks) == 2
    assert "mld-closure demo" in blocks[0]
    assert blocks[1].rstrip().endswith("pytest")
