"""Owns how figures stand in the page: title, panels, the legend that singles out a line, and the words below."""

from collections.abc import Mapping, Sequence

from repsim.report.page import heats, lines, scatters, vector
from repsim.report.page.cells import label, value_name
from repsim.report.page.figures import Figure
from repsim.report.page.markup import Child, Markup, tag
from repsim.report.page.numbers import Entry

Tables = Mapping[str, Entry]
CUT = "Hollow: short of its expected runs. An interval without a cap at an end goes on beyond the panel."


def draw(figure: Figure, tables: Tables) -> Markup:
    """One figure; its numbers are cells of `tables`."""
    return KINDS[figure["kind"]](figure, tables)


def heat_maps(figures: Sequence[Figure], tables: Tables) -> Markup | None:
    """All heat maps together, in the same shades."""
    if not figures:
        return None
    found = [tables[one["table"]] for one in figures]
    ends = min(heats.span(one)[0] for one in found), max(heats.span(one)[1] for one in found)
    maps = [tag("figure", tag("figcaption", tag("b", _name(one))), heats.draw(one, ends), class_="small") for one in found]
    title = f"{value_name(found[0]).capitalize()} of front layer (down) against end layer (across)"
    words = "Hatched: no number. Darker is less, lighter more; all maps have the same shades."
    return _figure("heat-maps", title, [heats.key(found[0], ends), tag("div", maps, class_="panels maps")], words)


def _name(table: Entry) -> str:
    return table["title"] if table["page"] else ""


def _lines(figure: Figure, tables: Tables) -> Markup:
    table = tables[figure["table"]]
    parts: list[Child] = []
    found = lines.panels(table, figure["turned"])
    for lined in found:
        heading = tag("h4", tag("bdi", lined.panel)) if len(found) > 1 else None
        panels = lines.draw(lined)
        few = len(lined.series) <= lines.FEW
        legend = _legend([(i, name) for i, name, _ in lined.series]) if few else None
        parts.append(tag("div", heading, tag("div", panels, class_="panels one" if few else "panels"), legend))
    name = found[0].x_name.replace("_", " ") if found else ""
    faint = " In each panel one line, all others faint behind it." if any(len(one.series) > lines.FEW for one in found) else ""
    words = f"{value_name(table).capitalize()}: mean and 95 % interval of each cell, n as in the table.{faint} {CUT}"
    return _figure(figure["id"], f"{_first(table['title'])} by {name}", parts, words)


def _scatter(figure: Figure, tables: Tables) -> Markup:
    along, up = tables[figure["x"]], tables[figure["y"]]
    legend = _legend([(i, label(key)) for i, key in enumerate(up["cols"])])
    words = (
        "One point per cell of both tables, with both 95 % intervals. Dashed: the task loss gains nothing over direct matching; "
        f"below it training lowers the penalty. {CUT}"
    )
    return _figure(figure["id"], "Task loss against direct matching", [scatters.scatter(along, up), legend], words)


def _pareto(figure: Figure, tables: Tables) -> Markup:
    along, up = tables[figure["x"]], tables[figure["y"]]
    legend = _legend([(i, label(key)) for i, key in enumerate(up["rows"])])
    words = (
        "Means over all runs that the table shows, those of one pair averaged first. The line joins what nothing else beats in "
        "both. Runs of a group are computed together; each has the part of its group's seconds that its images passed through "
        "the network are of the group's: seconds "
        "cannot tell apart stitchers of equal epochs that were computed together."
    )
    on = f" on {figure['device']}" if figure.get("device") else ""
    return _figure(figure["id"], f"Penalty against computing time{on}", [scatters.pareto(along, up), legend], words)


def _heat(figure: Figure, tables: Tables) -> Markup | None:
    return heat_maps([figure], tables)


def _legend(series: Sequence[tuple[int, str]]) -> Markup:
    """What each marker and dash is; pressing one singles it out."""
    buttons = [
        tag("button", vector.sample(i), tag("bdi", name), type="button", class_="series", data_s=i, aria_pressed="false")
        for i, name in series
    ]
    return tag("div", buttons, class_="legend", role="group", aria_label="Legend: press one to single it out")


def _figure(name: str, title: str, parts: Child, words: str) -> Markup:
    head = tag("figcaption", tag("h3", title))
    return tag("figure", head, tag("div", parts, class_="scroll"), tag("p", words, class_="note"), class_="plot", id=name)


def _first(title: str) -> str:
    """What a number is called, before its definition."""
    return title.split(":")[0].split(", in ")[0]


KINDS = {"lines": _lines, "scatter": _scatter, "pareto": _pareto, "heat": _heat}
