"""Owns the sections of the page: question, coverage, tables, figures, failures, cost, origin, methods and the sweep file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from repsim.report.costs import SOURCES, forecast_words
from repsim.report.page import pictured, tabled
from repsim.report.page.markup import Child, Markup, tag
from repsim.report.page.origins import SHOWN

Data = Mapping[str, Any]


class Section(NamedTuple):
    """One section: where it is linked to, what it is called, what is in it."""

    name: str
    title: str
    content: Child


def of(data: Data) -> list[Section]:
    """All sections, in the order of the page."""
    return [
        Section("coverage", "Coverage", list(_coverage(data["coverage"]))),
        Section("tables", "Tables", list(_tables(data))),
        Section("figures", "Figures", list(_figures(data))),
        Section("failures", "Failures", list(_failures(data["failures"]))),
        Section("cost", "Cost", list(_cost(data["cost"]))),
        Section("provenance", "Provenance", list(_provenance(data))),
        Section("methods", "Methods text", list(_methods(data["methods"]))),
        Section("sweep", "Sweep file", tag("pre", tag("code", data["spec"]), tabindex=0)),
    ]


def facts(data: Data) -> Markup:
    """The size of the sweep and how far it is, in a line of numbers."""
    size, states = data["size"], data["coverage"]["states"]
    done = f"{states.get('done', 0):,} of {size['runs']:,}"
    said = [("runs done", done), ("networks", size["networks"]), ("pairs", size["pairs"]), ("layers", len(size["layers"]))]
    said += [("cases", len(size["cases"])), ("diverged", data["coverage"]["diverged"]), ("failed", states.get("failed", 0))]
    said += [(data["cost"]["unit"], f"{data['cost']['hours_used']:.2f}")]
    return tag(
        "dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in said if value not in (0, "")], class_="facts"
    )


def _coverage(found: Data) -> Iterator[Child]:
    said = " · ".join(f"{state} {count:,}" for state, count in found["states"].items()) or "no runs"
    more = " · ".join(f"{state} {count:,}" for state, count in found["networks"].items())
    yield tag("p", f"Runs: {said}." + (f" Networks: {more}." if more else ""))
    caption = "Finished of expected runs; what is not finished is named by its state, and diverged runs are counted beside."
    yield tabled.grid("coverage", caption, found["axes"], found["cells"])
    if found["missing_runs"]:
        shown = found["missing"]
        rows = [[one["run"], one["state"], one["cause"] or "–"] for one in shown]
        more = f", the first {len(shown)} of them" if len(shown) < found["missing_runs"] else ""
        caption = f"Runs without a row{more}."
        table = tabled.plain("missing", caption, ["run", "state", "cause"], rows)
        yield tag("details", tag("summary", f"{found['missing_runs']:,} runs are missing"), table)
    if found["diverged_runs"]:
        names = [tag("li", tag("bdi", name)) for name in found["diverged_runs"]]
        yield tag("details", tag("summary", f"{found['diverged']:,} runs diverged"), tag("ul", names))


def _tables(data: Data) -> Iterator[Child]:
    if data["no_tables"]:
        yield tag("p", "No table: ", data["no_tables"], class_="empty")
    for table in data["tables"]:
        page = "".join(f" · {name} {value}" for name, value in table["page"])
        yield tag("h3", table["definition"]["title"] or table["title"], page, id=f"number-{table['id']}")
        yield tabled.draw(table)
        if table["comparison"]:
            yield _comparison(table)


def _comparison(table: Data) -> Markup:
    found = table["comparison"]
    return tabled.plain(f"{table['id']}-compared", found["caption"], found["heads"], found["rows"], found["keys"])


def _figures(data: Data) -> Iterator[Child]:
    tables = {one["id"]: one for one in [*data["tables"], *data["drawn"]]}
    if not data["figures"]:
        yield tag("p", "Nothing to draw: no run with a number has finished.", class_="empty")
    heat = [one for one in data["figures"] if one["kind"] == "heat"]
    for figure in data["figures"]:
        if figure["kind"] != "heat":
            yield pictured.draw(figure, tables)
        elif figure is heat[0]:
            yield pictured.heat_maps(heat, tables)


def _failures(found: Data) -> Iterator[Child]:
    if not found["failed"] and not found["blocked"]:
        yield tag("p", "No run failed, and none waits for a network that will not come.", class_="empty")
    for one in (*found["failed"], *found["blocked"]):
        head = tag("h3", one["cause"], tag("small", f" {one['runs']:,} runs"))
        example = tag("p", "For example ", tag("bdi", one["slug"]), class_="note")
        yield tag("article", head, tag("p", one["do"]), tag("pre", one["message"], tabindex=0), example, class_="failure")


def _cost(found: Data) -> Iterator[Child]:
    lost = f", {found['hours_wasted']:.2f} lost on attempts that gave no row" if found["hours_wasted"] else ""
    said = "no forecast of it is known" if found["ratio"] is None else forecast_words(found)
    left = f" About {found['hours_left']:.2f} left, {found['hours_left_worst']:.2f} at the slow end." if found["left"] else ""
    yield tag("p", f"{found['hours_used']:.2f} {found['unit']} used{lost}; {said}.{left}")
    if found["kinds"]:
        heads = [
            "job",
            "runs of",
            "forecast from",
            "runs",
            "hours forecast",
            "hours taken",
            "taken / forecast",
            "middle 80 % of groups",
        ]
        yield tabled.plain("forecast", "Forecast and actual cost by kind of run.", heads, [_kind(one) for one in found["kinds"]], 2)
    if found["left"]:
        heads = ["job", "runs of", "forecast from", "runs", "hours forecast", "at the slow end"]
        yield tabled.plain("left", "Forecast for what has no row yet.", heads, [_left(one) for one in found["left"]], 2)
    if found["devices"]:
        rows = [[one["job"], one["device"], one["card"], f"{one['runs']:,}", f"{one['hours']:.3f}"] for one in found["devices"]]
        yield tabled.plain(
            "devices", "Hours of stored runs by job and device.", ["job", "device", "card", "runs", "hours"], rows, 3
        )
    if found["idle"]:
        heads = ["job", "runs of", "tasks", "hours computing", "hours starting", "hours waiting"]
        yield tabled.plain("tasks", "What tasks did with their time.", heads, [_idle(one) for one in found["idle"]], 2)


def _kind(one: Data) -> list[Child]:
    hours = [f"{one['hours_expected']:.3f}", f"{one['hours']:.3f}", f"{one['ratio']:.2f}"]
    middle = f"{one['ratio_low']:.2f} to {one['ratio_high']:.2f}"
    return [*_runs_of(one), *hours, middle]


def _left(one: Data) -> list[Child]:
    return [*_runs_of(one), f"{one['hours']:.3f}", f"{one['hours_worst']:.3f}"]


def _runs_of(one: Data) -> list[Child]:
    return [one["job"], one["kind"], SOURCES.get(one["source"], "an older plan"), f"{one['runs']:,}"]


def _idle(one: Data) -> list[Child]:
    hours = [f"{one[f'hours_{name}']:.3f}" for name in ("computing", "starting", "waiting")]
    return [one["job"], one["kind"], str(one["tasks"]), *hours]


def _provenance(data: Data) -> Iterator[Child]:
    found = data["provenance"]
    if found["started"]:
        first, last = found["started"]
        yield tag("p", f"{found['rows']:,} rows; the first group began {first}, the last {last}.")
    rows = [[SHOWN[name], _counted(values)] for name, values in found["columns"].items() if values]
    if rows:
        yield tabled.plain("origin", "Where the rows come from; how many have each value, where it differs.", ["", "value"], rows)
    if data["networks"]:
        yield tag("details", tag("summary", f"{len(data['networks'])} networks"), _networks(data["networks"]))
    if found["run_ids"]:
        ids = tag("pre", " ".join(found["run_ids"]), class_="ids", tabindex=0)
        yield tag("details", tag("summary", f"{len(found['run_ids']):,} run ids"), ids)


def _counted(values: Sequence[Sequence[Any]]) -> list[Child]:
    if len(values) == 1:
        return [tag("bdi", values[0][0])]
    return [tag("span", tag("bdi", value), tag("small", f" × {count:,}"), class_="chip") for value, count in values]


def _networks(found: Sequence[Data]) -> Markup:
    heads = ["run", "architecture", "data set", "seed", "made", "accuracy"]
    rows = [
        [
            one["run_id"],
            _size(one),
            one["dataset"],
            one["seed"],
            one["made"],
            "–" if one["accuracy"] is None else f"{one['accuracy']:.4f}",
        ]
        for one in found
    ]
    return tabled.plain("networks", "The networks and their own test accuracy.", heads, rows)


def _size(one: Data) -> str:
    said = [f"{name} {one[name]}" for name in ("width", "depth") if one[name] is not None]
    return " ".join([str(one["arch"]), *said])


def _methods(found: Mapping[str, str]) -> Iterator[Child]:
    yield tag("p", "Made from the sweep file and the stored rows; read it before you paste it.", class_="note")
    for name, title in (("text", "Plain text"), ("latex", "LaTeX"), ("bibtex", "BibTeX of what it cites")):
        button = tag("button", "Copy", type="button", data_copy=f"methods-{name}")
        yield tag("div", tag("h3", title), button, class_="with-button")
        yield tag("pre", found[name], id=f"methods-{name}", tabindex=0)
