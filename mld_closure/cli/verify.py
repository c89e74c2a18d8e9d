"""`mld-closure verify`: problems with known answers."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mld_closure.cli.output import json_option, print_json, print_table, progress

if TYPE_CHECKING:
    from mld_closure.dns.checks import Check


@click.group()
def command() -> None:
    """Check the solver against problems with known answers.

    \b
    Example:
      mld-closure verify dns
      mld-closure verify macro
    """


@command.command()
@click.option("--full", is_flag=True, help="Finer grids and longer runs.")
@json_option
def dns(full: bool, as_json: bool) -> None:
    """Run every problem of the solver's validation list; exit code 1 if one fails.

    \b
    Examples:
      mld-closure verify dns
      mld-closure verify dns --full --json
    """
    from mld_closure.dns.problems import PROBLEMS

    run_problems("verify dns", PROBLEMS, full, as_json)


@command.command()
@click.option("--full", is_flag=True, help="Finer grids and longer runs.")
@json_option
def macro(full: bool, as_json: bool) -> None:
    """Run the problems of partly burned material: mixture, Lagrangian and Eulerian flow, material points.

    The exit code is 1 if one fails.

    \b
    Examples:
      mld-closure verify macro
      mld-closure verify macro --full --json
    """
    from mld_closure.macro.verification import PROBLEMS

    run_problems("verify macro", PROBLEMS, full, as_json)


def run_problems(title: str, problems: dict, full: bool, as_json: bool) -> None:
    """Run problems, name to function of `full` that returns checks, print them and exit."""
    checks, start = [], time.perf_counter()
    with progress() as bar:
        task = bar.add_task(title, total=len(problems), status="")
        for name, problem in problems.items():
            bar.update(task, status=name.replace("_", " "))
            checks += problem(full)
            bar.update(task, advance=1)
        bar.update(task, status="")
    passed = all(c.passed for c in checks)
    if as_json:
        rows = [{**asdict(c), "high": None, "passed": c.passed, "bound": c.bound} for c in checks]
        print_json({"passed": passed, "full": full, "seconds": time.perf_counter() - start, "checks": rows})
    else:
        print_table(
            f"{sum(c.passed for c in checks)} of {len(checks)} passed",
            ("test", "expected", "measured", "tolerance", "verdict"),
            [_row(c) for c in checks],
        )
    sys.exit(0 if passed else 1)


def _row(check: Check) -> tuple[str, str, str, str, str]:
    """A check as words of a table."""
    return (
        f"{check.name} [{check.units}]" if check.units else check.name,
        "" if check.expected is None else f"{check.expected:.6g}",
        f"{check.measured:.5g}",
        check.bound,
        "pass" if check.passed else "FAIL",
    )
