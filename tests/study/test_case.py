"""Case files: typed and checked when they are read, whatever they are read from."""

import pytest

from mld_closure import config
from mld_closure.macro.problems import MacroCase
from mld_closure.study.case import Case, ClosureTable, read_case

TEXT = """
cells = 40
piston_speed = 800

[closure]
kind = "ignition-growth"
max_change = 0.1
options = { growth = 1e8, p_start = 2e9 }
"""
SURROGATE = {"kind": "surrogate", "bundle": "hmx-compact"}


def test_a_file_a_dict_and_a_dataclass_are_one_case(tmp_path):
    file = tmp_path / "case.toml"
    file.write_text(TEXT)
    case = read_case(file)
    assert case.closure.constants().growth == 1e8
    assert case.closure.constants().ignition == 4.5e7
    assert read_case(str(file)) == read_case(config.to_dict(case)) == read_case(case) == case
    plain = MacroCase(cells=40, piston_speed=800.0)
    assert read_case(plain) == Case(cells=40, piston_speed=800.0)
    with pytest.raises(config.ConfigError, match="got int"):
        read_case(3)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "surrogate"}, "surrogate, and only it"),
        ({"kind": "none", "bundle": "hmx-compact"}, "surrogate, and only it"),
        ({"kind": "none", "options": {"growth": 1.0}}, "takes no options"),
        ({"kind": "ignition-growth", "options": {"grwth": 1.0}}, "did you mean 'growth'"),
        ({"kind": "ignition-growth", "options": {"growth": -1.0}}, "must not be negative"),
        ({"kind": "ignition-growth", "max_change": 0.0}, "max_change must be above 0"),
        (SURROGATE | {"options": {"engine": {"horizn": 3}}}, "did you mean 'horizon'"),
        (SURROGATE | {"options": {"horizon": 3}}, "belongs to a group: engine"),
        (SURROGATE | {"options": {"engin": {}}}, "did you mean 'engine'"),
        (
            SURROGATE | {"options": {"readout": "decoder"}},
            "must be one of 'auto', 'curves', 'head', 'decode'",
        ),
        (SURROGATE | {"options": {"engine": {"horizon": -3}}}, "horizon must be positive"),
        (SURROGATE | {"options": {"threads": "all"}}, "threads must be int"),
        (SURROGATE | {"options": {"fallback": "dsn"}}, "choose dns"),
        (SURROGATE | {"options": {"fallback": {"kind": "ignition-growth", "I": 1.0}}}, "missing 7 required"),
        (SURROGATE | {"options": {"fallback": {"kind": "ignition-growth", "G3": 1.0}}}, "unknown key 'G3'"),
    ],
)
def test_a_closure_that_makes_no_sense_is_refused_when_the_case_is_read(table, words):
    with pytest.raises(config.ConfigError, match=words):
        read_case({"closure": table})


def test_what_is_given_at_the_run_replaces_what_the_case_says():
    options = {
        "device": "cpu",
        "seed": 3,
        "threads": 1,
        "readout": "decode",
        "policy": {"on_weak_load": "reset"},
    }
    table = ClosureTable("surrogate", "hmx-compact", 0.2, options)
    chosen = table.surrogate({"threads": 2}).arguments()
    assert (chosen["device"], chosen["threads"]) == ("cpu", 2)
    assert table.surrogate().seed == 3
    assert chosen["readout"].kind == "decode"
    assert chosen["policy"].max_burn_step == 0.2
    assert table.surrogate().patch_shape == (320, 480)
