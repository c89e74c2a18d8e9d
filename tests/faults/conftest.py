"""Options of the campaign of faults, and what it attacks."""

import pytest


def pytest_addoption(parser):
    group = parser.getgroup("faults")
    group.addoption("--faults", type=int, default=0, help="number of faults; 10,000 with -m faults, else 200")
    group.addoption("--fault", type=int, action="append", default=[], help="make this fault alone, again")
    group.addoption("--fault-seed", type=int, default=0, help="seed of the campaign")
    group.addoption("--fault-store", default=None, help="file of results, by which a campaign goes on")


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    from attacked import Bench

    return Bench(tmp_path_factory.mktemp("attacked"))
