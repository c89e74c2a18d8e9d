"""closure.h names every option: what stands between its markers is the option table of the closure."""

import inspect
import re
import textwrap

import pytest

import mld_closure as mld
from mld_closure import bridge as python_side
from mld_closure.closure.options import OPENING, table

OWN = "   Options of the closure and of the bridge:\n"
GROUPS = "   Options in groups, as declared in Python:\n"
END = "   End of the options in groups.\n"


def block(rows):
    """The lines of the header for rows (name, type, default, unit, meaning)."""
    lines = []
    for name, kind, default, unit, meaning in rows:
        lines.append(f"     {name}: {kind}{f' ({unit})' if unit else ''}, default {default}")
        indent = 9 * " "
        lines += textwrap.wrap(meaning, 108, initial_indent=indent, subsequent_indent=indent)
    return "".join(f"{line}\n" for line in lines)


@pytest.fixture(scope="module")
def header(kit):
    return (kit.ROOT / "cpp_bridge/include/mld_closure/closure.h").read_text()


@pytest.mark.parametrize(
    ("begin", "end", "rows"),
    [(OWN, "\n" + GROUPS, python_side.OPTIONS), (GROUPS, END, tuple(table()))],
    ids=["own", "groups"],
)
def test_the_header_names_every_option(header, begin, end, rows):
    found = re.search(re.escape(begin) + "(.*?)" + re.escape(end), header, re.DOTALL)
    assert found, "closure.h lacks the markers of the option table"
    wanted = block(rows)
    assert found[1] == wanted, f"write this between the markers of closure.h:\n{wanted}"
    assert "*/" not in wanted


def test_the_options_outside_groups_are_those_of_open():
    taken = inspect.signature(mld.open).parameters
    groups = {row.name.partition(".")[0] for row in table()}
    others = {"bundle", "comm", "load_table", "fallback", "other"}
    assert {row.name for row in OPENING} == set(taken) - groups - others
    for row in OPENING:
        if row.name != "threads":
            assert str(taken[row.name].default).lower() == row.default
