"""`docs` builds a page per module, the first with the public names; without pdoc it says what to install."""

import subprocess
import sys

import pytest

import mld_closure as mld


@pytest.mark.system
def test_the_reference_has_a_page_per_module_and_every_public_name(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mld_closure", "docs", "--out", str(tmp_path / "pages")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Warn" not in done.stderr
    assert done.stdout.split() == [str(tmp_path / "pages" / "index.html")]
    first = (tmp_path / "pages" / "mld_closure.html").read_text()
    for name in mld.__all__:
        assert f'id="{name}"' in first or f'href="mld_closure/{name}.html"' in first, name
    for module in ("models/bundle", "closure/closure", "dns/eos", "errors"):
        assert (tmp_path / "pages" / "mld_closure" / f"{module}.html").is_file()
    assert not (tmp_path / "pages" / "mld_closure" / "cli.html").exists()
    assert "Parameters</h6>" in first


def test_without_pdoc_one_line_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['pdoc'] = None\n"
        "from mld_closure.cli.main import main\n"
        f"main(['docs', '--out', {str(tmp_path / 'pages')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'mld_closure[docs]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "pages").exists()
