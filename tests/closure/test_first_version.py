"""Settings of the first version mean in groups what they meant without."""

from mld_closure.closure.first_version import NAMES, grouped
from mld_closure.closure.options import Options, table


def test_every_old_name_leads_to_an_option_that_there_is():
    assert set(NAMES.values()) <= {row.name for row in table()}


def test_old_names_find_their_groups_and_new_ones_stay():
    old = {
        "device": "cpu", "readout": "decode", "threshold": 900.0, "micro_batch": 4, "p_ignite": 3e9,
        "shadow": 0.25, "shadow_with": "fallback", "warm_start": False, "load": {"updates": 2},
    }  # fmt: skip
    given = {k: dict(v) if isinstance(v, dict) else v for k, v in old.items()}
    found = grouped(given)
    assert given == old
    assert found.pop("device") == "cpu"
    options = Options.from_groups(found)
    assert (options.readout.kind, options.readout.threshold) == ("decode", 900.0)
    assert (options.load.p_arrival, options.load.updates) == (3e9, 2)
    assert options.policy.on_weak_load == "extrapolate"
    assert (options.shadow.fallback, options.shadow.readout) == (0.25, 0.0)
    assert options.engine.micro_batch == 4


def test_settings_in_groups_are_as_they_were():
    new = {"readout": "head", "engine": {"micro_batch": 2}, "shadow": {"readout": 0.5}, "threads": 1}
    assert grouped(new) == new
