"""A restart goes on under the options it was written with, or under changes that are named."""

import numpy as np
import pytest

from mld_closure.errors import ClosureError

TIMES = np.linspace(0, 4e-9, 17)
PEAKS = np.linspace(6e9, 9e9, 5)


def shock(kit):
    return lambda t: kit.ramp(t, PEAKS, 0.5e-9)


def saved(kit, path, **options):
    closure = kit.make(**options)
    kit.run(closure, TIMES[:10], shock(kit))
    closure.save(path)
    return closure


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 3}, r"engine.horizon = none, the closure 3; .*changed=\['engine.horizon'\]"),
        ({"p_arrival": 2e9}, "load.p_arrival = .*, the closure 2000000000.0"),
        ({"max_burn_step": 0.01}, "policy.max_burn_step = 0.05, the closure 0.01"),
        ({"reproducible": True}, "engine.reproducible = False, the closure True; open it alike$"),
        ({"on_extrapolation": "error"}, "policy.on_extrapolation = clamp, the closure error"),
        ({"history_exponent": 0.5}, "load.history_exponent = none, the closure 0.5"),
        ({"threshold": 900.0}, "readout.threshold = 875.0, the closure 900.0"),
    ],
)
def test_other_options_are_named_with_both_values(kit, tmp_path, options, message):
    saved(kit, tmp_path / "r")
    other = kit.make(**options)
    before = kit.state(other)
    with pytest.raises(ClosureError, match=message):
        other.restore(tmp_path / "r")
    assert kit.state(other) == before


def test_options_by_which_no_answer_differs_may_change(kit, tmp_path):
    first = saved(kit, tmp_path / "r")
    second = kit.make(micro_batch=2, shadow={"readout": 0.5})
    second.restore(tmp_path / "r")
    assert kit.state(second) == kit.state(first)


def test_a_named_change_goes_on_and_a_smaller_horizon_freezes_nothing(kit, tmp_path):
    """Cells that are past the new horizon relax to 1 from there on."""
    rising = kit.curve(np.linspace(0, 0.6, 13))
    first = kit.scripted(rising, n=5)
    kit.run(first, TIMES[:10], shock(kit))
    first.save(tmp_path / "r")
    second = kit.scripted(rising, n=5, given=first.bundle, horizon=3)
    second.restore(tmp_path / "r", changed=["engine.horizon"])
    assert second.state.frame.max() > 3
    at = second.state.value[:, kit.BURNED].copy()
    out = kit.run(second, TIMES[9:], shock(kit))
    late = second.state.relaxing
    assert late.any()
    assert (out[-1].burned_fraction[late] > at[late]).all()


def test_what_latents_depend_on_cannot_be_changed(kit, tmp_path):
    saved(kit, tmp_path / "r")
    other = kit.make(scale="micro")
    with pytest.raises(ClosureError, match=r"engine.scale = meso, the closure micro; open it alike$"):
        other.restore(tmp_path / "r", changed=["engine.scale"])
