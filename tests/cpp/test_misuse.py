"""What a host may do wrong, and the sentence it gets: the table of cpp_bridge/README.md is made here."""

import re

import numpy as np
import pytest

from mld_closure import bridge as python_side
from mld_closure.runtime import meeting
from mld_closure.runtime.agree import Attempt
from mld_closure.runtime.meeting import Meeting

BEGIN, END = "<!-- misuse: made by tests/cpp/test_misuse.py -->\n", "<!-- end of misuse -->\n"
DT = 0.3e-9
P = np.full(5, 6e9)
NAN = np.array([6e9, np.nan, 6e9, 6e9, 6e9])


class Gone:
    """An exchange that never ends."""

    def Test(self):
        return False


class Done:
    def Test(self):
        return True


class TwoRanks:
    """Rank 0 of two, as it compares notes; the other one makes the call `other`, or does not come."""

    rank, size = 0, 2

    def __init__(self, other):
        self.other = other

    def Iallgather(self, mine, every):
        if self.other is None:
            return Gone()
        yours = {}
        Attempt(TwoRanksRecorder(yours), self.other, Recorder(yours)).settle()
        every[0], every[1] = mine, yours["row"]
        return Done()

    def Iprobe(self, source, tag):
        return False

    def isend(self, message, rank, tag):
        return message


class TwoRanksRecorder(TwoRanks):
    def __init__(self, kept):
        self.kept = kept


class Recorder:
    """Notes the row that a call brings to an exchange."""

    def __init__(self, kept):
        self.kept = kept

    def gather(self, mine, what):
        self.kept["row"] = mine
        return np.array([mine, mine])


def ranks(mine, other):
    """What rank 0 is told, as (error, sentence)."""

    def call(_):
        comm = TwoRanks(other)
        Attempt(comm, mine, Meeting(comm, 0.01)).settle()

    return call


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
    "a counter that there is not": lambda h: h.closure.counter("cells.activ"),
    "a fact that there is not": lambda h: h.closure.fact("p_arival"),
    "a restart that there is not": lambda h: h.closure.restore("no-such-restart"),
    "a closure that was closed": lambda h: (h.closure.close(), h.closure.commit()),
    "ranks in different calls": ranks("advance", "commit"),
    "a rank that closes while others advance": ranks("advance", "close"),
    "a rank that does not come": ranks("commit", None),
}  # fmt: skip


class Host:
    """A closure with five cells, and one without."""

    def __init__(self, bridge, bundle, settings, ids, patches):
        self.make = lambda path=bundle, settings=settings: bridge.Closure(str(path), settings)
        self.closure, self.bare, self.patches = self.make(), self.make(), patches
        self.closure.register_patches(ids, patches)

    def open(self, path=None, settings="device = 'cpu'"):
        self.make(*(() if path is None else (path,)), settings=settings)


@pytest.fixture(scope="module")
def rows(bridge, bundle, patches, kit):
    """(what, error, sentence) of every misuse."""
    found = []
    before, meeting.GRACE = meeting.GRACE, 0.01
    for what, call in MISUSE.items():
        host = Host(bridge, bundle, kit.SETTINGS, kit.IDS, patches)
        with pytest.raises((bridge.Error, ValueError)) as caught:
            call(host)
        if isinstance(caught.value, bridge.Error):
            name, text = caught.value.name, str(caught.value)
        else:
            number, text, _ = python_side.describe(caught.value)
            name = f"MLD_E_{python_side.Error(number).name}"
        found.append((what, name, text.replace(str(bundle), "BUNDLE")))
    meeting.GRACE = before
    return found


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
