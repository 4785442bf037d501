"""Owns commands that are imported only when they are given, so that `repsim --help` answers at once; and what holds for all.

Help is plain text: it needs no rich, whose import would take longer than all the rest, and can be searched and piped.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

PROJECT: ContextVar[Path | None] = ContextVar("project", default=None)
"""The root that was named with --project."""

SENTENCE = 1000  # characters: as many as there are


class Place(NamedTuple):
    """Where a command is, as in repsim.cli.sweep:app, and what is said of it in the list of commands."""

    address: str
    help: str


Places = Mapping[str, Place]


class Commands(Mapping[str, Any]):
    """Name → command, imported on demand."""

    def __init__(self, places: Places):
        self._places = places

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = self._places[name].address.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            return _alone(name, found)
        command: Any = typer.main.get_command(found)
        command.name, command.help = name, self._places[name].help
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Plain(TyperGroup):
    """A group whose list tells the whole first sentence of each command."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name in self.commands if (said := self.told(name)) is not None])

    def told(self, name: str) -> str | None:
        """What the list says of a command; None: it is hidden."""
        command = self.commands[name]
        return None if command.hidden else command.get_short_help_str(limit=SENTENCE)


def group(places: Places) -> type[TyperGroup]:
    """The class of a group whose commands lie at `places`."""

    class Group(Plain):
        def __init__(self, **attributes: Any):
            super().__init__(**attributes)
            self.commands: Any = Commands(places)

        def told(self, name: str) -> str:
            return places[name].help

    return Group


def plain(cls: type[TyperGroup] = Plain, **more: Any) -> typer.Typer:
    """An empty group of commands."""
    said = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}
    return typer.Typer(cls=cls, no_args_is_help=True, **said, **more)


def _alone(name: str, function: Callable[..., Any]) -> Any:
    """A command that is no group."""
    one = plain()
    one.command(name)(function)
    return typer.main.get_command(one)
