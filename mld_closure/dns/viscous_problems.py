"""Problems with known answers of the viscous material: decay of waves, and how thick a shock is.

With nu = viscosity/rho0: a shear wave decays at nu k^2, a swirl sin(kx) cos(ky) at 2 nu k^2, a sound wave at
half of 4/3 nu k^2. A steady shock in its own frame has j = rho w, p + j w - tau = P and
j (e + w^2/2) + (p - tau) w = E, so that e = E/j - P w/j + w^2/2 and tau = p + j w - P are functions of w
alone and w_x = tau/(4/3 mu) is greatest where this function is.
"""

from __future__ import annotations

import numpy as np

from mld_closure.dns.checks import Check
from mld_closure.dns.eos import Material, energy, pressure
from mld_closure.dns.exact import shock_from_piston
from mld_closure.dns.kinetics import Kinetics
from mld_closure.dns.solver import Boundaries, Solver
from mld_closure.dns.wall import wall_solver
from mld_closure.grids import Grid

AROUND = Boundaries("periodic", "periodic", "periodic", "periodic")
INERT = Kinetics(Z=0.0)
RHO, P = 2300.0, 10e9  # kg/m3 and Pa of the material in which waves decay


def _material(mu: float) -> Material:
    return Material(kappa=0.0, active=0.3, viscosity=mu)


def _rest(ny: int, nx: int, m: Material) -> np.ndarray:
    W = np.zeros((5, ny, nx))
    W[0], W[3] = RHO, energy(np.float64(RHO), P, m)
    return W


def _decay(
    n: int, rows: int, length: float, initial: np.ndarray, m: Material, mode: np.ndarray, time: float
) -> float:
    """Rate (1/s) at which the amplitude of velocity along `mode` (2, rows, n) falls until `time` (s)."""
    run = Solver(Grid(rows, n, length / n), initial, material=m, kinetics=INERT, boundaries=AROUND)

    def amplitude() -> float:
        return abs(complex((run.primitive()[1:3] * mode).sum()))

    before = amplitude()
    run.run(time)
    return float(np.log(before / amplitude()) / time)


def shear_error(n: int, mu: float = 1.0, length: float = 3.2e-6) -> float:
    """Relative error of the rate at which v = sin(kx) decays on n cells."""
    m, k = _material(mu), 2 * np.pi / length
    x = (np.arange(n) + 0.5) * length / n
    W = _rest(2, n, m)
    W[2] = np.sin(k * x)
    exact = mu / m.rho0 * k**2
    mode = np.stack([np.zeros((2, n)), W[2]])
    return _decay(n, 2, length, W, m, mode, 0.7 / exact) / exact - 1


def swirl_error(n: int, mu: float = 1.0, length: float = 3.2e-6) -> float:
    """Relative error of the rate at which u = sin(kx) cos(ky), v = -cos(kx) sin(ky) decay on n x n cells."""
    m, k = _material(mu), 2 * np.pi / length
    x = (np.arange(n) + 0.5) * length / n
    W = _rest(n, n, m)
    W[1] = np.sin(k * x) * np.cos(k * x[:, None])
    W[2] = -np.cos(k * x) * np.sin(k * x[:, None])
    exact = 2 * mu / m.rho0 * k**2
    return _decay(n, n, length, W, m, W[1:3].copy(), 0.7 / exact) / exact - 1


def sound_error(n: int, mu: float = 1.0, length: float = 6.4e-6) -> float:
    """Relative error of the rate at which a sound wave decays on n cells, over about one period."""
    m, k = _material(mu), 2 * np.pi / length
    x = (np.arange(n) + 0.5) * length / n
    e = float(energy(np.float64(RHO), P, m))
    step = 1e-4 * RHO  # along the isentrope de = p/rho^2 d rho
    c2 = float(
        pressure(RHO + step, e + P / RHO**2 * step, m) - pressure(RHO - step, e - P / RHO**2 * step, m)
    ) / (2 * step)
    exact = 0.5 * 4 / 3 * mu / m.rho0 * k**2
    omega = np.sqrt(c2 * k**2 - exact**2) - 1j * exact
    wave = np.exp(1j * k * x)
    W = _rest(2, n, m)
    W[1] = 0.5 * wave.real
    change = (0.5 * RHO * k / omega * wave).real
    W[0] += change
    W[3] += P / RHO**2 * change
    mode = np.stack([np.broadcast_to(wave.conj(), (2, n)), np.zeros((2, n))])
    return _decay(n, 2, length, W, m, mode, 2 * np.pi / omega.real) / exact - 1


def shock_thickness(up: float, pixel: float, mu: float) -> tuple[float, float]:
    """(measured, exact) thickness in m of a shock of piston speed up (m/s): jump of velocity to its slope."""
    m = _material(mu)
    exact = exact_thickness(up, m)
    columns = round(30 * exact / pixel)
    run = wall_solver(np.ones((2, columns)), up, pixel, m, INERT)
    run.run(0.6 * columns * pixel / shock_from_piston(up, m).us)
    slope = np.abs(np.diff(run.primitive()[1][0, columns // 5 :])).max() / pixel
    return up / float(slope), exact


def exact_thickness(up: float, m: Material) -> float:
    """Thickness (m) of a steady shock of piston speed up (m/s) into cold solid that has a viscosity."""
    shock = shock_from_piston(up, m)
    j = m.rho0 * shock.us
    push, total = j * shock.us, j * 0.5 * shock.us**2
    w = np.linspace(shock.us - up, shock.us, 2001)[1:-1]
    rho = j / w
    e = total / j - push * w / j + 0.5 * w**2
    stress = np.abs(pressure(rho, e, m) + j * w - push)
    slope = stress / (4 / 3 * m.viscosity * rho / m.rho0)
    return up / float(slope.max())


def viscous_decay(full: bool = False) -> list[Check]:
    """Decay of a shear wave, a swirl and a sound wave, and the order at which their rates become exact."""
    checks = []
    for name, error in (("shear wave", shear_error), ("swirl", swirl_error), ("sound wave", sound_error)):
        coarse, fine = (error(n) for n in ((64, 128) if full else (32, 64)))
        checks += [
            Check(f"viscous {name}: error of the rate", abs(fine), 0.0, 0.03, "below"),
            Check(f"viscous {name}: order", float(np.log2(abs(coarse / fine))), 2.0, 1.8, "above"),
        ]
    return checks


def viscous_shock(full: bool = False) -> list[Check]:
    """Thickness of shocks that the stress holds apart."""
    checks = []
    for up in (500.0, 1000.0) if full else (700.0,):
        measured, exact = shock_thickness(up, 50e-9, 1.0)
        name = f"viscous shock up {up:.0f} m/s, 1 Pa s: thickness"
        checks.append(Check(name, 1e6 * measured, 1e6 * exact, 0.03, units="um"))
    return checks
