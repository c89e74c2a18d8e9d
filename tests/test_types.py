"""Types of the public face: what pyright makes of the package as someone who uses it would see it."""

import ast
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import mld_closure as mld

KNOWN = 0.95  # least share of public symbols whose type pyright knows


def pyright(*arguments):
    """pyright's report (JSON) on what it is given, for this interpreter."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_the_package_says_that_it_has_types():
    assert resources.files("mld_closure").joinpath("py.typed").is_file()


def test_type_checkers_see_every_public_name_where_it_is_loaded_from():
    tree = ast.parse(Path(mld.__file__).read_text())
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    loaded = {name: home or "mld_closure" for name, home in mld._PUBLIC.items()}
    assert seen == loaded
    assert set(mld.__all__) == {*loaded, "__version__"}
    for name, home in loaded.items():
        found = getattr(mld, name)
        assert getattr(found, "__module__", home) == home, f"{name} is defined in {found.__module__}"


@pytest.mark.system
def test_pyright_knows_the_types_of_public_symbols():
    report = pyright("--verifytypes", "mld_closure", "--ignoreexternal")["typeCompleteness"]
    unknown = [s["name"] for s in report["symbols"] if s["isExported"] and not s["isTypeKnown"]]
    assert report["exportedSymbolCounts"]["withKnownType"] > 1000
    assert report["completenessScore"] > KNOWN, "\n".join(unknown)


@pytest.mark.system
def test_an_editor_knows_what_the_public_functions_return(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        """
import numpy as np
import mld_closure as mld

bundle = mld.Bundle.load("hmx-compact")
reveal_type(bundle.pixel)
reveal_type(mld.open(bundle))
reveal_type(mld.rollout(bundle, np.zeros((3, 32, 32)), 2, load=900.0))
reveal_type(mld.evaluate(bundle, "data.h5"))
reveal_type(mld.Trajectories("data.h5").read(0))
reveal_type(mld.train("compact", "run"))
mld.rollout(bundle, np.zeros((3, 32, 32)), steps="two")
"""
    )
    found = pyright(str(program))["generalDiagnostics"]
    revealed = [d["message"].split('"')[-2] for d in found if d["severity"] == "information"]
    assert revealed[0] == "float"
    assert [name.split("[")[0] for name in revealed[1:]] == [
        "Closure",
        "Prediction",
        "Evaluation",
        "ndarray",
        "Summary",
    ]
    errors = [d["rule"] for d in found if d["severity"] == "error"]
    assert errors == ["reportArgumentType"], found
