"""Owns words that stand for several values of a field: `measure: all` is every measure that the job has, one added tomorrow too.

A job says them as WORDS, by field and word.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from repsim.job import Job
from repsim.sweep.spec import Spec

Words = Mapping[str, Mapping[str, Sequence[Any]]]


def spelled(spec: Spec, job: Job) -> Spec:
    """`spec` with such words spelled out, in cases, grid, what rules of `when` set, and `include`."""
    words: Words = job.words
    if not words:
        return spec
    cases = {name: _out(case, words) for name, case in spec.cases.items()}
    when = [rule.model_copy(update={"then": _out(rule.then, words)}) for rule in spec.when]
    include = [_out(entry, words) for entry in spec.include]
    return spec.model_copy(update={"cases": cases, "grid": _out(spec.grid, words), "when": when, "include": include})


def _out(block: Mapping[str, list[Any]], words: Words) -> dict[str, list[Any]]:
    """Each value once, where it first stands."""
    return {key: list(dict.fromkeys(_values(values, words[key]))) if key in words else values for key, values in block.items()}


def _values(values: Sequence[Any], words: Mapping[str, Sequence[Any]]) -> list[Any]:
    return [one for value in values for one in words.get(value, [value])]
