"""The report of a sweep: one file that needs nothing, says everything, and takes no word of a sweep for markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
import stitch_frames
import toy
from commandline import call

from repsim import frames
from repsim import table as tables
from repsim.report.page import document, figures, markup, methods, numbers, pictured, printing, scales
from repsim.report.page.markup import tag

STITCH = """# Does <script>alert(1)</script> the "penalty" grow & why?
# Second line
zoo: {arch: net, dataset: d, seeds: 0..3}
layers: relu
cases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}
"""
HOSTILE = (
    "</script><script>window.bad=1</script><img src=x onerror=window.bad=1> \"'`\u202eevil\u2069 \x00\x1b[31m ünïcode 猫 🐈 "
    + "x" * 10_000
)


class Page(HTMLParser):
    """What a page holds: its elements with their attributes, and the text of each kind of element."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        for name in set(self._open):
            self.texts[name][-1] += data

    def of(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")
    return project


@pytest.fixture
def finished(here):
    toy.run(here, toy.sweep(here, STITCH, "stitches"))
    return here


def page_of(project, *words) -> Page:
    answer = call("results", "report", "stitches", *words)
    assert answer.code == 0, answer.err
    return Page((project.results / "reports" / "stitches.html").read_text())


def test_the_file_asks_for_nothing_and_allows_no_script_but_its_own(finished):
    page = page_of(finished)
    rules = next(one["content"] for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert rules.startswith("default-src 'none'; ")
    links = [value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href", "action")]
    assert links and all(str(link).startswith(("#", "data:,")) for link in links)
    scripts = [text for text, one in zip(page.texts["script"], page.of("script"), strict=True) if one.get("type") is None]
    for name, (text,) in (("script", scripts), ("style", page.texts["style"])):
        assert f"{name}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in rules
    assert not [one for _, one in page.elements if any(name.startswith("on") or name == "style" for name in one)]


def test_the_page_holds_the_very_data_that_json_prints(finished):
    page = page_of(finished)
    embedded = json.loads(
        next(t for t, one in zip(page.texts["script"], page.of("script"), strict=True) if one.get("id") == "data")
    )
    printed = call("results", "report", "stitches", "--json").json
    assert printed.pop("file").endswith("results/reports/stitches.html")
    assert {**embedded, "made": 0} == {**printed, "made": 0}
    assert embedded["size"]["runs"] == 72 and embedded["coverage"]["states"] == {"done": 72}
    (table,) = embedded["tables"]
    # seeds 0 … 3, all ordered pairs: their mean distance is 20/12, each a hundredth
    assert [cell[table["fields"].index("mean")] for cell in table["cells"]] == pytest.approx([20 / 12] * 6)


def test_what_is_drawn_is_of_the_runs_that_the_table_shows_with_its_spread(here):
    crossed = STITCH.replace("layers: relu", "layers: {front: [relu1, relu2], end: [relu1, relu2], combine: all}")
    text = f"{crossed}table: {{where: {{case: 'low*'}}, spread: bootstrap}}\n"
    toy.run(here, toy.sweep(here, text, "stitches"))
    drawn = call("results", "report", "stitches", "--json").json["drawn"]
    assert {one["id"] for one in drawn} == {"pooled-penalty", "pooled-seconds_by_work", "grid-0", "grid-1"}
    assert {one["definition"]["spread"] for one in drawn} == {"bootstrap"}
    cases = [key for one in drawn for key in ([value for _, value in one["page"]] or [label for (label,) in one["rows"]])]
    assert set(cases) == {"low 1", "low 2"}


def test_seconds_of_two_devices_are_two_pictures(here):
    sweep = toy.sweep(here, STITCH, "stitches")
    toy.run(here, sweep)
    found = frames.stored(here, sweep)
    card = found["front_layer"] == "relu1"
    found = found.assign(device=card.map({True: "cuda", False: "cpu"}), gpu=card.map({True: "H100", False: None}))
    shown = numbers.entries(here, sweep, found)
    drawn = numbers.pooled(sweep, shown[0], found)
    counts = {(one["device"], cell[one["fields"].index("n")]) for one in drawn for cell in one["cells"]}
    assert counts == {("H100", 12), ("cpu", 12)}
    pictures = [one for one in figures.of(shown, drawn) if one["kind"] == "pareto"]
    tables_by_id = {one["id"]: one for one in [*shown, *drawn]}
    said = [str(pictured.draw(one, tables_by_id)) for one in pictures]
    assert ["Penalty against computing time on H100" in said[0], "Penalty against computing time on cpu" in said[1]] == [True, True]
    assert len({one["id"] for one in pictures}) == 2


def test_the_question_is_the_comment_that_the_file_begins_with(finished):
    page = page_of(finished)
    assert any('Does <script>alert(1)</script> the "penalty" grow & why?\nSecond line' in text for text in page.texts["p"])
    assert page.texts["code"] == [STITCH]


def test_a_sweep_of_which_nothing_is_done_has_a_report_that_says_so(here):
    toy.sweep(here, STITCH, "stitches")
    page = page_of(here)
    assert "– (0/12*)" in page.texts["table"][-1] or any("– (0/12*)" in text for text in page.texts["table"])
    assert any("Nothing to draw" in text for text in page.texts["p"])
    assert any("72 runs are missing" in text for text in page.texts["summary"])


def test_a_sweep_that_is_half_done_says_what_the_rest_will_cost_as_its_status_does(here):
    toy.sweep(here, STITCH, "stitches")
    assert call("sweep", "run", "stitches", "--workers", 1, "--limit", 9).code == 0
    answer = call("results", "report", "stitches", "--json")
    assert answer.code == 0, answer.err
    cost = json.loads(answer.out)["cost"]
    status = json.loads(call("sweep", "status", "stitches", "--json").out)
    assert cost["hours_left"] == status["hours_left"] > 0 and cost["hours_left_worst"] >= cost["hours_left"]
    undone = [status[kind].get(state, 0) for kind in ("networks", "runs") for state in ("new", "blocked")]
    assert sum(one["runs"] for one in cost["left"]) == sum(undone) > 0
    page = page_of(here)
    assert f"About {cost['hours_left']:.2f} left, {cost['hours_left_worst']:.2f} at the slow end." in " ".join(page.texts["p"])
    assert any("no row yet" in text for text in page.texts["caption"])


def test_a_sweep_that_is_done_has_nothing_left_to_pay(finished):
    cost = json.loads(call("results", "report", "stitches", "--json").out)["cost"]
    assert (cost["hours_left"], cost["left"]) == (0.0, []) and "left," not in " ".join(page_of(finished).texts["p"])


MAPS = """# Which layers can stand in for which?
zoo: {arch: net, dataset: d, seeds: 0..2}
layers: {front: [bn1, bn2], end: [bn1, bn2, relu2], combine: all}
cases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}
"""


@pytest.mark.parametrize(
    ("table", "maps"),
    [
        ("{rows: [front_layer], cols: [case, end_layer]}", ["lin", "low 1", "low 2"]),
        ("{rows: [case, front_layer], cols: [end_layer]}", ["lin", "low 1", "low 2"]),
        ("{rows: [front_layer], cols: [case]}", ["lin", "low 1", "low 2"]),
        ("{rows: [front_layer], cols: [case], where: {rank: [1, 2]}}", ["low 1", "low 2"]),
        ("{rows: [front_layer], cols: [end_layer], pages: [case], where: {case: lin}}", ["lin"]),
    ],
)
def test_front_and_end_layers_make_one_map_for_each_case_whichever_way_the_table_stands(here, table, maps):
    toy.run(here, toy.sweep(here, f"{MAPS}table: {table}\n", "stitches"))
    data = json.loads(call("results", "report", "stitches", "--json").out)
    by_id = {one["id"]: one for one in [*data["tables"], *data["drawn"]]}
    shown = [by_id[figure["table"]] for figure in data["figures"] if figure["kind"] == "heat"]
    assert [one["title"] for one in shown] == maps
    assert all((one["rows"], one["cols"]) == ([["bn1"], ["bn2"]], [["bn1"], ["bn2"], ["relu2"]]) for one in shown)
    assert not any(figure["kind"] == "lines" for figure in data["figures"])


def test_a_table_of_layers_by_layers_is_its_own_map(here):
    text = MAPS.split("cases")[0] + "table: {rows: [front_layer], cols: [end_layer]}\n"
    toy.run(here, toy.sweep(here, text, "stitches"))
    data = json.loads(call("results", "report", "stitches", "--json").out)
    assert [figure["table"] for figure in data["figures"] if figure["kind"] == "heat"] == ["penalty"]


def test_runs_without_networks_have_a_report_without_tables(here):
    toy.run(here, toy.sweep(here, "# Squares?\njob: square\ngrid: {batch: 0..1, value: [1.0, 2.0]}", "stitches"))
    page = page_of(here)
    assert any("only sweeps over networks have such a table" in text for text in page.texts["p"])
    assert any("4 of 4" in text for text in page.texts["dd"])


def test_no_text_of_a_sweep_becomes_markup(finished):
    data = call("results", "report", "stitches", "--json").json
    before = Page(document.html(data))
    failure = {"cause": HOSTILE, "message": HOSTILE, "runs": 3, "example": "x", "slug": HOSTILE, "do": HOSTILE}
    data["failures"]["failed"] = [failure]
    data["spec"] = data["question"] = data["sweep"] = HOSTILE
    data["tables"][0]["rows"][0] = data["tables"][0]["cols"][0] = [HOSTILE]
    data["provenance"]["columns"]["host"] = [[HOSTILE, 1], ["b", 2]]
    text = document.html(data)
    page = Page(text)
    kinds = ("script", "img", "style", "iframe", "object", "link", "meta")
    assert [len(page.of(kind)) for kind in kinds] == [len(before.of(kind)) for kind in kinds]
    assert not [one for _, one in page.elements if any(name.startswith("on") for name in one)]
    assert "\u202e" not in re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.S) and "\x00" not in text
    assert "⟨U+202E⟩evil⟨U+2069⟩" in text and "猫 🐈" in text and "x" * 10_000 in text
    assert (
        json.loads(next(t for t, one in zip(page.texts["script"], page.of("script"), strict=True) if one.get("id") == "data"))
        == data
    )


def test_text_is_escaped_where_it_enters_and_only_once():
    assert tag("p", "<b>", tag("i", "&"), title='"<') == '<p title="&quot;&lt;">&lt;b&gt;<i>&amp;</i></p>'
    assert tag("use", href="#a", hidden=None, open=True) == '<use href="#a" open/>'
    assert markup.data({"a": "</script>\u2028"}) == '{"a":"\\u003c/script\\u003e\\u2028"}'
    with pytest.raises(ValueError, match="JSON"):
        markup.data(float("nan"))


def test_the_mark_of_the_best_is_explained_as_the_table_stands():
    def gathered(layers, cases):
        expected = stitch_frames.expected_runs([f"bn{i}" for i in range(layers)], [f"case {i}" for i in range(cases)])
        rows = stitch_frames.finished(expected, lambda run: int(run["case"].split()[1]) + 0.001 * run["front_seed"])
        return numbers.entry(tables.build(tables.TableDefinition(), rows, expected), "own")

    upright, turned = gathered(3, 2), gathered(2, numbers.MANY + 1)
    assert upright["best"] and turned["best"]
    assert (upright["turned"], turned["turned"]) == (False, True)
    assert "least of its row, beyond" in upright["caption"] and "least of its column, beyond" in turned["caption"]


def test_words_that_a_hyphen_joins_stay_as_they_are_in_latex():
    said = methods.latex("a least-squares start, −1.5 % [@kingma2015]")
    assert said == "a least-squares start, $-$1.5 \\%~\\cite{kingma2015}\n"


def test_a_browser_that_is_not_there_is_said_before_anything_is_computed(finished):
    answer = call("results", "report", "stitches", "--pdf")
    assert answer.code == 2 and "none of chromium" in answer.err and "install Chromium" in answer.err
    assert not (finished.results / "reports").exists()


def test_a_browser_that_prints_nothing_is_told_of_with_its_last_words(finished, tmp_path, monkeypatch):
    fake = tmp_path / "bin" / "chromium"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'cannot open display' >&2\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    answer = call("results", "report", "stitches", "--pdf")
    assert answer.code == 2 and "printed nothing: cannot open display" in answer.err
    assert printing.browser() == str(fake)


@pytest.mark.parametrize("name", ["report.pdf", "report"])
def test_what_is_no_html_file_is_refused(finished, tmp_path, name):
    answer = call("results", "report", "stitches", "--out", tmp_path / name)
    assert answer.code == 2 and "name an .html file" in answer.err


def test_an_axis_holds_all_values_and_as_much_of_wide_intervals_as_leaves_them_readable():
    axis = scales.of([0.0, 10.0], [-500.0, 500.0], 100, 0)
    assert axis.low == pytest.approx(-3.5, abs=1) and axis.high == pytest.approx(13.5, abs=1)
    assert axis(-500) == axis(axis.low) == pytest.approx(100) and axis(axis.high) == pytest.approx(0)
    assert (axis(2) - axis(1)) == pytest.approx(axis(7) - axis(6))
    assert axis.ticks == (0, 5, 10)


def test_values_that_dwarf_the_others_make_an_axis_logarithmic():
    axis = scales.of([0.1, 0.2, 0.3, 0.2, 0.1, 70.0, 60.0], [], 100, 0)
    assert axis.linear and axis(0.3) < 90  # a tenth of the height at least, where a linear axis would give half a percent
    assert scales.of([30.0, 40.0, 50.0, 60.0, 70.0], [], 100, 0).linear is None
