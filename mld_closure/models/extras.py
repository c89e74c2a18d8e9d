"""A network that travels with a bundle: its configuration and tensors, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from .. import config as config_room
from .bundle import BundleError, Extra
from .bundle_files import fill

N = TypeVar("N", bound=nn.Module)


def to_extra(network: Any) -> Extra:
    """A network with a `config` as a part of a bundle."""
    state = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    return Extra(config_room.to_dict(network.config), state)


def from_extra(extra: Extra, make: Callable[[Any], N], config_type: type[Any], what: str) -> N:
    """The network that `to_extra` was given, frozen: make(config) of the stored configuration, filled.

    Raises BundleError, which calls it `what`, where it is damaged.
    """
    try:
        # without memory: the configuration is compared with the tensors first; random numbers stay
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            network = make(config_room.from_dict(config_type, extra.config, what))
        own = {name: tensor.shape for name, tensor in network.state_dict().items()}
        there = {name: tensor.shape for name, tensor in extra.state.items()}
        if own != there:
            odd = next(n for n in own | there if own.get(n) != there.get(n))
            raise BundleError(f"tensor {odd} is {there.get(odd)}, the configuration asks for {own.get(odd)}")
        fill(network, extra.state)
    except (ValueError, RuntimeError) as err:
        raise BundleError(f"the {what} of this bundle cannot be used: {err}") from None
    return network.eval().requires_grad_(False)
