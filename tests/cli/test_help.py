"""Every command shows examples that its own options accept, and progress bars appear in terminals only."""

import io
import shlex

import click
import pytest
from rich.console import Console

from mld_closure.cli import output
from mld_closure.cli.main import LazyGroup, cli


def commands(group=cli, path=("mld-closure",)):
    """(words, command) of all commands, groups of them included."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands())


def examples(command):
    """The words of each command line below "Example:" or "Examples:"."""
    _, _, text = command.help.partition("Example")
    for line in text.replace("\\\n", " ").splitlines()[1:]:
        words = shlex.split(line)
        if "mld-closure" in words:
            yield words[words.index("mld-closure") :]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_shows_examples_that_the_options_accept(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    command, found = ALL[path], list(examples(ALL[path]))
    assert found, "no example"
    assert all(
        option.help for option in command.params if isinstance(option, click.Option) if not option.hidden
    )
    for words in found:
        assert tuple(words[: len(path)]) == path
        target, rest, name = command, words[len(path) :], path[-1]
        while isinstance(target, LazyGroup) and rest:
            name, rest = rest[0], rest[1:]
            target = target.get_command(click.Context(target), name)
            assert target is not None, name
        for word in rest:
            for part in word.split(","):
                if "." in part and "/" not in part and not part.startswith("-"):
                    (tmp_path / part).touch()
                if part.startswith("examples/"):
                    (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
                    (tmp_path / part).touch()
        target.make_context(name, list(rest))  # a click.UsageError where an option or a word does not fit


@pytest.mark.parametrize("terminal", [True, False])
def test_a_progress_bar_appears_in_a_terminal_only(terminal, monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(output, "Console", lambda **options: Console(file=text, force_terminal=terminal))
    with output.progress() as bar:
        task = bar.add_task("work", total=2, status="")
        bar.update(task, advance=1)
    assert ("work" in text.getvalue()) == terminal
