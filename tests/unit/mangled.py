"""Owns bad sweep files: good ones, cut short, in which a seeded generator puts a few things wrong, in the tree or in the text."""

import base64
import copy
import datetime
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

Tree = dict[str, Any]
Spot = tuple[Any, Any]
"""A mapping or list, and a key or index of it."""

NAMES = (
    *("../../x", "$(touch owned)", "`id`", "a\nb", "x; touch owned", "-rf", "/etc/passwd", "a/b", "", " ", "ä" * 200, "\x1b[31m"),
    *("\u202eevil", "\ud800", "\x00", "x" * 5000, "{0}", "%s", "null", "case", "id", "*", "[!]", "[", "[a-", "**" * 50, "?" * 300),
    *("__class__", "model_config", "like", "if", "seed", "bn1", "relu", "a.b", "zoo", "..", "."),
)
NUMBERS = (
    *(-1, 0, 1, 2**31, 2**63, 10**30, 10**400, -(10**30), 1.5, -0.0, 1e308, 5e-324, float("inf"), float("-inf"), float("nan")),
    *(True, False, None, "1e400", "1e-3", "0..1", "0..99999", "0..9999999999999999999", "9..1", "00..01", "٠..٣", "1" * 5000),
)
TREES = (
    *([], {}, [[]], [None], {"a": {"b": []}}, {"": 1}, [1, 1], [1, True], ["a", 1, None], [[0, 1]], [[0, 0, 0]], [[-1, 10**30]]),
    *({"shuffle": 1}, {"if": {"seed": 0}, "then": {"seed": 1}}, {"like": "linear"}, {1: 2}, list(range(3000)), [{}] * 200),
    *(
        datetime.date(2020, 1, 1),
        datetime.datetime(1, 1, 1),
        b"\x00\xff",
        {"a"},
        "linear",
        ["linear", "lowrank"],
        {"front": "relu"},
    ),
)
TEXTS: tuple[str | bytes, ...] = (
    *("\t", "\x00", b"\xff\xfe", "\ufeff", "\n---\n", "\n...\n", "&a [*a]", "a: &a [1]\nb: *a\n", "<<: {job: x}\n", "? [a]\n: b\n"),
    *("!!python/object/apply:os.system [touch owned]", "!!python/name:os.system", "!!binary '@'", "!!timestamp '2001-99-99'"),
    *(
        "!!int x",
        "!!float x",
        "!!bool 3",
        "!!set {a}",
        "!!omap [a: 1]",
        "!x y",
        "%YAML 9.9\n---\n",
        "{" * 3000,
        "[" * 3000,
        "- " * 3000,
    ),
    *("'", '"', "|", ">", ": ", " #", "{a: {", "job: train\n", "zoo: {}\n", "1:60:90", "010", "0x" + "f" * 400, "1" * 6000, ".inf"),
    *("\u2028", "\x85", "\r", '"\\ud800"', '"\\U0010ffff"', '"\\x00"', '"\\e[31m"', "~", "on", "=", "y: {" + "a: {" * 500),
    "x: &x [1,1]\n" + "".join(f"x{i}: &x{i} [*x{i - 1 if i else ''},*x{i - 1 if i else ''}]\n" for i in range(40)),
)
HUGE = ("a" * 100_000_000, "k: v\n" * 250_000, "#" * 1_000_001)


def specs(seed: int, goods: list[Tree]) -> Iterator[bytes]:
    """Files without end. The same seed gives the same files."""
    chance = random.Random(seed)
    while True:
        tree = copy.deepcopy(chance.choice(goods))
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            chance.choice(IN_TREE)(tree, chance)
        text = dumped(tree)
        yield chance.choice(IN_TEXT)(text, chance) if chance.random() < 0.3 else text


def huge() -> Iterator[bytes]:
    """Files of many megabytes."""
    return (text.encode() for text in HUGE)


def short(path: Path) -> Tree:
    """A good sweep file, its axes and zoo cut to two each, so that it has few runs."""
    tree = yaml.safe_load(path.read_text())
    listed = isinstance(tree.get("pairs"), list)
    for block in tree["zoo"] if isinstance(tree["zoo"], list) else [tree["zoo"]]:
        block["seeds"] = block["seeds"] if listed else _two(block["seeds"])
    for axes in (*tree.get("cases", {}).values(), tree.get("grid", {})):
        axes.update({key: _two(values) for key, values in axes.items()})
    for name in list(tree.get("cases", {}))[3:]:
        del tree["cases"][name]
    if isinstance(tree.get("layers"), dict):
        tree["layers"] |= {end: tree["layers"][end][:1] for end in ("front", "end") if isinstance(tree["layers"][end], list)}
    return tree


def _two(values: Any) -> Any:
    """The first two of an axis; a single value is one."""
    if isinstance(values, str) and (match := re.fullmatch(r"(\d+)\.\.\d+", values)):
        return [int(match[1]), int(match[1]) + 1]
    return values[:2] if isinstance(values, list) else values


def dumped(tree: Any) -> bytes:
    """As YAML; what cannot be written as it is stands there escaped."""
    return yaml.dump(tree, Dumper=_Dumper, allow_unicode=False, sort_keys=False).encode("utf-8", "surrogatepass")


def _spots(tree: Any) -> list[Spot]:
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []
    return [(tree, key) for key in keys] + [spot for key in keys for spot in _spots(tree[key])]


def _odd(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(chance.choice((NAMES, NUMBERS, TREES))))


def _replace(tree: Tree, chance: random.Random) -> None:
    if spots := _spots(tree):
        holder, key = chance.choice(spots)
        holder[key] = _odd(chance)


def _rename(tree: Tree, chance: random.Random) -> None:
    if spots := [(holder, key) for holder, key in _spots(tree) if isinstance(holder, dict)]:
        holder, key = chance.choice(spots)
        word = str(key)
        others = [other for _, other in spots if isinstance(other, str)]
        new = chance.choice(
            (word[1:], word + "s", word.upper(), chance.choice(others or [""]), chance.choice(NAMES), 7, None, 1.5, True)
        )
        holder[new] = holder.pop(key)


def _delete(tree: Tree, chance: random.Random) -> None:
    if spots := _spots(tree):
        holder, key = chance.choice(spots)
        del holder[key]


def _move(tree: Tree, chance: random.Random) -> None:
    """One part of the tree also stands in place of another."""
    if spots := _spots(tree):
        (source, one), (target, other) = chance.choice(spots), chance.choice(spots)
        target[other] = copy.deepcopy(source[one])


def _add(tree: Tree, chance: random.Random) -> None:
    holders = [tree, *(holder[key] for holder, key in _spots(tree) if isinstance(holder[key], dict))]
    blocks = (
        "grid",
        "zip",
        "when",
        "include",
        "exclude",
        "order",
        "fixed",
        "cases",
        "pairs",
        "layers",
        "cross",
        "table",
        "profile",
    )
    fields = ("seed", "lr", "epochs", "init", "rank", "layer", "arch", "case", "images", "dataset", "width", "like", "imported")
    chance.choice(holders)[chance.choice(blocks + fields)] = _odd(chance)


def _sensible(tree: Tree, chance: random.Random) -> None:
    """A block that may well be meant, beside what is wrong elsewhere."""
    cases = tree.get("cases") if isinstance(tree.get("cases"), dict) else {}
    first = next(iter(cases or {"x": 0}))
    blocks: list[Tree] = [
        {"grid": {chance.choice(("seed", "image_seed", "attack_seed", "split_seed")): "0..2"}},
        {"order": chance.choice(("shuffle", {"shuffle": 3}, {"shuffle": -3}))},
        {"when": [{"if": {"case": f"{first}*"}, "then": {chance.choice(("lr", "images", "seed")): [0.5, 7]}}]},
        {"include": [{"case": first, chance.choice(("layer", "seed", "end_seed")): chance.choice(("relu1", 3, 1))}]},
        {"exclude": [{"case": f"{first}*"}, {"arch": "mcnn*"}][: chance.choice((1, 2))]},
        {"cases": {**(cases or {}), "heir": {"like": first}}},
    ]
    tree.update(chance.choice(blocks))


def _insert(text: bytes, chance: random.Random) -> bytes:
    odd, at = chance.choice(TEXTS), chance.randrange(len(text) + 1)
    at = text.rfind(b"\n", 0, at) + 1 if chance.random() < 0.5 else at
    return text[:at] + (odd if isinstance(odd, bytes) else odd.encode("utf-8", "surrogatepass")) + text[at:]


def _cut(text: bytes, chance: random.Random) -> bytes:
    return text[: chance.randrange(len(text) + 1)]


def _flip(text: bytes, chance: random.Random) -> bytes:
    found = bytearray(text)
    for _ in range(chance.randint(1, 8)):
        found[chance.randrange(len(found))] = chance.randrange(256)
    return bytes(found)


def _twice(text: bytes, chance: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    line = chance.choice(lines)
    return b"".join([*lines, line])


def _recoded(text: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        (text.decode().encode("utf-16"), base64.b64encode(text), text.replace(b"\n", b"\r\n"), text.replace(b"  ", b"\t"))
    )


def _valued(text: bytes, chance: random.Random) -> bytes:
    """An odd token in place of the value of one line."""
    lines = text.splitlines()
    index, odd = chance.randrange(len(lines)), chance.choice(TEXTS)
    key, colon, _ = lines[index].partition(b": ")
    lines[index] = key + colon + (odd if isinstance(odd, bytes) else odd.encode("utf-8", "surrogatepass"))
    return b"\n".join(lines)


IN_TREE: tuple[Callable[[Tree, random.Random], None], ...] = (
    _replace,
    _replace,
    _rename,
    _delete,
    _move,
    _add,
    _sensible,
    _sensible,
)
IN_TEXT: tuple[Callable[[bytes, random.Random], bytes], ...] = (_insert, _insert, _cut, _flip, _twice, _recoded, _valued, _valued)


class _Dumper(yaml.SafeDumper):
    """Every part in full: no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
