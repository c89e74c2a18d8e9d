"""What the campaign of faults attacks; its options are in the conftest above."""

import pytest


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    from attacked import Bench

    return Bench(tmp_path_factory.mktemp("attacked"))
