"""Owns the points of a sweep before they are checked: product → zip → when → include, each with the blocks that made it.

Of the product, outermost first: axes of grid and zip that are seeds; places (pair by pair or network by network, then layer
by layer); the other axes of grid, in file order; zip; case. So every cell has one seed before any has two. Values: `fixed` <
place < grid and zip < case < when. A point of `include` is made of `fixed`, a place, the case that it names and its own values.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, product
from typing import Any

from repsim.errors import SpecError, nearest
from repsim.job import Job
from repsim.sweep.exclude import Condition, Draft, condition, field_of, meets
from repsim.sweep.spec import Spec, When

Fields = dict[str, Any]
GROUND = ("zoo", "pairs", "layers")
"""Blocks that decide a place."""
INCLUDED = "included"
"""The case of an included point that names none, where there are cases."""


def drafts(spec: Spec, places: Sequence[Fields], job: Job, where: str) -> Iterator[Draft]:
    """Every point of the sweep. SpecError for a rule that no point meets, an unknown case and a place that is not there."""
    yield from _bent(spec, _product(spec, places), job, where)
    for index, said in enumerate(spec.include):
        yield from _included(spec, said, places, job, f"include.{index}", where)


def _product(spec: Spec, places: Sequence[Fields]) -> Iterator[Draft]:
    axes = _axes(spec)
    outer, inner = (list(_joined(axis for axis in axes if _is_seed(axis) is seed)) for seed in (True, False))
    cases = list(chain.from_iterable(_variants(name, said, said, (f"cases.{name}",)) for name, said in spec.cases.items()))
    for seeds in outer:
        for place in places:
            for values in inner:
                base = {**spec.fixed, **place, **seeds, **values}
                for case in cases or [Draft({})]:
                    yield Draft({**base, **case.fields}, case.case, case.blocks)


def _axes(spec: Spec) -> list[list[Fields]]:
    """Each axis as the values that it sets; all of zip is one axis."""
    zipped = [dict(zip(spec.zip, row, strict=True)) for row in zip(*spec.zip.values(), strict=True)]
    return [[{key: value} for value in values] for key, values in spec.grid.items()] + ([zipped] if zipped else [])


def _is_seed(axis: Sequence[Fields]) -> bool:
    """An axis of seeds repeats what the other axes ask."""
    return all(key == "seed" or key.endswith("_seed") for key in axis[0])


def _joined(axes: Iterable[Sequence[Fields]]) -> Iterator[Fields]:
    for values in product(*axes):
        yield dict(chain.from_iterable(one.items() for one in values))


def _variants(name: str | None, fields: Fields, named: Fields, blocks: tuple[str, ...]) -> Iterator[Draft]:
    """Lists make several points, named by their values: `linear: {init: [random, ps_inv]}` → "linear random", "linear ps_inv"."""
    axes = [key for key, values in fields.items() if len(values) > 1 or len(named.get(key, ())) > 1]
    for values in product(*fields.values()):
        said = dict(zip(fields, values, strict=True))
        yield Draft(said, name and " ".join([name, *(str(said[key]) for key in axes)]), blocks)


def _bent(spec: Spec, made: Iterable[Draft], job: Job, where: str) -> Iterator[Draft]:
    """Each rule of `when` sets its values where a point meets its condition, and sees what the rules before it set."""
    met: set[str] = set()
    for index, rule in enumerate(spec.when):
        wanted = condition(rule.met, job, f"{where}: when.{index}.if")
        made = _ruled(made, wanted, rule, f"when.{index}", met, job)
    yield from made
    for block in (f"when.{index}" for index in range(len(spec.when))):
        if block not in met:
            raise SpecError("no point meets the condition", where=f"{where}: {block}.if", do="remove the rule, or mend it")


def _ruled(made: Iterable[Draft], wanted: Condition, rule: When, block: str, met: set[str], job: Job) -> Iterator[Draft]:
    """One rule over all points, one by one: a few rules can make more points than there is room for."""
    for draft in made:
        if meets(draft, wanted, job):
            met.add(block)
            yield from _with(draft, rule.then, block)
        else:
            yield draft


def _with(draft: Draft, then: dict[str, list[Any]], block: str) -> Iterator[Draft]:
    for values in product(*then.values()):
        yield Draft({**draft.fields, **dict(zip(then, values, strict=True))}, draft.case, (*draft.blocks, block))


def _included(
    spec: Spec, said: dict[str, list[Any]], places: Sequence[Fields], job: Job, block: str, where: str
) -> Iterator[Draft]:
    """One entry: what it says of places chooses among those of the sweep, all else is set; lists make several points."""
    fields = job.config.model_fields
    own = {field_of(key, fields): values for key, values in said.items() if key != "case"}
    choice = {key: values for key, values in own.items() if places and key in places[0]}
    here = [place for place in places if meets(Draft(place), choice, job)]
    if not here:
        what = f"no pair and layer, or network, of the sweep has {', '.join(f'{key} {choice[key]}' for key in choice)}"
        raise SpecError(what, where=f"{where}: {block}", do="an entry chooses among those of zoo, pairs and layers: add it there")
    mine = {key: values for key, values in own.items() if key not in choice}
    for place, case in product(here, said.get("case", [None])):
        for one in _points(spec, case, mine, block, where):
            yield Draft({**spec.fixed, **place, **one.fields}, one.case, one.blocks)


def _points(spec: Spec, case: Any, mine: dict[str, list[Any]], block: str, where: str) -> Iterator[Draft]:
    """The values that one entry and the case that it names say."""
    if case is None:
        return _variants(INCLUDED if spec.cases else None, mine, {}, (block,))
    if case not in spec.cases:
        raise SpecError(f"there is no case '{case}'", where=f"{where}: {block}.case", do=nearest(str(case), spec.cases))
    return _variants(case, {**spec.cases[case], **mine}, spec.cases[case], (f"cases.{case}", block))


def block_of(spec: Spec, draft: Draft, key: str) -> str | None:
    """The block of the file that decided what a point has in `key`; None: its default.

    Blocks are key paths, as in cases.linear, when.0.then, include.1; zoo, pairs or layers is what decided the place.
    """
    for block in reversed(draft.blocks):
        if key in _said(spec, block):
            return f"{block}.then" if block.startswith("when.") else block
    included = any(block.startswith("include.") for block in draft.blocks)
    axes = {} if included else {"grid": spec.grid, "zip": spec.zip}
    return next((block for block, said in axes.items() if key in said), None) or _ground(spec, draft, key)


def _said(spec: Spec, block: str) -> Iterable[str]:
    kind, _, name = block.partition(".")
    if kind == "cases":
        return spec.cases[name]
    return spec.when[int(name)].then if kind == "when" else spec.include[int(name)]


def _ground(spec: Spec, draft: Draft, key: str) -> str | None:
    """Of what no axis sets; `fixed` never says what a place says."""
    if key in spec.fixed:
        return "fixed"
    if key not in draft.fields:
        return None
    return "layers" if key == "layer" or key.endswith("_layer") else "pairs" if key.startswith(("front_", "end_")) else "zoo"
