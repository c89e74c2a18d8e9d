"""Documents keep their word: code in them runs, commands exist, links and file names lead somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mld_closure.cli.main import cli
from mld_closure.closure.options import table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
ROOMS = sorted(
    [p.parent for p in ROOT.glob("mld_closure/*/__init__.py")] + [ROOT / "cpp_bridge", ROOT / "examples"]
)
DOCUMENTS = sorted(
    [*ROOT.glob("*.md")]
    + [p for room in ("mld_closure", "cpp_bridge", "examples") for p in ROOT.glob(f"{room}/**/*.md")]
)
CHEAP = ("info", "plot")  # commands that are run where the file they name is there
LAUNCHERS = ("mpirun", "torchrun")


def name(path):
    return str(path.relative_to(ROOT))


def blocks(path, *languages):
    """The code blocks of a document in these languages, in their order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", path.read_text(), re.M | re.S)
    return [text for language, text in found if language in languages]


def having(*languages):
    """The documents with such blocks, as parameters."""
    return [pytest.param(p, id=name(p)) for p in DOCUMENTS if blocks(p, *languages)]


def shell_lines(path):
    """The single commands of a document's shell blocks, in their order."""
    text = "\n".join(blocks(path, "sh")).replace("\\\n", " ")
    lines = [part.strip() for line in text.splitlines() for part in line.split("&&")]
    return [line for line in lines if line and not line.startswith("#")]


def command_words(line):
    """The words behind `mld-closure` in a command, also behind a launcher; None for other programs."""
    words = shlex.split(line, comments=True)
    if words[0] in LAUNCHERS and "mld-closure" in words:
        words = words[words.index("mld-closure") :]
    return words[1:] if words[0] == "mld-closure" else None


COMMANDS = sorted({line for path in DOCUMENTS for line in shell_lines(path) if command_words(line)})


def test_the_readme_is_short_and_begins_with_the_two_commands_that_set_up():
    readme = ROOT / "README.md"
    assert len(readme.read_text().splitlines()) <= 150
    demo, tests = (line for line in blocks(readme, "sh") if line.startswith("python3 -m venv"))
    assert demo.rstrip().endswith("pip install . && mld-closure demo")
    assert tests.rstrip().endswith("pip install '.[test]' && pytest")


@pytest.mark.parametrize("room", ROOMS, ids=name)
def test_every_room_has_a_readme_that_says_what_to_read_first(room):
    lines = (room / "README.md").read_text().splitlines()
    assert re.match(rf"# `?{room.name}`?\b", lines[0]), lines[0]
    assert any("first" in line for line in lines[:12])


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        file = (path.parent / file).resolve() if file else path
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            assert anchor in [slug(heading) for heading in headings], target


def slug(heading):
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_python_files_that_are_named_exist(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    for file in re.findall(r"`([\w./-]+\.py)`", text):
        assert any((base / file).exists() for base in (path.parent, ROOT, ROOT / "mld_closure")), file


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_exists_with_its_options(line):
    words, command = command_words(line), cli
    while isinstance(command, click.Group):
        context = command.make_context(command.name, words, resilient_parsing=True)
        child, *words = [*context._protected_args, *context.args]
        command = command.get_command(context, child)
        assert command is not None, child
    context = click.Context(command)
    given, left, _ = command.make_parser(context).parse_args(args=words)
    assert not left, f"unexpected {left}"
    for param in command.params:
        value = given.get(param.name)
        assert value is not None or not param.required, f"{param.name} is missing"
        if value is not None and not isinstance(param.type, click.Path):
            param.type_cast_value(context, value)


@pytest.mark.parametrize("path", having("sh"))
def test_programs_and_folders_in_commands_exist(path):
    for line in shell_lines(path):
        for word in shlex.split(line):
            if word.startswith(("examples/", "tests/", "cpp_bridge/")):
                assert (ROOT / word).exists(), line


@pytest.mark.parametrize("path", having("python"))
def test_python_runs_and_the_cheap_commands_after_it(path, tmp_path):
    for block in blocks(path, "python"):
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", block],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert run.returncode == 0, f"{block}\n{run.stderr}"
    for line in shell_lines(path):
        words = command_words(line)
        if words and words[0] in CHEAP and (tmp_path / words[1]).exists():
            run = subprocess.run(
                [sys.executable, "-m", "mld_closure", *words], cwd=tmp_path, capture_output=True, text=True
            )
            assert run.returncode == 0, f"{line}\n{run.stderr}"


def test_toml_is_toml():
    for path in DOCUMENTS:
        for block in blocks(path, "toml"):
            assert tomllib.loads(block), name(path)


CMAKE = """cmake_minimum_required(VERSION 3.21)
project(hydro C CXX)
find_package(mld_closure REQUIRED)
add_executable(hydro {source})
target_link_libraries(hydro PRIVATE mld_closure::mld_closure)
"""


@pytest.mark.system
@pytest.mark.parametrize("path", having("cpp", "c", "cmake"))
def test_hosts_build_against_the_installed_library_and_run(path, tmp_path):
    cmakedir = call(Path(sys.executable).with_name("mld-closure-config"), "--cmakedir").strip()
    recipes = blocks(path, "cmake")
    programs = [("hydro.cpp", text) for text in blocks(path, "cpp")]
    programs += [("hydro.c", text) for text in blocks(path, "c")]
    assert programs or path.name != "README.md" or not recipes, "a recipe needs a program beside it"
    for k, (source, text) in enumerate(programs):
        assert "main(" in text, "show whole programs, so that they can be built"
        folder = tmp_path / str(k)
        folder.mkdir()
        (folder / source).write_text(text)
        fitting = [recipe for recipe in recipes if f" {source})" in recipe]
        (folder / "CMakeLists.txt").write_text(fitting[0] if fitting else CMAKE.format(source=source))
        call("cmake", "-S", ".", "-B", "build", f"-Dmld_closure_DIR={cmakedir}", cwd=folder)
        call("cmake", "--build", "build", cwd=folder)
        assert call("build/hydro", cwd=folder)


def call(*command, **options):
    """Run a command; its output where it succeeds, else a failed test with everything it said."""
    run = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    assert run.returncode == 0, f"{' '.join(map(str, command))}\n{run.stdout}\n{run.stderr}"
    return run.stdout


def test_the_citation_file_names_this_version_and_the_paper():
    text = (ROOT / "CITATION.cff").read_text()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for line in ("cff-version: 1.2.0", f"version: {version}", "license: MIT"):
        assert line in text.splitlines()
    assert all(
        re.search(rf"^{key}: *\S?", text, re.M) for key in ("message", "title", "authors", "references")
    )
    assert "10.48550/arXiv.2506.12996" in text


def test_the_option_table_is_the_declared_one():
    """The rows between the markers in closure/README.md are those of `closure.options.table`."""
    text = (ROOT / "mld_closure/closure/README.md").read_text()
    shown = text.partition("<!-- options -->\n")[2].partition("<!-- /options -->")[0].splitlines()[2:]
    rows = [(f"`{row.name}`", row.type.replace(" | ", ", "), *row[2:]) for row in table()]
    assert shown == [f"| {' | '.join(row)} |" for row in rows]
