"""Owns what is said of an option that a measure does not have."""

from collections.abc import Callable, Collection, Iterable
from functools import wraps
from inspect import Parameter, signature
from typing import ParamSpec, TypeVar

from repsim.errors import InputError, nearest

P = ParamSpec("P")
T = TypeVar("T")


def need_known(measure: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise InputError for the first of the options `given` that is not among those `known`, with the nearest one."""
    for name in given:
        if name not in known:
            do = nearest(name, known) if known else "leave it out"
            raise InputError(f"{measure} has no option '{name}'", where=name, do=do)


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Let a measure (x, y, *, options) refuse what it does not know as every measure does, and not with a TypeError."""
    parameters = signature(function).parameters
    options = [name for name, one in parameters.items() if one.kind is Parameter.KEYWORD_ONLY]

    @wraps(function)
    def measure(*given: P.args, **named: P.kwargs) -> T:
        need_known(function.__name__, (name for name in named if name not in parameters), options)
        return function(*given, **named)

    return measure
