"""Owns what a page prints and draws, read back: cells, captions, counts, labels of points, and where marks stand by their axes."""

import html
import re
from collections import Counter
from collections.abc import Callable
from math import log

import numpy as np
import pandas as pd

NEAR = 1e-9  # relative; sums may be made in another order
PIXEL = 0.12  # of a picture whose places have one decimal
NUMBER = r"[−–\d.e+-]+"


class Tally:
    """How many numbers were compared, how far off they were, and what differs."""

    def __init__(self):
        self.count = Counter()
        self.worst = 0.0
        self.wrong: list[str] = []

    def compare(self, kind: str, where: str, said, found, tolerance: float = 0.0) -> None:
        self.count[kind] += 1
        if said is None or found is None or isinstance(said, str):
            off = 0.0 if said == found else float("inf")
        else:
            off = abs(said - found) / (1.0 if tolerance else max(abs(found), 1e-12)) if said != found else 0.0
        if off > (tolerance or NEAR):
            self.wrong.append(f"{kind}, {where}: the report says {said}, the rows give {found}")
        elif not tolerance:
            self.worst = max(self.worst, off)


def check_head(page: str, data: dict, done: pd.DataFrame, tally: Tally) -> None:
    """The facts at the head of the page, and the hours."""
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    sides = [name for name in ("front_network", "end_network", "network") if name in done]
    layers = {text for name in ("front_layer", "end_layer", "layer") if name in done for text in done[name].dropna().astype(str)}
    mine = {"runs done": len(done)}
    if len(done) == data["size"]["runs"]:
        mine |= {"cases": done["case"].nunique()} if done["case"].notna().all() else {}
        mine |= {"networks": len(set(done[sides].stack()))} if sides else {}
        mine |= {"pairs": len(done[["front_network", "end_network"]].drop_duplicates())} if "front_network" in done else {}
        mine |= {"layers": len(layers)} if layers else {}
    for name, value in mine.items():
        if name in facts:
            tally.compare("head", name, int(facts[name].split(" of ")[0].replace(",", "")), value)
    for kind in data["cost"]["kinds"]:
        if kind["job"] == data["size"]["job"] and len(data["cost"]["kinds"]) <= 1 + bool(data["networks"]):
            tally.compare("hours", "of its runs", kind["hours"], float(done["run_seconds"].sum()) / 3600, 5e-5)


def check_words(page: str, data: dict, cells: dict[str, list[dict]], tally: Tally) -> None:
    """The numbers in the cells of the page, to half of their last digit; which must be as many as the data has."""
    for table in data["tables"]:
        body = re.search(rf'<table class="gathered" data-table="{re.escape(html.escape(table["id"]))}".*?</table>', page, re.S)
        found = re.findall(r'<td[^>]*data-i="(\d+)"[^>]*>(.*?)</td>', body[0] if body else "", re.S)
        tally.compare("cells shown", table["id"], len(found), len(table["cells"]))
        for index, inside in found:
            words = html.unescape(re.sub(r"<[^>]+>", "", inside))
            read(words, cells[table["id"]][int(index)], table["definition"]["spread"], f"{table['id']} cell {index}", tally)
        stds = [mine["std"] for mine in cells[table["id"]] if mine.get("std") is not None]
        told = re.search(rf"Std over \w+ ({NUMBER})(?: to ({NUMBER}))?\.(?: |<)", body[0] if body else "")
        for words, value in zip(told.groups() if told else (), (min(stds, default=0.0), max(stds, default=0.0)), strict=False):
            printed(words or told[1], value, "caption", table["id"], tally)


def check_comparison_words(page: str, data: dict, tally: Tally) -> None:
    """The words of each line of a paired comparison against the numbers of that line, which were recomputed."""
    for table in data["tables"]:
        lines = table["comparison"]["records"] if table["comparison"] else []
        name = re.escape(html.escape(table["id"]))
        body = re.search(rf'<table class="plain" data-table="{name}-compared".*?</table>', page, re.S)
        rows = re.findall(r"<tr><th scope=\"row\".*?</tr>", body[0] if body else "", re.S)
        tally.compare("lines shown", table["id"], len(rows), len(lines))
        for row, line in zip(rows, lines, strict=False):
            words = [html.unescape(re.sub(r"<[^>]+>", "", one)) for one in re.findall(r"<td.*?</td>", row, re.S)]
            half = None if line["low"] is None else (line["high"] - line["low"]) / 2
            below = None if line["below"] is None else round(line["below"] * line["n_pairs"])
            difference = re.match(rf"({NUMBER})(?: ± ({NUMBER})| \[({NUMBER}), ({NUMBER})\])?$", words[3])
            told = {"pairs": (words[0], line["n_pairs"]), "a": (words[1], line["mean_a"]), "b": (words[2], line["mean_b"])}
            told |= {"difference": (difference[1], line["difference"]), "t": (words[4].split(" (")[0], line["t"])}
            if difference[3]:
                told |= {"low": (difference[3], line["low"]), "high": (difference[4], line["high"])}
            else:
                told |= {"half": (difference[2], half)}
            told |= {"p": (words[5], line["p"]), "p, Holm": (words[6], line["p_holm"]), "d": (words[-2], line["d"])}
            told |= {"p, signs": (words[7], line["p_signs"])} if len(words) > 9 else {}
            told |= {"below": (words[-1].split("/")[0], below)}
            for what, (said, value) in told.items():
                if said and said.startswith("< "):
                    tally.compare("lines", f"{table['id']} {what}", value is not None and value < float(said[2:]), True)
                else:
                    printed(said, value, "lines", f"{table['id']} {what}", tally)


def read(words: str, mine: dict, spread: str, where: str, tally: Tally) -> None:
    """48.23 ± 11.30 (6/6), of a bootstrap 48.23 [36.9, 59.5] (6/6): each number as near as its last digit says."""
    low, high = mine["low"], mine["high"]
    half = mine["std"] if spread == "std" else None if low is None else (high - low) / 2
    said = re.match(rf"\s*({NUMBER})(?: ± ({NUMBER})| \[({NUMBER}), ({NUMBER})\])? \(([\d,]+)/([\d,]+)", words)
    if said is None:
        tally.compare("words", where, words, "a mean, its spread, and how many of how many")
        return
    bracketed = said[3] is not None
    expected = [(said[1], mine["mean"]), *([(said[3], low), (said[4], high)] if bracketed else [(said[2], half)])]
    for told, value in expected:
        printed(told, value, "words", where, tally)
    tally.compare("words", where, int(said[5].replace(",", "")), mine["n"])


def printed(told: str | None, value: float | None, kind: str, where: str, tally: Tally) -> None:
    """One printed number, to half of its last digit; a dash or nothing where there is none."""
    if told is None or told in ("–", "-"):
        tally.compare(kind, where, None, value if told else None)
        return
    digits = told.replace("−", "-").replace(",", "")
    mantissa, _, power = digits.partition("e")
    last = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    if "." not in digits:  # four significant digits of a number without decimals
        last = 10.0 ** max(0, len(digits.lstrip("-")) - 4)
    tally.compare(kind, where, float(digits), value, 0.5001 * last)


def check_figures(page: str, cells: dict[str, list[dict]], tally: Tally) -> None:
    """Where marks, their intervals and lines stand, by the ticks of both axes; and the labels of marks."""
    for panel in re.findall(r'<svg viewBox[^>]*class="panel.*?</svg>', page, re.S):
        turned, level = (re.search(rf'<text {side}[^>]*class="name">[^<]*logarithmic', panel) for side in ("transform", "x"))
        along = axis(re.findall(r'y="([\d.]+)" text-anchor="end" class="tick">([−\d.,e+-]+)<', panel), -3.5, bool(turned))
        across = axis(re.findall(r'<text x="([\d.]+)" y="371" text-anchor="middle">([−\d.,e+-]+)<', panel), 0.0, bool(level))
        marks = re.findall(r'<g ([^>]*?data-t="([^"]+)" data-i="(\d+)"[^>]*)>(.*?)</g>', panel, re.S)
        for head, table, index, inside in marks:
            mine, where = cells[table][int(index)], f"{table} cell {index}"
            place = re.search(r'<use href="#m\d" x="([\d.]+)" y="([\d.]+)"', inside)
            if place and along:
                tally.compare("points", where, float(place[2]), along(mine["mean"]), PIXEL)
                ends(inside, mine, along, where, tally)
            other = re.search(r'data-x="([^"]+)" data-xi="(\d+)"', head)
            if place and other and across:
                tally.compare("points", f"{where} across", float(place[1]), across(cells[other[1]][int(other[2])]["mean"]), PIXEL)
            label(head, mine, where, tally)


def ends(inside: str, mine: dict, along: Callable[[float], float], where: str, tally: Tally) -> None:
    """The ends of an upright interval; those outside the picture are cut, and left out."""
    upright = re.search(r'<path d="M[\d.]+,([\d.]+)V([\d.]+)', inside)
    capped = re.findall(r"M[\d.]+,([\d.]+)h6", inside)
    if upright and mine["low"] is not None:
        for said, value in zip(upright.groups(), (mine["low"], mine["high"]), strict=True):
            if said in capped or len(capped) > 1:
                tally.compare("points", f"{where} interval", float(said), along(value), PIXEL)


def label(head: str, mine: dict, where: str, tally: Tally) -> None:
    """What is read out of a mark: its last part but in a picture of two numbers, whose first is that of its table."""
    words = html.unescape(re.search(r'aria-label="([^"]*)"', head)[1])
    said = re.search(rf": (?:[\w.@]+ )?({NUMBER}) ± {NUMBER} \((\d+)/", words)
    if said:
        printed(said[1], mine["mean"], "labels", where, tally)
        tally.compare("labels", where, int(said[2]), mine["n"])


def axis(ticks: list[tuple[str, str]], shift: float, logarithmic: bool) -> Callable[[float], float] | None:
    """From a value to its place, by the ticks of an axis; None with fewer than two, or where what it is called does not fit."""
    if len(ticks) < 2:
        return None
    scale = log if logarithmic else float
    place, value = (np.array(side) for side in zip(*((float(a) + shift, scale(number(b))) for a, b in ticks), strict=True))
    slope, start = np.polyfit(value, place, 1)
    return (lambda at: float(start + slope * scale(at))) if np.abs(start + slope * value - place).max() < PIXEL else None


def number(words: str) -> float:
    return float(words.replace(",", "").replace("−", "-"))
