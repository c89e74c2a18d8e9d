"""Options as the first version named them, without groups: still taken in the settings text of hosts."""

from __future__ import annotations

from typing import Any

NAMES = {
    "load_updates": "load.updates",
    "p_ignite": "load.p_arrival",
    "capture_window": "load.window",
    "history_exponent": "load.history_exponent",
    "threshold": "readout.threshold",
    "decode_fields": "readout.fields",
    "read_every": "readout.read_every",
    "scale": "engine.scale",
    "patch_shape": "engine.patch_shape",
    "horizon": "engine.horizon",
    "micro_batch": "engine.micro_batch",
    "reproducible": "engine.reproducible",
    "compiled": "engine.compiled",
    "on_extrapolation": "policy.on_extrapolation",
    "on_bad_result": "policy.on_bad_result",
    "on_uncertain": "policy.on_uncertain",
    "max_uncertainty": "policy.max_uncertainty",
    "max_burn_step": "policy.max_burn_step",
}


def grouped(options: dict[str, Any]) -> dict[str, Any]:
    """The same options by group; those that have groups already, and all others, stay as they are.

    A `p_ignite` that was given said two things: the pressure of arrival, and that no load is too weak. A
    shadow was a share, with `shadow_with` saying of what. `warm_start` made no difference to answers and is
    dropped."""
    out = {k: dict(v) if isinstance(v, dict) else v for k, v in options.items() if k != "warm_start"}
    if "p_ignite" in out:
        _table(out, "policy").setdefault("on_weak_load", "extrapolate")
    if isinstance(share := out.get("shadow"), (int, float)):
        out["shadow"] = {out.pop("shadow_with", "readout"): float(share)}
    for old in NAMES.keys() & out.keys():
        group, name = NAMES[old].split(".")
        _table(out, group)[name] = out.pop(old)
    return out


def _table(options: dict[str, Any], group: str) -> Any:
    """The table of a group, made where there is none; a word is its `kind`."""
    own = options.setdefault(group, {})
    if isinstance(own, str):
        own = options[group] = {"kind": own}
    return own
