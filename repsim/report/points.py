"""Owns how the explanation of a point is shown as text."""

from typing import Any

from repsim.report.counts import number
from repsim.sweep.explain import Why


def why_text(why: Why) -> str:
    """Which blocks made what was asked for and which took it out; of one point alone, which block decided each field."""
    made, taken = sum(why.made.values()), sum(why.taken.values())
    merged = f" from {number(made, 'point')}, equal ones merged" if made > why.runs else ""
    lines = [f"{why.sweep}: {number(why.runs, 'run')}{merged}" + (f", {number(taken, 'point')} taken out" if taken else "")]
    lines += [f"  made by   {block}: {number(count, 'point')}" for block, count in why.made.items()]
    lines += [f"  taken by  {rule}: {number(count, 'point')}, {_rule(why.rules[rule])}" for rule, count in why.taken.items()]
    return "\n".join([*lines, *(_point_lines(why.point) if why.point else [])])


def _rule(rule: dict[str, list[Any]]) -> str:
    return ", ".join(f"{key} {' or '.join(map(str, values))}" for key, values in rule.items())


def _point_lines(point: dict[str, Any]) -> list[str]:
    said = {name: (str(field["value"]), field["block"]) for name, field in point["fields"].items()}
    wide = [max(map(len, column), default=0) for column in (said, [value for value, _ in said.values()])]
    lines = [f"  point     {point['slug'] or point['id'] or 'of fields that make no sense together'}"]
    lines += [f"    {name:{wide[0]}}  {value:{wide[1]}}  {block}" for name, (value, block) in said.items()]
    return [*lines, f"    {number(point['defaults'], 'field')} more at the default"]
