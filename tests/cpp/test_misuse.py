"""What a host may do wrong, and the sentence it gets: the table of cpp_bridge/README.md is made here."""

import contextlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from mld_closure import bridge as python_side

BEGIN, END = "<!-- misuse: made by tests/cpp/test_misuse.py -->\n", "<!-- end of misuse -->\n"
DT = 0.3e-9
P = np.full(5, 6e9)
NAN = np.array([6e9, np.nan, 6e9, 6e9, 6e9])
INFINITE = np.array([0.0, np.inf])


def in_step(call):
    def work(h):
        h.closure.begin_step(0.0, DT)
        call(h)

    return work


def twice(call):
    def work(h):
        call(h)
        call(h)

    return work


MISUSE = {
    "no such bundle": lambda h: h.open("no-such-bundle"),
    "an option that there is not": lambda h: h.open(settings="devise = 'cpu'"),
    "a word without quotes": lambda h: h.open(settings="device = cpu"),
    "a GPU that there is not": lambda h: h.open(settings="device = 'cuda:99'"),
    "an option out of range": lambda h: h.open(settings="engine.micro_batch = -3"),
    "an id twice": lambda h: h.closure.register_patches([100], h.patches[:1]),
    "patches of another size than those before": lambda h: h.closure.register_patches(
        [9], np.ones((1, 64, 32), np.float32)
    ),
    "sides that the networks cannot take": lambda h: h.bare.register_patches(
        [9], np.ones((1, 40, 32), np.float32)
    ),
    "patches of 0 to 255": lambda h: h.closure.register_patches([9], 255 * h.patches[:1]),
    "pixels of another size": lambda h: h.closure.register_patches([9], h.patches[:1], 1e-7),
    "an image without the size of its patches": lambda h: h.bare.register_image(
        [9], np.ones((64, 64), np.float32), 50e-9, np.zeros((1, 2))
    ),
    "an advance before begin_step": lambda h: h.closure.advance(None, P),
    "a commit before begin_step": lambda h: h.closure.commit(),
    "begin_step twice": twice(lambda h: h.closure.begin_step(0.0, DT)),
    "a step of no length": lambda h: h.closure.begin_step(0.0, 0.0),
    "registering in a step": in_step(lambda h: h.closure.register_patches([9], h.patches[:1])),
    "saving in a step": in_step(lambda h: h.closure.save("restart")),
    "time that goes back": lambda h: (
        h.closure.begin_step(1e-9, DT), h.closure.commit(), h.closure.begin_step(0.0, DT)
    ),
    "a cell that is not registered": in_step(lambda h: h.closure.advance([7, 100], P[:2])),
    "a cell twice in one call": in_step(lambda h: h.closure.advance([100, 100], P[:2])),
    "a pressure that is not a number": in_step(lambda h: h.closure.advance(None, NAN)),
    "a negative pressure": in_step(lambda h: h.closure.advance(None, -P)),
    "an array of another length": in_step(lambda h: h.closure.advance(None, P[:4])),
    "a mass that is negative": in_step(lambda h: h.closure.advance(None, P, mass=-P)),
    "not a number in a call handed in": in_step(lambda h: h.closure.submit([100, 101], NAN[:2])),
    "a cell in two calls handed in": in_step(twice(lambda h: h.closure.submit([101], P[:1]))),
    "a commit before wait": in_step(lambda h: (h.closure.submit([100], P[:1]), h.closure.commit())),
    "parts that a patch does not have": lambda h: h.points.register_patches([9], h.frames[:1], parts=[8]),
    "parts for a bundle without points": lambda h: h.closure.register_patches(
        [9], h.patches[:1], parts=[0]
    ),
    "parts that are not one for each cell": lambda h: h.points.register_patches(
        [9], h.frames[:1], parts=[0, 1]
    ),
    "patches without room for halo and parts": lambda h: h.narrow(),
    "an entropy that is not a number": lambda h: h.advance_points(entropy=np.array([2e5, np.nan])),
    "a negative entropy": lambda h: h.advance_points(entropy=np.array([2e5, -1.0])),
    "an infinite entropy in a call handed in": lambda h: h.advance_points("submit", entropy=2e5 + INFINITE),
    "an entropy for a bundle that does not know it": in_step(
        lambda h: h.closure.advance(None, P, entropy=np.full(5, 2e5))
    ),
    "loads by entropy without one": lambda h: h.advance_points(),
    "a counter that there is not": lambda h: h.closure.counter("cells.activ"),
    "a fact that there is not": lambda h: h.closure.fact("p_arival"),
    "a restart that there is not": lambda h: h.closure.restore("no-such-restart"),
    "a closure that was closed": lambda h: (h.closure.close(), h.closure.commit()),
}  # fmt: skip


SPOILING = ("time that goes back", "a closure that was closed")  # after them a closure is of no more use here


class Host:
    """A closure with five cells, one without, and one of points."""

    def __init__(self, bridge, bundle, curves, settings, ids, patches):
        self.make = lambda path=bundle, settings=settings: bridge.Closure(str(path), settings)
        self.bare, self.ids, self.patches, self.error = self.make(), ids, patches, bridge.Error
        self.frames = np.ones((2, 16, 40), np.float32)
        self.frames[:, 4:8, 20:24] = 0.0
        self.curves = curves
        self.points = self.make(curves, settings + "load = 'entropy'\n")
        self.points.register_patches([1, 2], self.frames, parts=[0, 7])
        self.start()

    def advance_points(self, call="advance", **inputs):
        self.points.begin_step(0.0, DT)
        try:
            getattr(self.points, call)(None, P[:2], **inputs)
        finally:
            self.points.rollback()

    def narrow(self):
        self.make(self.curves).register_patches([1], self.frames[:1, :, :12])

    def start(self):
        self.closure = self.make()
        self.closure.register_patches(self.ids, self.patches)

    def end_step(self):
        with contextlib.suppress(self.error):
            self.closure.rollback()

    def open(self, path=None, settings="device = 'cpu'"):
        self.make(*(() if path is None else (path,)), settings=settings)


@pytest.fixture(scope="module")
def quarrels(launch, tmp_path_factory):
    """(what, error, sentence) of ranks that do not agree."""
    file = tmp_path_factory.mktemp("quarrels") / "told.json"
    program = Path(__file__).with_name("two_ranks.py")
    run = launch(2, Path(sys.executable), "-m", "mpi4py", program, file)
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(file.read_text())
    return [(what, f"MLD_E_{python_side.Error(number).name}", text) for what, (number, text) in told.items()]


@pytest.fixture(scope="module")
def rows(bridge, bundle, curves, patches, kit, quarrels):
    """(what, error, sentence) of every misuse, one after the other on one closure, as all are recoverable."""
    found = []
    host = Host(bridge, bundle, curves, kit.SETTINGS, kit.IDS, patches)
    for what, call in MISUSE.items():
        with pytest.raises(bridge.Error) as caught:
            call(host)
        found.append((what, caught.value.name, str(caught.value).replace(str(bundle), "BUNDLE")))
        host.end_step()
        if what in SPOILING:
            host.start()
    return found + quarrels


def test_the_table_in_the_readme_is_what_hosts_are_told(rows, kit):
    table = "| what | error | sentence |\n|---|---|---|\n"
    for what, name, text in rows:
        sentence = re.sub(r"[\w/.-]*/(?=no-such)", "", text).replace("|", "\\|")
        table += f"| {what} | `{name.removeprefix('MLD_')}` | {sentence} |\n"
    page = (kit.ROOT / "cpp_bridge/README.md").read_text()
    found = re.search(re.escape(BEGIN) + "(.*?)" + re.escape(END), page, re.DOTALL)
    assert found, "cpp_bridge/README.md lacks the markers of the table"
    assert found[1] == table, f"write this between the markers of cpp_bridge/README.md:\n{table}"


def test_every_sentence_says_what_and_how_to_mend_it(rows):
    for what, name, text in rows:
        assert name != "MLD_E_INTERNAL", text
        assert "\n" not in text
        assert len(text) < 420, what
