"""Checkpoints of a run: folders that appear whole under their names, or not at all.

Each is written beside its final name, flushed and renamed. It says how much of the run's journal belongs to
it, so that a restart can cut the journal back and go on.
"""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import durable, intake
from ..runtime.agree import Attempt
from ..runtime.comm import SerialComm
from .journal import FRAMES, FULL, STEPS

FORMAT = 2
log: logging.Logger = logging.getLogger("mld_closure")
CHECKPOINTS = "checkpoints"
STATE, FACTS, CLOSURE = "state.npz", "facts.json", "closure"


def save_checkpoint(
    out: Path,
    name: str,
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
    save_closure: Callable[[Path], None] | None = None,
    comm: Any = None,
) -> Path:
    """Write the checkpoint `name` of the run in `out`. Collective.

    Parameters
    ----------
    out, name
        Folder of the run, and the checkpoint's name in it.
    arrays, facts : mapping
        State as arrays, and JSON-ready facts; of rank 0.
    save_closure : callable, optional
        save_closure(folder), called on all ranks, writes the closure's own state there.
    comm : optional
        Communicator of all ranks of the run; rank 0 writes.

    Returns
    -------
    Path
        The checkpoint.

    Raises
    ------
    RuntimeError
        Where the disk takes no more; earlier checkpoints are untouched.
    """
    comm = SerialComm() if comm is None else comm
    parent, attempt = out / CHECKPOINTS, Attempt(comm)
    final, temporary = parent / name, parent / f".{name}.tmp"
    try:
        if comm.rank == 0:
            attempt(_begin, temporary, arrays, facts)
        attempt.settle()
        if save_closure is not None:
            save_closure(temporary / CLOSURE)
        if comm.rank == 0:
            attempt(_finish, temporary, final)
        attempt.settle()
    except (OSError, ValueError) as err:
        if comm.rank == 0:
            shutil.rmtree(temporary, ignore_errors=True)
        whole = checkpoints(out)
        kept = f"the last whole one is {whole[-1]}" if whole else "there is no earlier one"
        why = getattr(err, "strerror", None) or err
        shared = RuntimeError(f"checkpoint {final} could not be written ({why}); {kept}; {FULL}")
        shared.everywhere = True
        raise shared from None
    return final


def _begin(temporary: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    durable.make_folder(temporary.parent.absolute())
    if temporary.exists():
        log.warning("removed %s, left by a run that was killed", temporary)
        shutil.rmtree(temporary, ignore_errors=True)
    durable.disk.mkdir(temporary)
    file = io.BytesIO()
    np.savez(file, **arrays)
    data = file.getvalue()
    state = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    durable.write(temporary / STATE, data)
    told = intake.sealed({"format": FORMAT, "state": state, **facts})
    durable.write(temporary / FACTS, intake.canonical(told))


def _finish(temporary: Path, final: Path) -> None:
    durable.sync(temporary)
    durable.rename(temporary, final)


def load_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of a checkpoint; FileNotFoundError where there is none, ValueError where damaged."""
    if not (path / FACTS).exists():
        known = [p.name for p in checkpoints(path.parent.parent)]
        there = f"there are {known[0]} to {known[-1]}" if known else "none is there"
        raise FileNotFoundError(f"no checkpoint {path}; {there}")
    try:
        facts = intake.read_json(path / FACTS, inside=path)
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            found = facts.get("format") if isinstance(facts, dict) else None
            raise ValueError(f"format {found}, this version reads {FORMAT}")
        intake.check_seal(facts, FACTS)
        state = facts.pop("state")
        data = intake.read_bytes(path / STATE, 1 << 40, size=state["bytes"], inside=path)
        if hashlib.sha256(data).hexdigest() != state["sha256"]:
            raise ValueError(f"the SHA-256 of {STATE} differs")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, MemoryError) as err:
        raise ValueError(f"checkpoint {path} is damaged ({err}); use an earlier one") from None
    return arrays, facts


def checkpoints(out: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(p for p in (out / CHECKPOINTS).glob("step-*") if p.is_dir())


def continue_in(out: Path, checkpoint: Path, frame_bytes: int, sizes: tuple[int, int]) -> None:
    """Make `out` ready to go on from a checkpoint: the journal of its run, none of its later checkpoints.

    Raises ValueError where the journal beside the checkpoint is gone or too short.
    """
    source = checkpoint.parent.parent
    wanted = {FRAMES: sizes[0] * frame_bytes, STEPS: sizes[1]}
    for name, size in wanted.items():
        have = (source / name).stat().st_size if (source / name).exists() else 0
        if have < size:
            raise ValueError(
                f"{source / name} holds {have} of the {size} bytes that {checkpoint.name} builds on; "
                "keep the files of a run together with its checkpoints"
            )
    if out.resolve() != source.resolve():
        for name, size in wanted.items():
            with open(source / name, "rb") as a, open(out / name, "wb") as b:
                shutil.copyfileobj(a, b)
                b.truncate(size)
        return
    for later in checkpoints(out):
        if later.name > checkpoint.name:
            shutil.rmtree(later)
    for unfinished in (out / CHECKPOINTS).glob(".step-*.tmp"):
        shutil.rmtree(unfinished, ignore_errors=True)
