"""Published numbers stand beside ours: the block in a sweep file, the comparison, and the sweeps that repeat papers."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
import toy
from commandline import call

from repsim import against_paper, selected
from repsim.errors import SpecError, UserError
from repsim.papers import PAPERS
from repsim.published import KNOWN
from repsim.sweep.spec import load

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "sweeps" / "papers").glob("*.yaml"))
STITCH = (
    "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu\ncases: {a: {stitcher: linear}, b: {stitcher: lowrank, rank: 2}}\n"
)
BLOCK = "published: {paper: godfrey2022, place: figure 1, known: printed, source: a table, setting: three networks, "


@pytest.fixture
def computed(project, monkeypatch):
    """A toy project; computes a sweep of that text, with that end of a published block."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")

    def compute(end, name="toy", run=True, text=STITCH):
        sweep = toy.sweep(project, text + BLOCK + end + "}\n", name)
        if run:
            toy.run(project, sweep)
        return sweep

    compute.project = project
    return compute


def test_a_published_number_stands_beside_the_mean_of_the_runs_it_names(computed):
    """Toy penalties are the distance of the seeds in points: 1, 2, 1, 1, 2, 1 over the six ordered pairs."""
    sweep = computed("numbers: [{at: {case: a, layer: relu1}, is: 1.0, spread: 0.5, n: 3}, {at: {front_seed: 0}, is: 1.5}]")
    (found,) = against_paper.compare(computed.project, sweep)
    first, second = found.lines
    assert first.ours.mean == pytest.approx(8 / 6) and first.difference == pytest.approx(1 / 3)
    assert (first.ours.n, first.ours.expected, first.ours.unit, first.inside) == (6, 6, "points", True)
    assert second.ours.mean == pytest.approx(1.5) and second.difference == pytest.approx(0)
    assert (second.ours.n, second.ours.expected) == (8, 8)  # two pairs, two layers, two cases
    assert (first.place, first.known, first.value) == ("figure 1", "printed", "penalty")


def test_a_number_beyond_our_interval_is_said_to_be_so(computed):
    sweep = computed("numbers: [{at: {case: a}, is: 9.0}]")
    ((line,),) = [one.lines for one in against_paper.compare(computed.project, sweep)]
    assert line.inside is False and line.ours.high < 9.0


def test_findings_hold_or_do_not_and_say_where(computed):
    near, far = "{front_seed: 1}", "{front_seed: [0, 2]}"
    sweep = computed(
        f"findings: [{{say: right, less: [{near}, {far}]}}, {{say: wrong, each: [layer, case], less: [{far}, {near}]}}, "
        f"{{say: against a constant, less: [0.9, {near}, 1.1]}}, {{say: chain, less: [{near}, {far}, 1.2]}}]"
    )
    (found,) = against_paper.compare(computed.project, sweep)
    right, wrong, constant, chain = found.claims
    assert [one.verdict for one in found.claims] == ["holds", "does not hold", "holds", "does not hold"]
    assert (right.count("holds"), len(right.checks)) == (1, 1)
    assert (wrong.count("does not hold"), wrong.checks[0].at) == (4, {"front_layer": "relu1", "case": "a"})
    assert [round(mean.mean, 3) for mean in chain.checks[0].means] == [1.0, 1.5, 1.2]
    assert constant.checks[0].means[0].mean == 0.9


def test_intervals_apart_are_counted():
    def mean(value, half):
        return selected.Mean(value, value - half, value + half, n=3, done=3, expected=3, unit="")

    assert against_paper.Check({}, (mean(1, 0.4), mean(2, 0.4))).apart
    assert not against_paper.Check({}, (mean(1, 0.6), mean(2, 0.6))).apart
    assert not against_paper.Check({}, (mean(2, 0.1), mean(1, 0.1))).apart
    assert not against_paper.Check({}, (mean(1, float("nan")), mean(2, 0.1))).apart


def test_a_finding_of_unfinished_runs_is_open(computed):
    sweep = computed("findings: [{say: right, less: [{front_seed: 1}, {front_seed: 0}]}]", run=False)
    ((claim,),) = [one.claims for one in against_paper.compare(computed.project, sweep)]
    assert claim.verdict == "not enough runs"
    answer = call("results", "compare-paper", "toy")
    assert answer.code == 0, answer.err
    assert "NOT ENOUGH RUNS" in answer.out and "nothing is computed yet: repsim sweep run toy" in answer.out


def test_layer_identity_is_compared_in_percent(computed):
    text = "job: compare\nzoo: {arch: net, dataset: d, seeds: 0..2}\npairs: unordered\n"
    text += "layers: {front: bn, end: [bn, fc]}\ncases: {cka: {measure: cka}, rbf: {measure: rbf}}\n"
    numbers = "numbers: [{at: {measure: cka}, value: identity, is: 99.3}]"
    (found,) = against_paper.compare(computed.project, computed(numbers, text=text))
    assert (found.lines[0].ours.mean, found.lines[0].ours.unit) == (100.0, "%")
    assert (found.lines[0].ours.n, found.lines[0].ours.expected) == (18, 18)
    with pytest.raises(SpecError, match="names runs of cka and rbf"):
        against_paper.compare(computed.project, computed("numbers: [{at: {front_layer: bn1}, is: 1.0}]", "mixed", text=text))


def test_a_layer_identity_that_nothing_decides_leaves_its_finding_open(computed):
    """The toy layer fc is constant, and the only one that both networks have by one name."""
    text = "job: compare\nzoo: {arch: net, dataset: d, seeds: 0..2}\npairs: unordered\n"
    text += "layers: {front: [conv1, fc], end: [bn1, fc]}\ncases: {cka: {measure: cka}}\n"
    end = (
        "numbers: [{at: {case: cka}, value: identity, is: 99.3}], findings: [{say: all, value: identity, less: [90, {case: cka}]}]"
    )
    (found,) = against_paper.compare(computed.project, computed(end, text=text))
    ours = found.lines[0].ours
    assert (ours.n, ours.done, ours.expected) == (0, 12, 12)
    assert found.claims[0].verdict == "not enough runs"


def test_every_format_says_the_same(computed, tmp_path):
    computed("numbers: [{at: {case: a}, is: 1.0, spread: 0.5}], differs: [toys], findings: [{say: it rises, less: [0, {case: b}]}]")
    text = call("results", "compare-paper", "toy")
    assert text.code == 0, text.err
    assert "Godfrey et al. 2022, figure 1 (toy)" in text.out and "otherwise here: toys" in text.out
    assert re.search(r"case a +1\.00 ± 0\.50, printed +1\.33 ± \d\.\d\d \(12/12\) +\+0\.33 +yes", text.out)
    assert re.search(r"HOLDS \(1 of 1, intervals apart in [01]; printed\): it rises", text.out)
    (one,) = call("results", "compare-paper", "toy", "--json").json["comparisons"]
    assert one["numbers"][0]["mean"] == pytest.approx(4 / 3) and one["findings"][0]["verdict"] == "holds"
    assert one["reference"].startswith("Charles Godfrey, Davis Brown")
    number, finding = csv.DictReader(io.StringIO(call("results", "compare-paper", "toy", "--format", "csv").out))
    assert float(number["mean"]) == one["numbers"][0]["mean"] and (finding["kind"], finding["verdict"]) == ("finding", "holds")
    markdown = call("results", "compare-paper", "toy", "--format", "markdown").out
    assert "| penalty points | case a | 1.00 ± 0.50, printed | 1.33" in markdown
    out = tmp_path / "new" / "papers.tex"
    assert call("results", "compare-paper", "toy", "--format", "latex", "--out", out).code == 0
    assert out.read_text().count(r"\toprule") == 2


def test_without_a_name_all_papers_are_compared_that_have_numbers(computed):
    project = computed.project
    project.papers.mkdir()
    for name, run in (("begun", True), ("waiting", False)):
        text = STITCH + f"fixed: {{lr: {0.1 if run else 0.2}}}\n" + BLOCK + "numbers: [{at: {case: a}, is: 1}]}\n"
        (project.papers / f"{name}.yaml").write_text(text)
    toy.run(project, toy.open_sweep(project.papers / "begun.yaml", project))
    (project.papers / "broken.yaml").write_text(STITCH)
    answer = call("results", "compare-paper", "--json")
    assert answer.code == 0, answer.err
    assert [one["sweep"] for one in answer.json["comparisons"]] == ["begun"]
    assert "nothing is computed of: waiting" in answer.err and "left out: broken: repeats no figure" in answer.err


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("numbers: [{at: {case: a}, is: 1, unitt: x}]", "unitt"),
        ("numbers: [{at: {case: a}}]", "published.numbers.0.is: is missing"),
        ("numbers: [{at: {case: a}, is: high}]", "published.numbers.0.is: must be a number"),
        ("numbers: [{at: {case: a}, is: 1, known: guessed}]", "known"),
        ("findings: [{say: x, less: [1, 2]}]", "a finding compares runs"),
        ("findings: [{say: x, less: [{case: a}]}]", "less"),
        ("differs: [all]", "give at least one of its 'numbers' or 'findings'"),
    ],
)
def test_a_bad_block_is_refused_when_the_file_is_read(computed, end, message):
    with pytest.raises(SpecError) as refused:
        computed(end, run=False)
    assert message in str(refused.value) and not toy.PYDANTIC.search(str(refused.value)), refused.value


def test_an_unknown_paper_gets_the_nearest(computed):
    with pytest.raises(SpecError, match="did you mean 'godfrey2022'"):
        toy.sweep(computed.project, STITCH + BLOCK.replace("godfrey2022", "godfrey2023") + "numbers: [{at: {case: a}, is: 1}]}\n")


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("numbers: [{at: {case: c}, is: 1}]", "no run of the sweep has case c"),
        ("numbers: [{at: {layr: relu1}, is: 1}]", "unknown key 'layr'"),
        ("numbers: [{at: {case: a}, value: penaltyy, is: 1}]", "penaltyy"),
        ("findings: [{say: x, each: [case], less: [{case: a}, {case: b}]}]", "have no case in common"),
        ("findings: [{say: x, each: [cas], less: [{case: a}, {case: b}]}]", "unknown key 'cas'"),
    ],
)
def test_a_place_that_is_not_there_is_an_error(computed, end, message):
    with pytest.raises(UserError) as refused:
        against_paper.compare(computed.project, computed(end))
    assert message in str(refused.value), refused.value


def test_a_sweep_without_a_paper_is_refused(computed):
    toy.sweep(computed.project, STITCH, "plain")
    answer = call("results", "compare-paper", "plain")
    assert answer.code == 2 and "repeats no figure or table of a paper" in answer.err
    assert call("results", "compare-paper", "plain", "--format", "html").code == 2


def test_the_block_is_no_part_of_any_run(computed):
    with_block = computed("numbers: [{at: {case: a}, is: 1}]", run=False)
    without = toy.sweep(computed.project, STITCH, "plain")
    assert [run.id for run in with_block.runs] == [run.id for run in without.runs]


def test_a_sweep_in_papers_is_found_by_its_name(computed):
    project = computed.project
    project.papers.mkdir()
    (project.papers / "figure.yaml").write_text(STITCH)
    for name in ("figure", "papers/figure", str(project.papers / "figure.yaml")):
        assert call("sweep", "plan", name).code == 0, name
    assert "did you mean 'figure'" in call("sweep", "plan", "figur").err


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_published_number_has_its_place_and_how_it_is_known(path):
    for block in load(path).published:
        assert block.paper in PAPERS and block.source and block.setting
        for entry in (*block.numbers, *block.findings):
            assert re.search(r"[a-z]", entry.place or block.place)
            assert (entry.known or block.known) in KNOWN


def test_every_paper_has_its_sweeps_and_each_a_small_version():
    names = {path.stem for path in FILES}
    assert {name.split("_")[0] for name in names} == set(PAPERS)
    assert {f"{name.removesuffix('_small')}_small" for name in names} | {name.removesuffix("_small") for name in names} == names
    for path in FILES:
        assert load(path).profile == ("local" if path.stem.endswith("_small") else "gpu")


def test_no_two_sweeps_share_a_name():
    stems = [path.stem for path in (ROOT / "sweeps").rglob("*.yaml")]
    assert len(set(stems)) == len(stems)


def test_what_is_recalled_is_marked_so_in_the_json(computed):
    computed("numbers: [{at: {case: a}, is: 1, known: recalled}]")
    (one,) = json.loads(call("results", "compare-paper", "toy", "--format", "json").out)["comparisons"]
    assert (one["known"], one["numbers"][0]["known"]) == ("printed", "recalled")
