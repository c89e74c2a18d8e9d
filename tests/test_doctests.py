"""The examples in the docstrings of the public names run, in a folder with two small data files."""

import doctest
import importlib
import inspect

import numpy as np
import pytest
import torch

import mld_closure as mld
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories
from mld_closure.dns.cases import MICRO_STEP

OBJECTS = ("Closure", "Response", "Status")  # that calls return: an example suffices
# functions and classes whose docstrings must have every section and an example that runs
WITH_EXAMPLES = {
    "Bundle",
    "Specimen",
    "Trajectories",
    "evaluate",
    "open",
    "predict",
    "replay",
    "rollout",
    "run",
    "simulate",
    "train",
}
MODULES = ("mld_closure.errors", "mld_closure.models.manifest")
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
phases = [{ steps = 2, crop = 16 }]
batch = 1
[[stages]]
name = "decoupled"
kind = "decoupled"
losses = { mean = 1.0 }
phases = [{ steps = 2 }]
batch = 1
"""


def movie(seed, frames):
    """A front that runs right through hot material; arrays (time, 32, 64)."""
    x, t = np.arange(64)[None, None], np.arange(frames)[:, None, None]
    behind = np.broadcast_to(x < 12 + 10 * t, (frames, 32, 64)).astype(np.float32)
    noise = np.random.default_rng(seed).random((frames, 32, 64), np.float32)
    return {
        "temperature": 300 + 900 * behind + 100 * noise,
        "pressure": 9e9 * behind,
        "microstructure": np.ones_like(behind),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the examples find where they run: heldout.h5, micro.h5, tiny.toml and the bundle run/bundle."""
    path = tmp_path_factory.mktemp("doctests")
    fields = ("temperature", "pressure", "microstructure")
    for name, step in (("heldout", 2 * MICRO_STEP), ("micro", MICRO_STEP)):
        spec = TrajectorySpec(3, (32, 64), 50e-9, tuple(step * np.arange(4)), fields=fields)
        cases = [(i, movie(i, 4), {"piston_speed": 700.0 + 100 * i}, {}) for i in range(3)]
        write_trajectories(path / f"{name}.h5", spec, cases)
    mld.testing.random_networks(base=2).save(path / "run" / "bundle")
    (path / "tiny.toml").write_text(TOML)
    return path


def examples(name):
    """Doctests of a public name or a module: of it, and of its methods."""
    owner = importlib.import_module(name) if name in MODULES else getattr(mld, name)
    module = owner if inspect.ismodule(owner) else inspect.getmodule(owner)
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [t for t in finder.find(owner, name, module=module) if t.examples]


@pytest.mark.parametrize("name", sorted(n for n in mld.__all__ if n != "__version__"))
def test_examples_of_public_names_run(name, folder, monkeypatch, tmp_path):
    check(name, folder, monkeypatch, tmp_path)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_modules_run(name, folder, monkeypatch, tmp_path):
    check(name, folder, monkeypatch, tmp_path)


def check(name, folder, monkeypatch, tmp_path):
    found = examples(name)
    assert found or name not in (*OBJECTS, *WITH_EXAMPLES), f"{name} has no example"
    (tmp_path / "run").mkdir()
    for file in ("heldout.h5", "micro.h5", "tiny.toml"):
        (tmp_path / file).symlink_to(folder / file)
    if name != "train":
        (tmp_path / "run" / "bundle").symlink_to(folder / "run" / "bundle")
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    report = []
    for test in found:
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    torch.set_num_threads(threads)
    assert not report, "".join(report)


@pytest.mark.parametrize("name", sorted(WITH_EXAMPLES))
def test_public_names_say_what_they_take_and_return(name):
    text = inspect.getdoc(getattr(mld, name)) or ""
    kind = "Attributes" if inspect.isclass(getattr(mld, name)) else "Parameters"
    for section in (kind, "Raises", "Examples"):
        assert f"{section}\n{'-' * len(section)}\n" in text, f"{name} has no section {section}"
    if not inspect.isclass(getattr(mld, name)):
        heads = [line for line in text.splitlines() if line and line[0] not in " -"]
        documented = {part.strip(" *") for line in heads for part in line.split(" : ")[0].split(",")}
        missing = set(inspect.signature(getattr(mld, name)).parameters) - documented
        assert not missing, f"{name} does not document {missing}"
