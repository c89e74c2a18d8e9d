"""Calls in random order, and numbers from hell."""

import numpy as np
from attacked import CELLS, DT, IDS, SHAPE, refuses, state
from campaign import kind

from mld_closure.errors import ClosureError

CALLS = [*("begin", "begin", "advance", "advance", "some", "commit", "commit", "rollback", "save", "restore"),
         *("submit", "wait", "register", "unregister", "wrong", "migrate")]  # fmt: skip
SHAPES = [SHAPE, SHAPE, SHAPE, (0, 0), (1, 1), (32, 31), (32, 64), (33, 96), (32, 32), (96, 32)]
SPOILT = ["none", "nan", "inf", "big", "negative", "void", "solid", "text", "object", "flat", "complex"]
WRONG = {"nan": np.nan, "inf": np.inf, "big": 2.0, "negative": -1.0}
GROUPS = {
    "engine": ["micro_batch", "horizon", "patch_shape", "scale", "reproducible", "compiled", "surplus"],
    "load": ["kind", "p_arrival", "window", "updates", "history_exponent"],
    "policy": ["on_extrapolation", "max_uncertainty", "max_burn_step"],
    "readout": ["kind", "threshold", "fields", "read_every"],
    "shadow": ["readout", "fallback"],
}
HELL = [np.nan, np.inf, -np.inf, -1.0, -0.0, 0.0, 5e-324, 1e-310, 1.0, 1e5, 3e9, 6e9, 9e9, 1e11, 1e15, 1e300,
        1.797e308]  # fmt: skip


def pressures(draw, n):
    """Pressures that a host may have."""
    return draw.choice([0.0, 1e5, 3e9, 5e9, 7e9, 9e9, 1.2e10, 2e10], n)


@kind("calls in random order", 4)
def calls(draw, bench):
    """Whatever is called, the committed state is that of the steps that were committed, made again alone."""
    made, committed, open_step, t = bench.closure(), [], None, 0.0
    waiting = []
    for _ in range(int(draw.integers(5, 25))):
        what = draw.choice(CALLS)
        p = pressures(draw, CELLS)
        try:
            if what == "begin":
                made.begin_step(t, DT)
                open_step = []
            elif what == "advance":
                made.advance(pressure=p)
                open_step.append((None, p))
            elif what == "some":
                which = draw.choice(IDS, int(draw.integers(CELLS + 1)), replace=False)
                made.advance(which, pressure=p[: len(which)])
                open_step.append((which, p[: len(which)]))
            elif what == "commit":
                made.commit()
                committed.append((t, open_step))
                open_step, t = None, t + DT
            elif what == "rollback":
                made.rollback()
                open_step, waiting = None, []
            elif what == "save":
                made.save(bench.folder / "in-between")
            elif what == "restore":
                made.restore(bench.folder / "nowhere")
            elif what == "submit":
                waiting.append(made.submit(IDS[:2], pressure=p[:2]))
            elif what == "wait":
                made.wait()
                if waiting:
                    ids = np.concatenate([k.ids for k in waiting])
                    open_step.append((ids, np.concatenate([k.pressure for k in waiting])))
                waiting = []
            elif what == "register":
                made.register(IDS[:1], patches=bench.patches[:1])
            elif what == "unregister":
                made.unregister([999])
            elif what == "migrate":
                made.migrate([999], 0)
            else:
                made.advance([999, *IDS[:2]], pressure=np.zeros(3))
        except (ClosureError, FileNotFoundError):
            continue
    if made._step is not None:
        made.rollback()
    alone = bench.closure()
    for begun, step in committed:
        alone.begin_step(begun, DT)
        for which, p in step:
            alone.advance(which, pressure=p)
        alone.commit()
    same = state(made) == state(alone) and made.time == alone.time
    made.close(), alone.close()
    return None if same else f"another state after {len(committed)} committed steps"


@kind("numbers from hell", 4)
def hell(draw, bench):
    """Refused in a sentence with nothing changed, or answered within bounds, burned fractions rising."""
    made = bench.closure()
    t, burned = 0.0, np.zeros(CELLS)
    for _ in range(int(draw.integers(3, 12))):
        dt = float(draw.choice([1e-15, 1e-12, DT, DT, DT, 1e-8, 1e-3, 1e6, *HELL]))
        start = t if draw.random() < 0.8 else float(draw.choice(HELL))
        p = draw.choice(HELL, CELLS) if draw.random() < 0.4 else pressures(draw, CELLS)
        u = draw.choice(HELL, CELLS) if draw.random() < 0.1 else None
        before = state(made)
        if refuses(lambda start=start, dt=dt: made.begin_step(start, dt), ClosureError):
            if state(made) != before:
                return f"begin_step({start}, {dt}) changed the state"
            continue
        out = {}
        with np.errstate(all="ignore"):
            if refuses(
                lambda p=p, u=u, out=out: out.update(r=made.advance(pressure=p, velocity=u)), ClosureError
            ):
                made.rollback()
                if state(made) != before:
                    return f"a refused advance changed the state: {p}"
                continue
        r = out["r"]
        numbers = np.stack(
            [r.burned_fraction, r.hotspot_area_fraction, r.hotspot_temperature, r.mean_temperature]
        )
        if not np.isfinite(numbers).all() or not np.isfinite(r.burn_rate).all():
            return f"numbers that are not finite at t = {start}, dt = {dt}: {p} gave {numbers.tolist()}"
        if (r.burned_fraction < burned - 1e-12).any() or (r.burned_fraction > 1).any():
            return f"burned {r.burned_fraction} after {burned}"
        if np.isnan(r.dt_max) or r.dt_max < 0:
            return f"dt_max = {r.dt_max}"
        made.commit()
        burned, t = r.burned_fraction, start + dt
    made.close()
    return None


@kind("patches from hell", 2)
def patches(draw, bench):
    made = bench.closure(cells=False)
    n = int(draw.integers(1, 4))
    mu = draw.random((n, *SHAPES[int(draw.integers(len(SHAPES)))]))
    spoil = draw.choice(SPOILT)
    if mu.size and spoil in WRONG:
        mu.reshape(-1)[int(draw.integers(mu.size))] = WRONG[spoil]
    others = {
        "void": np.zeros_like(mu),
        "solid": np.ones_like(mu),
        "text": mu.astype(str),
        "flat": mu.reshape(-1),
    }
    mu = ({"object": mu.astype(object), "complex": mu + 0j} | others).get(spoil, mu)
    ids = draw.choice([0, 1, -1, 2**62, 7, 7], n) if draw.random() < 0.5 else np.arange(n)
    if refuses(lambda: made.register(ids, patches=mu, pixel=float(draw.choice([5e-8, 5e-8, 0.1, np.nan]))),
               ClosureError, ValueError, TypeError):  # fmt: skip
        good = len(made.ids) == 0
    else:
        made.begin_step(0.0, DT)
        out = made.advance(pressure=np.full(len(ids), 8e9))
        good = bool(np.isfinite(out.burned_fraction).all())
    made.close()
    return None if good else f"patches of {mu.shape}, {spoil}"


@kind("pressures that swing", 1)
def swing(draw, bench):
    """Up and down for many steps: burned fractions stay monotone, the state small."""
    made, t, last = bench.closure(), 0.0, np.zeros(CELLS)
    for k in range(60):
        p = np.where((np.arange(CELLS) + k) % 2, 1.2e10, 0.0) * draw.random(CELLS)
        made.begin_step(t, DT)
        burned = made.advance(pressure=p).burned_fraction
        if draw.random() < 0.3:
            made.rollback()
            continue
        made.commit()
        if (burned < last - 1e-12).any() or not np.isfinite(burned).all():
            return f"burned {burned} after {last}"
        last, t = burned, t + DT
    made.close()
    return None


@kind("options from hell", 2)
def options(draw, bench):
    values = [None, 0, -1, 1, 10**9, 1e9, np.nan, np.inf, "", "a", [], {}, True, 1e-300]
    group = str(draw.choice(sorted(GROUPS)))
    name = str(draw.choice(GROUPS[group]))
    value = values[int(draw.integers(len(values)))]
    given = {group: {name: value}}
    if draw.random() < 0.2:
        given = {str(draw.choice(["threads", "device", "precision", "serving", "surplus"])): value}
    arguments = {"device": "cpu", "threads": 1, **given}
    import mld_closure as mld

    opened = {}
    if refuses(
        lambda: opened.update(c=mld.open(bench.networks, **arguments)), ValueError, TypeError, OSError
    ):
        return None
    made = opened["c"]
    made.register(IDS, patches=bench.patches)
    made.begin_step(0.0, DT)
    refuses(lambda: made.advance(pressure=np.full(CELLS, 8e9)), ClosureError)
    made.close()
    return None
