"""The campaign: a draw of it in every run, all of it with `-m faults`, and each fault again by its number."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kinds_calls  # noqa: F401
import kinds_content  # noqa: F401
import kinds_disk  # noqa: F401
import kinds_files  # noqa: F401
from campaign import KINDS, SEED, Campaign

DRAW, ALL = 200, 10_000
BEGIN, END = "<!-- made by the campaign of faults -->\n", "<!-- end -->\n"


def put_table(campaign, document):
    """Replace the table of faults in a document."""
    before, _, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"{document} has no place for a table: {BEGIN}{END}"
    said = f"{len(campaign.results):,} faults of seed {campaign.seed}:\n\n{campaign.table()}\n"
    document.write_text(f"{before}{BEGIN}{said}{END}{after}")


def run(config, bench, count, capsys):
    seed = config.getoption("fault_seed") or SEED
    store = config.getoption("fault_store")
    campaign = Campaign(count, bench, seed, None if store is None else Path(store))
    chosen = config.getoption("fault")
    campaign.run(chosen or None)
    with capsys.disabled():
        print(f"\n{campaign.table()}\n{campaign.reproductions()}")
    if document := config.getoption("fault_table"):
        put_table(campaign, Path(__file__).resolve().parents[2] / document)
    assert not campaign.failures, campaign.reproductions()


def test_a_draw_of_faults_holds(pytestconfig, bench, capsys):
    run(pytestconfig, bench, pytestconfig.getoption("faults") or DRAW, capsys)


@pytest.mark.faults
def test_the_campaign_holds(pytestconfig, bench, capsys):
    run(pytestconfig, bench, pytestconfig.getoption("faults") or ALL, capsys)


def test_a_fault_is_the_same_whenever_it_is_made(bench):
    one, other = Campaign(300, bench), Campaign(10, bench)
    assert [one.kind_of(n) for n in range(10)] == [other.kind_of(n) for n in range(10)]
    assert {one.kind_of(n) for n in range(300)} == set(KINDS)


def test_a_fault_that_does_not_hold_is_told_with_its_number(bench, tmp_path, monkeypatch):
    name = next(iter(KINDS))
    monkeypatch.setitem(KINDS, name, lambda draw, bench: "lost")
    campaign = Campaign(100, bench, store=tmp_path / "found.jsonl")
    number = next(n for n in range(100) if campaign.kind_of(n) == name)
    campaign.run([number])
    assert f"-k draw --fault {number} --fault-seed {SEED}" in campaign.reproductions()
    again = Campaign(100, bench, store=tmp_path / "found.jsonl")
    assert again.results == campaign.results


def test_the_table_of_a_document_is_replaced(bench, tmp_path):
    campaign = Campaign(2, bench)
    campaign.run()
    document = tmp_path / "README.md"
    document.write_text(f"before\n{BEGIN}a table before\n{END}after\n")
    put_table(campaign, document)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "a table before" not in text
    assert f"| **all** | **2** | **{2 - len(campaign.failures)}** |" in text
