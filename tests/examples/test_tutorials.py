"""Every tutorial runs from an empty folder, is a script with text cells, and ends with a checked number."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples/tutorials"
TUTORIALS = sorted(FOLDER.glob("*.py"))


def test_there_are_three():
    assert [path.stem[:1] for path in TUTORIALS] == ["1", "2", "3"]


@pytest.mark.system
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path, tmp_path):
    run = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_has_text_cells_and_ends_with_a_checked_number(path):
    source = path.read_text()
    cells = source.split("\n# %%")
    assert source.startswith("# %% [markdown]\n# # ")
    text = [cell for cell in cells[1:] if cell.startswith(" [markdown]")]
    assert len(text) >= 4
    for cell in text:
        assert all(line.startswith("#") for line in cell.splitlines()[1:] if line), cell
    assert any(isinstance(node, ast.Assert) for node in ast.parse(cells[-1].partition("\n")[2]).body)
