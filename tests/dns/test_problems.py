"""Every problem with a known answer, at the size that runs in seconds; `-m slow` runs the long ones."""

import math

import pytest

from mld_closure.dns.checks import Check
from mld_closure.dns.problems import PROBLEMS

LONGEST = pytest.param("pore_collapse", marks=pytest.mark.system)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name not in LONGEST.values] + [LONGEST])
def test_known_answer(name):
    checks = PROBLEMS[name](False)
    assert checks
    failed = [f"{c.name}: {c.measured} against {c.expected} ({c.bound})" for c in checks if not c.passed]
    assert not failed, "\n".join(failed)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_known_answer_full(name):
    assert all(c.passed for c in PROBLEMS[name](True))


@pytest.mark.parametrize(
    ("check", "passed"),
    [
        (Check("", 1.009, 1.0, 0.01), True),
        (Check("", 1.011, 1.0, 0.01), False),
        (Check("", 0.02, 0.0, 0.01, "absolute"), False),
        (Check("", 0.02, None, 0.01, "below"), False),
        (Check("", 0.02, None, 0.01, "above"), True),
        (Check("", 0.3, None, 0.1, "within", high=0.2), False),
        (Check("", math.nan, None, 0.01, "below"), False),
    ],
)
def test_a_check_can_fail(check, passed):
    assert check.passed is passed
