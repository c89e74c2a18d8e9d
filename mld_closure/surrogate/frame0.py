"""From a macro load to frame 0: Hugoniot relations and captured shocks as a table that travels in the bundle.

Between the speeds of the table the shock speed, the state behind and the profile are linear in the piston
speed, and p = rho0 us up holds exactly. At the speeds of the table frame 0 equals the DNS's, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.manifest import BundleError

if TYPE_CHECKING:
    from ..models.bundle import Bundle, Extra

EXTRA = "loading"  # its name among the extras of a bundle
_COLUMNS = ("up", "us", "p", "rho", "T")
_POROUS = ("porosity", "entropy")


@dataclass(frozen=True)
class LoadTable:
    """Shocks into solid material at rest, by piston speed; SI units.

    up (m/s, increasing), us (m/s), p (Pa), rho (kg/m3), T (K): (load,). profile: (load, field, column), frame
    0 of solid material, fields named in profile_fields. wave: (load,) columns the entering shock takes.
    front_column: where its front stands. rho0, rho_void, T0: the body at rest. porosity (m,), increasing, and
    entropy (m, load), J/kg: of the solid behind shocks into porous material, the thermal energy that it would
    have at rho0; both empty where it is not known.
    """

    up: np.ndarray
    us: np.ndarray
    p: np.ndarray
    rho: np.ndarray
    T: np.ndarray
    profile: np.ndarray
    wave: np.ndarray
    profile_fields: tuple[str, ...]
    front_column: float
    pixel: float
    rho0: float
    rho_void: float
    T0: float
    porosity: np.ndarray = field(default_factory=lambda: np.empty(0))
    entropy: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    _rest: dict[str, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in (*_COLUMNS, "profile", *_POROUS):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        for name in ("front_column", "pixel", "rho0", "rho_void", "T0"):
            value, least = getattr(self, name), 0 if name == "front_column" else np.nextafter(0, 1)
            if isinstance(value, bool) or not isinstance(value, Real) or not least <= value < 1e12:
                raise ValueError(f"{name} of a load table must be a positive number, got {value!r}")
        object.__setattr__(self, "wave", np.asarray(self.wave, np.int64))
        object.__setattr__(self, "profile_fields", tuple(self.profile_fields))
        n = len(self.up)
        if n < 2 or not np.all(np.diff(self.up) > 0) or not self.up[0] > 0:
            raise ValueError("a load table needs at least two piston speeds, positive and increasing")
        if any(getattr(self, name).shape != (n,) for name in (*_COLUMNS, "wave")):
            raise ValueError(f"every column of a load table must hold {n} values")
        if self.profile.shape[:2] != (n, len(self.profile_fields)) or self.wave.max() > self.columns:
            raise ValueError(f"profiles of shape {self.profile.shape} do not fit {n} loads")
        if self.knows_entropy and (
            self.entropy.shape != (len(self.porosity), n)
            or np.any(np.diff(self.porosity) <= 0)
            or not np.all(np.diff(self.entropy, axis=1) > 0)
        ):
            raise ValueError("entropies of a load table must increase with the load, at rising porosities")
        if not np.allclose(self.p, self.rho0 * self.us * self.up, rtol=1e-6):
            raise ValueError("p = rho0 us up does not hold in the load table")
        rest = {"temperature": self.T0, "pressure": 0.0, "reaction_progress": 0.0}
        object.__setattr__(self, "_rest", rest | {"velocity_x": 0.0, "velocity_y": 0.0})

    @property
    def columns(self) -> int:
        """Columns of the stored profiles."""
        return self.profile.shape[2]

    @property
    def entry(self) -> int:
        """Most columns that an entering shock takes; narrower patches cannot start."""
        return int(self.wave.max())

    @property
    def knows_entropy(self) -> bool:
        """Whether a load can be told by the entropy that its shock leaves in the solid."""
        return len(self.porosity) > 0

    def shock_speed(self, up: np.ndarray) -> np.ndarray:
        """Shock speed (m/s) at piston speeds (m/s)."""
        return np.interp(up, self.up, self.us)

    def shock_pressure(self, up: np.ndarray) -> np.ndarray:
        """Shock pressure (Pa) at piston speeds (m/s)."""
        return self.rho0 * self.shock_speed(up) * up

    def compression(self, pressure: np.ndarray) -> np.ndarray:
        """rho / rho0 on the Hugoniot at pressures (Pa); 1 at zero pressure."""
        known = np.concatenate([[0.0], self.p]), np.concatenate([[1.0], self.rho / self.rho0])
        return np.interp(pressure, *known)

    def piston_speed(self, kind: str, pressure: np.ndarray, velocity: np.ndarray | None = None) -> np.ndarray:
        """The load (piston speed, m/s) that stands for a macro state; beyond the table its ends continue.

        `pressure`: the solid Hugoniot state of equal pressure. `incoming wave`: the solid wave that leaves
        the state (p, u) behind an interface, 2 P_i = p + rho0 us u with us of the incoming wave: what comes
        from behind, whatever the cell's own burning adds to its pressure. `auto`: the incoming wave where
        there is a velocity, else pressure. pressure (Pa), velocity (m/s, along the shock): (n,)."""
        if kind == "pressure" or (kind == "auto" and velocity is None):
            return self._wave_of(1.0, pressure, np.zeros_like(pressure))
        if velocity is None:
            raise ValueError(f"load = '{kind}' needs the velocity of the cells")
        return self._wave_of(2.0, pressure, velocity)

    def load_of_entropy(self, entropy: np.ndarray, porosity: np.ndarray) -> np.ndarray:
        """The load (piston speed, m/s) whose shock leaves solid of this entropy (J/kg) in material of this
        porosity, (n,) each; linear between the entries of the table, and within its ends."""
        i = np.clip(np.searchsorted(self.porosity, porosity) - 1, 0, max(len(self.porosity) - 2, 0))
        j = np.minimum(i + 1, len(self.porosity) - 1)
        gap = np.where(j > i, self.porosity[j] - self.porosity[i], 1.0)
        w = np.clip((porosity - self.porosity[i]) / gap, 0.0, 1.0)[:, None]
        levels = (1 - w) * self.entropy[i] + w * self.entropy[j]  # (n, load)
        k = np.clip((levels <= entropy[:, None]).sum(axis=1) - 1, 0, len(self.up) - 2)
        at = np.arange(len(k))
        low, high = levels[at, k], levels[at, k + 1]
        share = np.clip((entropy - low) / (high - low), 0.0, 1.0)
        return np.where(entropy < levels[:, 0], 0.0, self.up[k] + share * (self.up[k + 1] - self.up[k]))

    def _wave_of(self, share: float, p: np.ndarray, u: np.ndarray) -> np.ndarray:
        """The up with rho0 us(up) (share up - u) = p, us linear between the speeds of the table."""
        strength = share * self.up - u[:, None]  # (n, load)
        below = self.rho0 * self.us * strength <= p[:, None]
        i = np.clip(below.sum(axis=1) - 1, 0, len(self.up) - 2)
        slope = (self.us[i + 1] - self.us[i]) / (self.up[i + 1] - self.up[i])
        lead = strength[np.arange(len(p)), i]
        # (us + slope x)(lead + share x) = p / rho0
        b = share * self.us[i] + slope * lead
        c = self.us[i] * lead - p / self.rho0
        x = -2.0 * c / (b + np.sqrt(np.maximum(b * b - 4.0 * share * slope * c, 0.0)))
        return self.up[i] + x

    def frame0(self, mu: np.ndarray, up: np.ndarray, fields: Sequence[str]) -> np.ndarray:
        """Frame 0, float32 (n, field, y, x) in SI units, of solid fractions mu (n, y, x) under loads up (n,).

        The columns that the entering shock takes are its captured profile in solid material, whatever the
        microstructure shows there: the model knows shocks that enter through solid only. Fields as named;
        loads beyond the table take its ends.
        Raises KeyError for a field that the table does not hold.
        """
        i = np.clip(np.searchsorted(self.up, up, side="right") - 1, 0, len(self.up) - 2)
        w = np.clip((up - self.up[i]) / (self.up[i + 1] - self.up[i]), 0.0, 1.0)
        take = np.maximum(np.where(w < 1, self.wave[i], 0), np.where(w > 0, self.wave[i + 1], 0))  # (n,)
        behind = np.arange(min(self.columns, mu.shape[2])) < take[:, None]  # (n, column)
        width = behind.shape[1]
        out = np.empty((len(mu), len(fields), *mu.shape[1:]), np.float32)
        for k, name in enumerate(fields):
            if name not in self.profile_fields:
                raise KeyError(
                    f"the load table holds no field '{name}'; it has {', '.join(self.profile_fields)}"
                )
            out[:, k] = self._at_rest(name, mu)
            rows = self.profile[:, self.profile_fields.index(name), :width]
            shock = (1 - w)[:, None] * rows[i] + w[:, None] * rows[i + 1]  # (n, column)
            out[:, k, :, :width] = np.where(
                behind[:, None], shock[:, None].astype(np.float32), out[:, k, :, :width]
            )
        return out

    def _at_rest(self, name: str, mu: np.ndarray) -> np.ndarray | float:
        """A field of the body at rest with solid fraction mu (n, y, x)."""
        if name in self._rest:
            return self._rest[name]
        mu = np.asarray(mu, np.float64)
        rho = self.rho0 * mu + self.rho_void * (1 - mu)
        return np.minimum(rho / self.rho0, 1.0) if name == "microstructure" else rho

    @classmethod
    def from_arrays(cls, table: Mapping[str, Any]) -> LoadTable:
        """The table from the arrays and numbers that its maker returns, named as the attributes here."""
        return cls(**table)

    def to_extra(self) -> Extra:
        """The table as a part of a bundle: `bundle.extras[EXTRA] = table.to_extra()`."""
        import torch

        from ..models.bundle import Extra

        numbers = ("front_column", "pixel", "rho0", "rho_void", "T0")
        config = {name: float(getattr(self, name)) for name in numbers}
        arrays = {
            name: torch.from_numpy(getattr(self, name).copy())
            for name in (*_COLUMNS, "profile", "wave", *(_POROUS if self.knows_entropy else ()))
        }
        return Extra(config | {"profile_fields": list(self.profile_fields)}, arrays)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> LoadTable:
        """The table of a bundle; BundleError for none, a damaged one, or one for another pixel size."""
        if EXTRA not in bundle.extras:
            raise BundleError(
                "this bundle holds no load table, so frame 0 cannot be built; "
                "export it again with one, or pass load_table"
            )
        extra = bundle.extras[EXTRA]
        try:
            table = cls(**extra.config, **{k: v.cpu().numpy() for k, v in extra.state.items()})
        except (TypeError, ValueError) as err:
            raise BundleError(f"the load table of this bundle cannot be used: {err}") from None
        table.check_pixel(bundle.pixel)
        return table

    def check_pixel(self, pixel: float) -> None:
        """BundleError unless the table was made for that pixel size (m)."""
        if abs(self.pixel - pixel) > 1e-6 * pixel:
            raise BundleError(
                f"load table for pixels of {self.pixel:g} m, bundle for {pixel:g} m; make it again"
            )
