"""`repsim results plot` draws a sweep as any kind of picture, into one file or one per page, and says what it cannot draw."""

from pathlib import Path

import pytest
import toy
from commandline import call

from repsim import keptmaps

ZOO = "zoo: {arch: net, dataset: d, seeds: 0..2}\n"
CASES = "cases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}\n"
SAME = f"{ZOO}layers: relu\n{CASES}"
ALL = f"{ZOO}layers: {{front: [relu1, bn1], end: [relu1, bn2]}}\n{CASES}"


@pytest.fixture
def measured(project, monkeypatch):
    """A toy project; computes a sweep of that text."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")

    def compute(text, name="wide"):
        toy.run(project, toy.sweep(project, text, name))
        return project.results / "plots"

    return compute


@pytest.mark.parametrize("kind", ["bars", "points", "matrix"])
def test_each_kind_has_a_file_of_its_own(measured, kind):
    folder = measured(ALL)
    answer = call("results", "plot", "wide", "--kind", kind)
    assert answer.code == 0, answer.err
    assert answer.out == f"→ {folder / f'wide_{kind}.png'}\n"
    assert (folder / f"wide_{kind}.png").read_bytes().startswith(b"\x89PNG")


def test_the_kind_may_stand_in_the_sweep_and_the_command_wins(measured, tmp_path):
    measured(f"{SAME}plot: {{kind: bars}}\n")
    asked = {"said": (), "asked": ("--kind", "bars"), "other": ("--kind", "points")}
    for name, words in asked.items():
        assert call("results", "plot", "wide", *words, "--out", tmp_path / f"{name}.svg").code == 0
    said, same, other = ((tmp_path / f"{name}.svg").read_text() for name in asked)
    assert said == same != other


def test_front_by_end_layer_is_drawn_as_a_matrix_where_nothing_else_is_said(measured, tmp_path):
    measured(ALL)
    turned = ("--rows", "case,front_layer", "--cols", "end_layer")
    for name, words in {"usual": (), "matrix": ("--kind", "matrix"), "bars": ("--kind", "bars")}.items():
        assert call("results", "plot", "wide", *turned, *words, "--out", tmp_path / f"{name}.svg").code == 0
    usual, matrix, bars = ((tmp_path / f"{name}.svg").read_text() for name in ("usual", "matrix", "bars"))
    assert usual == matrix != bars


def test_several_pages_are_several_files(measured):
    folder = measured(f"{ZOO}layers: relu1\ngrid: {{seed: 0..49}}\n")
    answer = call("results", "plot", "wide", "--cols", "seed", "--json")
    assert answer.code == 0, answer.err
    files = [str(folder / f"wide_{page}.png") for page in (1, 2)]
    assert answer.json == {"file": files[0], "files": files}
    assert all(Path(file).stat().st_size > 10_000 for file in files)


@pytest.mark.parametrize(
    "words, said",
    [
        (("--kind", "pie"), "--kind: there is no kind of picture 'pie'\n  → did you mean"),
        (("--kind", "foo"), "'foo'\n  → valid: bars, curves, lines, matrix, pareto, "),
        (("--kind", "scater"), "did you mean 'scatter'"),
        (("--kind", "bars", "--run", "abc"), "--run: only weights and curves take it, and this is bars"),
        (("--run", "abc"), "--run: only weights and curves take it, and this is points"),
        (("--kind", "curves", "--across", "work"), "--across: only scatter and pareto take it, and this is curves"),
        (("--kind", "lines"), "the rows end with layer, which is no number"),
        (("--out", "x.bmp"), "cannot draw a '.bmp' file"),
        (("--kind", "matrix", "--value", "penality"), "did you mean 'penalty'"),
        (
            ("--kind", "scatter"),
            "--across: name the number along x: the rows of job 'stitch' hold no penalty",
        ),
        (
            ("--kind", "scatter", "--across", "wrok"),
            "--across: the rows of job 'stitch' have no column 'wrok'\n  → did you mean 'work'",
        ),
        (("--kind", "weights"), "no stitcher of this sweep is saved"),
        (("--kind", "similarity"), "compares no layers"),
        (("--kind", "curves"), "no learning curve is stored"),
    ],
)
def test_what_cannot_be_drawn_is_said_and_nothing_is_written(measured, words, said):
    folder = measured(SAME)
    answer = call("results", "plot", "wide", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err and not folder.exists()


def test_a_sweep_without_a_finished_run_is_not_drawn(project, monkeypatch):
    monkeypatch.chdir(project.root)
    toy.sweep(project, SAME, "empty")
    for kind in ("bars", "points", "matrix"):
        answer = call("results", "plot", "empty", "--kind", kind)
        assert answer.code == 2 and "no run has finished" in answer.err


def test_scatter_and_pareto_take_the_number_along_x(measured):
    folder = measured(SAME)
    for kind, across in (("scatter", "work"), ("pareto", "work"), ("pareto", None)):
        answer = call("results", "plot", "wide", "--kind", kind, *(("--across", across) if across else ()))
        assert answer.code == 0, answer.err
        assert (folder / f"wide_{kind}.png").is_file()


def test_a_number_along_x_that_a_sweep_names_is_blamed_on_its_file_and_binds_no_other_kind(measured):
    folder = measured(f"{SAME}plot: {{across: work}}\n")
    assert call("results", "plot", "wide", "--kind", "bars").code == 0 and (folder / "wide_bars.png").is_file()
    measured(f"{SAME}plot: {{across: wrok}}\n", "other")
    answer = call("results", "plot", "other", "--kind", "scatter")
    assert answer.code == 2 and "other.yaml: plot.across: the rows of job 'stitch' have no column 'wrok'" in answer.err


def test_each_page_of_the_table_is_a_file_and_where_leaves_runs_out(measured):
    folder = measured(SAME)
    answer = call("results", "plot", "wide", "--pages", "case", "--cols", "rank", "--where", "case=low*", "--kind", "bars")
    assert answer.code == 0, answer.err
    assert sorted(file.name for file in folder.iterdir()) == ["wide_bars_low_1.png", "wide_bars_low_2.png"]


def test_a_definition_of_a_table_says_how_it_is_drawn(measured):
    folder = measured(SAME)
    tables = folder.parent / "tables"
    tables.mkdir(exist_ok=True)
    (tables / "shown.yaml").write_text("sweep: wide\nrows: [front_layer]\nplot: {kind: bars}\n")
    assert call("results", "plot", "shown").code == 0
    assert call("results", "plot", "wide", "--kind", "bars").code == 0
    assert (folder / "shown.png").read_bytes() == (folder / "wide_bars.png").read_bytes()
    (tables / "shown.yaml").write_text("sweep: wide\nplot: {kind: pie}\n")
    answer = call("results", "plot", "shown")
    assert answer.code == 2 and "shown.yaml: plot.kind" in answer.err


def test_saved_stitchers_are_drawn_by_case_or_by_run(measured, project, monkeypatch):
    pytest.importorskip("torch")
    import torch

    from repsim.stitching.saved import Map, Saved, save

    folder = measured(f"{SAME}fixed: {{}}\n")
    runs = [run for run in call("sweep", "plan", "wide", "--json").json["ids"] if run]
    config = {"stitcher": "linear"}
    curve = [{"epoch": 1, "train_loss": 2.0, "validation_accuracy": 0.5, "validation_loss": 1.5}]
    for run in runs[-36:]:
        file = project.artefacts / run / "stitcher.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        save(Saved(torch.eye(3), None, None, Map(torch.zeros(3, 3)), Map(torch.eye(3)), curve, config), file)
    monkeypatch.setattr(keptmaps, "AT_ONCE", 10)
    for kind in ("weights", "curves"):
        answer = call("results", "plot", "wide", "--kind", kind)
        assert answer.code == 0, answer.err
        assert (folder / f"wide_{kind}.png").stat().st_size > 10_000
    assert call("results", "plot", "wide", "--kind", "weights", "--run", runs[-1]).code == 0
    assert "no saved run of this sweep begins so" in call("results", "plot", "wide", "--kind", "weights", "--run", "zzz").err


def test_a_comparison_that_the_table_makes_does_not_bind_the_picture(measured):
    measured(f"{SAME}table: {{compare: [lin, low 1]}}\n")
    for cols in ("case", "stitcher"):
        assert call("results", "plot", "wide", "--cols", cols).code == 0
