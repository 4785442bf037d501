"""`repsim --help` answers at once, and says everything."""

import json
import resource
import subprocess
import sys
from importlib import import_module

import commandline
import pytest
import typer

from repsim.cli.main import COMMANDS, app

HELP = """
import json, sys
from repsim.cli.main import main
try:
    main()
except SystemExit:
    print(json.dumps(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr)
"""
GENEROUS_S = 1.5


def used_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def test_help_imports_nothing_that_it_does_not_need_and_takes_no_time():
    before = used_s()
    answer = subprocess.run([sys.executable, "-c", HELP, "--help"], capture_output=True, text=True, check=True)
    assert used_s() - before < GENEROUS_S
    assert "sweep" in answer.stdout
    assert not {"torch", "pandas", "numpy", "pyarrow", "pydantic", "yaml", "rich", "submitit"} & set(json.loads(answer.stderr))


def test_the_list_of_a_group_tells_whole_sentences():
    answer = commandline.call("sweep", "--help")
    assert answer.code == 0 and "..." not in answer.out.split("Commands:")[1]
    words = " ".join(answer.out.split())
    assert "Send to Slurm what is missing, and only that; safe to call again at any time." in words


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_where_the_table_says(name):
    module, _, attribute = COMMANDS[name].address.partition(":")
    found = getattr(import_module(module), attribute)
    assert isinstance(found, typer.Typer) or found.__doc__
    assert commandline.call(name, "--help").code == 0


def test_a_misspelt_command_is_named_with_its_neighbour():
    answer = commandline.call("swep")
    assert answer.code == 2 and "Did you mean 'sweep'?" in answer.err


def test_all_commands_are_in_the_app():
    group = typer.main.get_command(app)
    assert list(group.commands) == list(COMMANDS)  # type: ignore[attr-defined]
    assert list(group.commands["sweep"].commands)  # type: ignore[attr-defined]
