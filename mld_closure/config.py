"""Configuration: frozen dataclasses that are read from TOML files.

An unknown key is an error; the message suggests the most similar known key.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from .errors import ConfigError
from .intake import IntakeError, read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def option(default: Any, meaning: str, unit: str = "") -> Any:
    """A field of a configuration dataclass that says what it means and in which unit, for tables of
    options."""
    return dataclasses.field(default=default, metadata={"meaning": meaning, "unit": unit})


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file as a dict.

    Raises
    ------
    ConfigError
        The file is missing or is not TOML.
    """
    try:
        return parse_toml(read_text(path), str(path))
    except FileNotFoundError:
        raise ConfigError(f"no such configuration file: {path}") from None
    except IntakeError as err:
        raise ConfigError(f"{err}; give a file in TOML") from None


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Read TOML text as a dict.

    Parameters
    ----------
    text : str
        The TOML text.
    where : str
        Where the text comes from; used in messages.

    Raises
    ------
    ConfigError
        The text is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (
        tomllib.TOMLDecodeError,
        ValueError,
        RecursionError,
        MemoryError,
    ) as err:  # ValueError: long numbers
        why = "nested too deeply" if isinstance(err, RecursionError) else str(err) or type(err).__name__
        raise ConfigError(f"{where} is not valid TOML: {why}{_without_quotes(text)}") from None


def _without_quotes(text: str) -> str:
    """A hint where a line of TOML has a word without quotes."""
    for line in text.splitlines():
        bare = re.fullmatch(r"\s*([\w.]+)\s*=\s*([A-Za-z/][^'\"#=]*?)\s*(#.*)?", line)
        if bare and bare[2] not in ("true", "false", "inf", "nan"):
            return f"; words stand in quotes: {bare[1]} = '{bare[2]}'"
    return ""


def load(cls: type[T], path: str | Path) -> T:
    """Read the dataclass `cls` from a TOML file; tables in the file become nested dataclasses.

    Raises
    ------
    ConfigError
        As `read_toml` and `from_dict`.
    """
    return from_dict(cls, read_toml(path), where=str(path))


def from_dict(cls: type[T], data: Mapping[str, Any], where: str = "configuration") -> T:
    """Build the dataclass `cls` from nested dicts.

    Parameters
    ----------
    cls : type
        A dataclass; its fields may be dataclasses, tuples, lists, dicts and `Literal` types.
    data : mapping
        Values by field name.
    where : str
        Where the values come from; used in messages.

    Raises
    ------
    ConfigError
        An unknown key, a value of the wrong type, or a value that the dataclass refuses.
    """
    hints = typing.get_type_hints(cls)
    known = {f.name for f in dataclasses.fields(cls) if f.init}
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(sorted(known))}"
            raise ConfigError(f"{where}: unknown key '{key}'; {hint}")
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in data.items()}
    try:
        return cls(**values)
    except ConfigError:
        raise
    except (TypeError, ValueError) as err:
        raise ConfigError(f"{where}: {err}") from None


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a configuration into nested plain dicts and lists, ready for JSON or TOML.

    Fields whose value is None are left out, because TOML has no null.
    """
    out = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if value is not None and f.init:
            out[f.name] = _plain(value)
    return out


def _plain(value: Any) -> Any:
    """Value with dataclasses, mappings and sequences turned into dicts and lists."""
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Check `value` against the type `hint` and convert it: nested tables, sequences, int to float."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        options = [a for a in args if a is not type(None)]
        if value is None and len(options) < len(args):
            return None
        if len(options) == 1:
            return _convert(options[0], value, where)
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table, got {value!r}")
        return from_dict(hint, value, where)
    if origin in (tuple, list):
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} must be a list, got {value!r}")
        many = origin is list or (len(args) == 2 and args[1] is Ellipsis)
        if not many and len(value) != len(args):
            raise ConfigError(f"{where} needs {len(args)} values, got {len(value)}")
        inner = [args[0]] * len(value) if many else args
        return origin(
            _convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(inner, value, strict=True))
        )
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table, got {value!r}")
        return {k: _convert(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if origin is typing.Literal:
        if value not in args:
            raise ConfigError(f"{where} must be one of {', '.join(map(repr, args))}, got {value!r}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ConfigError(f"{where} must be float, got a whole number of more than 300 digits") from None
    if hint in (int, float, str, bool) and (
        not isinstance(value, hint) or (hint is int and isinstance(value, bool))
    ):
        raise ConfigError(f"{where} must be {hint.__name__}, got {value!r}")
    return value
