"""Play the placement of cells through on 9 to 10,000 ranks and draw the efficiency. Takes a few seconds."""

from mld_closure.benchmarks.scaling import Machine, play
from mld_closure.viz.plots import save
from mld_closure.viz.scaling import draw_scaling

RANKS = (9, 25, 100, 256, 1024, 2500, 10000)
CORE, FAST = Machine(cell=41e-3), Machine(cell=0.41e-3)
SHORT = {"speed": 0.045, "service": (60, 140), "every": 4}  # as in the slab of examples/cases: dt_max rules
CASES = {
    "a core a rank": (CORE, {}),
    "a core a rank, short steps": (CORE, SHORT),
    "servers 100 times as fast": (FAST, {}),
}


def main() -> None:
    curves, last = {}, {}
    for kind, (machine, options) in CASES.items():
        for shock in ("planar", "point"):
            found = [play(ranks, shock, machine, **options) for ranks in RANKS]
            name = f"{shock}, {kind}"
            curves[name] = [(f.ranks, f.efficiency) for f in found]
            if kind == "a core a rank":
                curves[f"{name}, owners serve"] = [(f.ranks, f.owner_efficiency) for f in found]
            last[name] = found
            for f in found:
                print(
                    f"{name:40s} {f.ranks:6d} ranks: {f.active:7.2f} cells a rank, imbalance "
                    f"{100 * f.imbalance:5.1f} %, efficiency {100 * f.efficiency:5.1f} % "
                    f"(owners serve: {100 * f.owner_efficiency:4.1f} %), exchange {100 * f.exchange:4.1f} %"
                )
    save(draw_scaling(curves, "1,024 macro cells a rank"), "scaling.png")
    on_cores = last["planar, a core a rank"]
    assert on_cores[2].efficiency > 0.85, "100 ranks with some 20 active cells each"
    assert on_cores[2].owner_efficiency < 0.3, "most ranks own no active cell"
    print("wrote scaling.png")


if __name__ == "__main__":
    main()
