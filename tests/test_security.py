"""Each sentence of the page on security and its tests; those that belong to no single room stand here."""

import ast
import dataclasses
import inspect
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import mld_closure as mld
from mld_closure import intake
from mld_closure.closure.options import Options
from mld_closure.data.layout import TrajectorySpec
from mld_closure.data.store import write_trajectories
from mld_closure.data.trajectories import Trajectories
from mld_closure.errors import ClosureError
from mld_closure.models.bundle import Bundle, BundleError, describe
from mld_closure.patches.specimen import Specimen
from mld_closure.study.case import read_case

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "cpp_bridge/SECURITY.md"
HERE_ALONE = "test_security.py"
SEALED, RESTARTS, COMPILED = (
    "models/test_sealed.py", "closure/test_hostile_restarts.py", "closure/test_compiled.py",
)  # fmt: skip
DURABLE, HOME, FAULTS = "test_durable.py", "cpp/test_home.py", "faults/test_campaign.py"
ADVICE = "what a reader should do"
# How each sentence of the page begins, and the tests (file, name) of what it says
TESTS = {
    "**Bundles, trajectory files,": [(HERE_ALONE, "test_nothing_that_is_opened_is_unpickled")],
    "What is wrong in one": [
        (FAULTS, "test_a_draw_of_faults_holds"),
        (SEALED, "test_impossible_content_is_refused_with_a_sentence"),
    ],
    "**Restarts and recorded calls**": [
        (HERE_ALONE, "test_nothing_that_is_opened_is_unpickled"),
        (RESTARTS, "test_a_manifest_that_cannot_be_right"),
        (RESTARTS, "test_states_that_cannot_be_are_refused"),
    ],
    "**Compiled files are programs.**": [(COMPILED, "test_loading_reads_no_pickle")],
    "`mld-closure export` makes native code": [
        (COMPILED, "test_a_closure_serves_the_same_cells_compiled_and_eager")
    ],
    "Open only files that you made": ADVICE,
    "Its hash tells a damaged file": [
        (COMPILED, "test_one_flipped_bit_anywhere_is_seen"),
        (COMPILED, "test_damaged_and_foreign_files_are_refused"),
    ],
    "A manifest (`bundle.json`": [
        (SEALED, "test_a_changed_number_is_found_by_the_seal"),
        (RESTARTS, "test_one_number_that_was_changed_is_found_by_the_seal"),
        ("models/test_bundle.py", "test_damaged_bundles"),
    ],
    "They are compared at each opening": [(HERE_ALONE, "test_no_option_turns_the_checks_off")],
    "A compiled file ends with": [(COMPILED, "test_one_flipped_bit_anywhere_is_seen")],
    "The hashes tell accidents": [(SEALED, "test_no_flipped_bit_of_the_manifest_gives_other_content")],
    "Who changes a file on purpose": [(HERE_ALONE, "test_a_bundle_that_is_sealed_again_is_another")],
    "Sizes are compared before": [(SEALED, "test_impossible_content_is_refused_with_a_sentence")],
    "Pipes, devices, sockets": [
        (SEALED, "test_odd_files_are_refused_at_once"),
        (RESTARTS, "test_odd_files_are_refused_at_once"),
        (HERE_ALONE, "test_hdf5_files_that_lead_elsewhere_are_refused"),
    ],
    "Weights, states and tables": [
        (SEALED, "test_weights_that_are_not_finite_are_refused"),
        (RESTARTS, "test_states_that_cannot_be_are_refused"),
        ("closure/test_known_errors.py", "test_tables_that_are_none_are_refused"),
    ],
    "Only what is asked for": [(HERE_ALONE, "test_a_run_writes_what_was_asked_for_and_opens_no_socket")],
    "Machine code of numba": [("test_compile_cache.py", None)],
    "Everything is written under": [
        (DURABLE, "test_a_folder_is_the_old_or_the_new_one_whatever_fails"),
        (DURABLE, "test_an_error_of_the_folders_flush_is_reported"),
    ],
    "Files and folders have the rights": [(DURABLE, "test_files_have_the_rights_that_the_umask_leaves")],
    "`save` removes files": [(RESTARTS, "test_save_removes_its_own_files_only")],
    "What a killed process left": [
        (DURABLE, "test_what_a_killed_writer_left_is_named_and_removed"),
        (RESTARTS, "test_what_a_killed_save_left_is_removed_by_the_next"),
    ],
    "Nothing is sent over a network": [
        (HERE_ALONE, "test_a_run_writes_what_was_asked_for_and_opens_no_socket")
    ],
    "The library in `PREFIX": [(HOME, "test_the_python_it_belongs_to_must_be_there")],
    "It searches nowhere else": [
        (HOME, "test_a_python_of_a_folder_above_is_not_taken"),
        (HOME, "test_the_python_it_belongs_to_must_be_there"),
        (HOME, "test_a_libpython_is_not_taken_by_its_bare_name"),
    ],
    "Where that is not there": [(HOME, "test_without_a_python_beside_it_it_is_that_of_its_scripts")],
    "A build tree names its Python": [
        ("cpp/test_hosts.py", "test_the_whole_project_builds_without_pip_and_all_its_hosts_pass")
    ],
    "Python is refused where more": [
        (HOME, "test_a_python_that_others_may_change_is_refused"),
        (HOME, "test_folders_open_to_a_group_or_all_of_it_open_to_all"),
    ],
    "Who can put another library": [(HOME, "test_an_ordinary_user_is_not_refused")],
    "So `PREFIX/bin` must belong": [(HOME, "test_a_python_in_the_folder_of_another_user_is_refused")],
    "Whom a link, a script of pip": [(HOME, "test_an_ordinary_user_is_not_refused")],
    "Folders that a group": [(HOME, "test_folders_open_to_a_group_or_all_of_it_open_to_all")],
    "`MLD_CLOSURE_PYTHON` and": [(HOME, "test_variables_name_another_python")],
    "In a program with more rights": [
        (HOME, "test_variables_count_for_nothing_in_a_program_with_more_rights")
    ],
    "`PYTHONPATH`, `PYTHONHOME`": [(HOME, "test_what_is_meant_for_other_pythons_does_not_enter")],
}


def sentences():
    """The sentences of all points of the page."""
    points, text = [], PAGE.read_text()
    for block in re.split(r"\n\n|\n(?=- )", text):
        if block.startswith("- "):
            points.append(" ".join(block[2:].split()))
    return [s for point in points for s in re.split(r"(?<=\.)\s+(?=[A-Z`*])|(?<=\.\*\*)\s+", point)]


def test_each_sentence_has_a_test():
    found = sentences()
    assert len(found) > 20
    for sentence in found:
        assert sum(sentence.startswith(beginning) for beginning in TESTS) == 1, sentence
    assert not [b for b in TESTS if not any(s.startswith(b) for s in found)]
    for file, name in {test for tests in TESTS.values() if tests is not ADVICE for test in tests}:
        names = {node.name for node in ast.walk(ast.parse((HERE / file).read_text()))
                 if isinstance(node, ast.FunctionDef)}  # fmt: skip
        assert name in names or (name is None and any(n.startswith("test_") for n in names)), (file, name)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("sealed") / "b"
    mld.testing.random_networks(base=2).save(path)
    return path


@pytest.fixture
def data(tmp_path):
    spec = TrajectorySpec(1, (8, 12), 5e-8, (0.0, 1e-10))
    arrays = {n: np.full((2, 8, 12), 300, np.float32) for n in spec.fields}
    return write_trajectories(
        tmp_path / "data.h5", spec, [(0, arrays, {"porosity": 0.1, "piston_speed": 700.0}, {})]
    )


class Run:
    """An object that says so when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("code from a file was run",)


def test_nothing_that_is_opened_is_unpickled(bundle, data, tmp_path, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("unpickled")

    case = tmp_path / "case.toml"
    case.write_text("cells = 8\ncell_size = 24e-6\npiston_speed = 900.0\nporosity = 0.1\nend_time = 1e-9\n")
    image = tmp_path / "image.npy"
    np.save(image, np.ones((8, 8), np.float32))
    for owner, name in ((pickle, "load"), (pickle, "loads"), (torch, "load")):
        monkeypatch.setattr(owner, name, never)
    monkeypatch.setattr(pickle, "Unpickler", type("Unpickler", (pickle.Unpickler,), {"load": never}))
    closure = mld.open(bundle, device="cpu", threads=1, failures=tmp_path / "failures")
    closure.register([1], patches=np.ones((1, 32, 96), np.float32))
    closure.save(tmp_path / "r")
    closure.restore(tmp_path / "r")
    closure.begin_step(0.0, 1e-9)
    with pytest.raises(ClosureError):
        closure.advance(pressure=[np.nan])
    closure.close()
    (recorded,) = (tmp_path / "failures").iterdir()
    with pytest.raises(ClosureError):
        mld.replay(recorded, bundle)
    with Trajectories(data) as opened:
        opened.read(0)
    Specimen.open(image, pixel=5e-8).close()
    read_case(case)


def test_pickles_under_other_names_are_refused(tmp_path):
    held = io.BytesIO()
    np.save(held, np.array([Run()], object), allow_pickle=True)
    for data in (pickle.dumps(Run()), held.getvalue()):
        for name in ("image.npy", "data.h5", "case.toml"):
            (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=r"image\.npy"):
            Specimen.open(tmp_path / "image.npy", pixel=5e-8)
        with pytest.raises(ValueError, match=r"data\.h5"):
            Trajectories(tmp_path / "data.h5")
        with pytest.raises(ValueError, match=r"case\.toml"):
            read_case(tmp_path / "case.toml")


def test_no_option_turns_the_checks_off(bundle, tmp_path):
    names = set(inspect.signature(mld.open).parameters)
    for group in dataclasses.fields(Options):
        names |= {f.name for f in dataclasses.fields(group.default_factory)}
    assert not [n for n in names if re.search("check|verif|trust|hash|seal|safe|strict", n)]
    copy = shutil.copytree(bundle, tmp_path / "b")
    manifest = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(manifest | {"micro_step": 1.72}))
    for unsealed in (
        False,
        True,
    ):  # bundles of the version before have no seal; those of this one need theirs
        with pytest.raises(BundleError, match="altered"):
            Bundle.load(copy, unsealed=unsealed)


def test_a_bundle_that_is_sealed_again_is_another(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "b")
    manifest = json.loads((copy / "bundle.json").read_text())
    changed = intake.sealed(manifest | {"micro_step": 2 * manifest["micro_step"]})
    (copy / "bundle.json").write_bytes(intake.canonical(changed))
    assert describe(copy)["content_hash"] != describe(bundle)["content_hash"]


@pytest.mark.parametrize("how", ["file", "soft", "virtual", "outside"])
def test_hdf5_files_that_lead_elsewhere_are_refused(data, tmp_path, how):
    name = "t0_fields/temperature"
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.full((1, 2, 8, 12), 300, np.float32)
    (tmp_path / "raw").write_bytes(bytes(4 * 2 * 8 * 12))
    with h5py.File(data, "a") as file:
        attributes = dict(file[name].attrs)
        del file[name]
        if how == "file":
            file[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
        elif how == "soft":
            file[name] = h5py.SoftLink("/t0_fields/pressure")
        elif how == "virtual":
            layout = h5py.VirtualLayout((1, 2, 8, 12), np.float32)
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (1, 2, 8, 12), np.float32)
            file.create_virtual_dataset(name, layout).attrs.update(attributes)
        else:
            file.create_dataset(
                name, (1, 2, 8, 12), np.float32, external=[(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)]
            ).attrs.update(attributes)
    with pytest.raises(ValueError, match="temperature leads out of the file"):
        Trajectories(data)


WATCHED = """
import os, sys
wrote, sent = [], []
def watch(event, args):
    if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
        mode, flags = args[1] or "", args[2] or 0
        if set("wax+") & set(mode) or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            wrote.append(os.fsdecode(args[0]))
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink"):
        wrote.append(os.fsdecode(args[1 if event in ("os.rename", "os.link", "os.symlink") else 0]))
    elif event in ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo"):
        sent.append(event)
sys.addaudithook(watch)
import numpy as np, mld_closure as mld
closure = mld.open(sys.argv[1], device="cpu", threads=1)
closure.register([1, 2], patches=np.random.default_rng(0).random((2, 32, 96)).astype(np.float32))
for k in range(4):
    closure.begin_step(k * 1e-9, 1e-9)
    closure.advance(pressure=[9e9, 1e5])
    closure.commit()
closure.save(sys.argv[2])
closure.restore(sys.argv[2])
closure.close()
print(*wrote, sep="\\n")
assert not sent, sent
"""


def test_a_run_writes_what_was_asked_for_and_opens_no_socket(bundle, tmp_path):
    for name in ("home", "here", "tmp"):
        (tmp_path / name).mkdir()
    env = os.environ | {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    env = {k: v for k, v in env.items() if not k.startswith("XDG_")} | {"PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", WATCHED, bundle, tmp_path / "saved"],
        capture_output=True, text=True, cwd=tmp_path / "here", env=env,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    wrote = [Path(line) for line in run.stdout.splitlines()]
    assert wrote
    asked = (tmp_path / "saved", tmp_path / "home/.cache/mld_closure", Path("/dev/null"))
    assert not [p for p in wrote if not any(p == a or a in p.parents for a in asked)]
    made = {p for name in ("home", "here", "tmp") for p in (tmp_path / name).rglob("*") if p.is_file()}
    assert not {p for p in made if tmp_path / "home/.cache/mld_closure" not in p.parents}
