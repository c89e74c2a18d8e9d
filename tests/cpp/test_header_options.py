"""closure.h names every option: the block between its two markers is the option table of the closure."""

import re
import textwrap

from mld_closure.closure.options import table

BEGIN, END = "   Options in groups, as declared in Python:\n", "   End of the options in groups.\n"


def block(rows):
    """The lines of the header for rows (name, type, default, unit, meaning)."""
    lines = []
    for name, kind, default, unit, meaning in rows:
        lines.append(f"     {name}: {kind}{f' ({unit})' if unit else ''}, default {default}")
        indent = 9 * " "
        lines += textwrap.wrap(meaning, 108, initial_indent=indent, subsequent_indent=indent)
    return "".join(f"{line}\n" for line in lines)


def test_the_header_names_every_option(kit):
    header = (kit.ROOT / "cpp_bridge/include/mld_closure/closure.h").read_text()
    found = re.search(re.escape(BEGIN) + "(.*?)" + re.escape(END), header, re.DOTALL)
    assert found, "closure.h lacks the markers of the option table"
    wanted = block(table())
    assert found[1] == wanted, f"write this between the markers of closure.h:\n{wanted}"
    assert "*/" not in wanted
