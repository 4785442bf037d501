"""`repsim results table` as people give it: options, definitions as files, tidy files, and formats."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import toy
from commandline import call
from stitch_frames import expected_runs, finished

from repsim import tablefiles
from repsim.project import Project
from repsim.report.tables import render
from repsim.table import TableDefinition, pages

ROOT = Path(__file__).parents[2]
STITCH = "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu\ncases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}"
HARD = "a_b | c & 50% #1 <x> {y} ~^$\\"


@pytest.fixture
def here(project, monkeypatch):
    """The toy project as working directory; all 36 runs of `stitches` are stored, and 36 of the 72 of `more`."""
    monkeypatch.chdir(project.root)
    toy.run(project, toy.sweep(project, STITCH, "stitches"))
    (project.sweeps / "more.yaml").write_text(STITCH.replace("0..2", "0..3"))
    project.tables.mkdir(parents=True)
    return project


def table(*words) -> str:
    answer = call("results", "table", *words)
    assert answer.code == 0, answer.err
    return answer.out


def refused(*words) -> str:
    answer = call("results", "table", *words)
    assert (answer.code, answer.out) == (2, "") and "Traceback" not in answer.err
    return answer.err


def test_pages_filters_and_comparisons_are_asked_for_by_options(here):
    out = table("stitches", "--pages", "front_layer", "--rows", "case", "--cols", "front_seed", "--where", "case=low*")
    assert out.count("layer: relu") == 2 and "lin" not in out.split("Stitching")[0]
    assert "low 1 against lin\n" in table("stitches", "--compare", "low 1,lin")
    data = json.loads(table("stitches", "--compare", "low 1,lin", "--spread", "bootstrap", "--json"))
    assert data["definition"]["spread"] == "bootstrap" and len(data["comparison"]) == 2
    both = table("stitches", "--where", "case=lin", "--where", "case=low 1")
    assert "low 1" in both and "low 2" not in both


def test_a_comparison_of_the_sweep_file_is_left_out_where_other_columns_are_asked_for(here):
    (here.sweeps / "compared.yaml").write_text(f"{STITCH}\ntable: {{compare: [low 1, lin]}}")
    assert "low 1 against lin\n" in table("compared") and "low 1 against lin\n" in table(
        "compared", "--rows", "front_arch,front_layer"
    )
    turned = table("compared", "--rows", "case", "--cols", "front_layer")
    assert "against" not in turned and "low 1" in turned
    assert "no column 'lin'" in refused("compared", "--rows", "case", "--cols", "front_layer", "--compare", "lin,low 1")


def test_a_comparison_of_the_sweep_file_is_left_out_of_other_runs_of_files_of_one_table_and_where_none_is_asked_for(here, tmp_path):
    (here.sweeps / "compared.yaml").write_text(f"{STITCH}\ntable: {{compare: [low 1, lin]}}")
    for words in (["--where", "case=low 2"], ["--compare", "none"]):
        shown = table("compared", *words)
        assert "against" not in shown and "low 2" in shown
    assert "low 1 against lin\n" in table("compared", "--where", "case=l*", "--compare", "low 1,lin")
    means, compared = table("compared", "--format", "csv"), table("compared", "--format", "csv", "--compare", "low 1,lin")
    assert means == table("stitches", "--format", "csv") and "p_holm" not in means and "p_holm" in compared
    (here.tables / "own.yaml").write_text("sweep: compared\ncompare: [low 1, lin]")
    assert "low 1 against lin\n" in table("own", "--where", "case=l*")
    assert call("results", "aggregate", "compared", "--out", tmp_path / "a.parquet").code == 0
    assert "p_holm" not in table(tmp_path / "a.parquet", "--format", "csv")
    assert "against" not in table(tmp_path / "a.parquet", "--compare", "none")


def test_filters_that_are_asked_for_narrow_those_of_a_definition(here):
    (here.tables / "low.yaml").write_text("sweep: stitches\nwhere: {case: [low 1, low 2]}\n")
    found = table("low", "--where", "front_layer=relu1")
    assert "relu1" in found and "relu2" not in found and "lin" not in found.split("Stitching")[0]
    assert "lin" in table("low", "--where", "case=lin") and "low 1" not in table("low", "--where", "case=lin")


def test_an_option_that_names_nothing_is_as_if_it_were_not_there(here):
    assert table("stitches", "--rows", ",") == table("stitches") == table("stitches", "--rows", "front_layer,")


def test_keys_that_only_rows_have_are_read_from_the_store(here):
    assert "not run" in table("more", "--cols", "host")
    assert "host" in table("stitches", "--rows", "host") and "not run" not in table("stitches", "--rows", "host")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--where", "case"], "--where: 'case' is no filter"),
        (["--where", "cse=lin"], "have no column 'cse'\n  → did you mean 'case'"),
        (["--where", "case=lon"], "no run has case=lon\n  → did you mean"),
        (["--pages", "frnt_layer"], "have no column 'frnt_layer'\n  → did you mean 'front_layer'"),
        (["--value", "penlty"], "have no column 'penlty'\n  → did you mean 'penalty'"),
        (["--compare", "lin,loww 1"], "the table has no column 'loww 1'\n  → did you mean 'low 1'"),
        (["--compare", "lin"], "compare names two different columns"),
        (["--spread", "bootstap"], "--spread: "),
        (["--spread", "bootstap"], "did you mean 'bootstrap'"),
        (["--best", "least"], "--best: "),
        (["--value", "gpu"], "column 'gpu' is no number"),
        (["--format", "parquet"], "a Parquet file needs a name\n  → say --out"),
        (["--table", "nothing"], "nothing: there is no such table"),
        (["--table", "../jobs/stitch"], "there is no such table"),
        (["--rows", "seconds_of_nothing"], "have no column"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(here, words, said):
    assert said in refused("stitches", *words)


def test_a_definition_is_a_file_that_names_its_sweep(here):
    (here.tables / "low.yaml").write_text("sweep: stitches\nwhere: {case: 'low*'}\nrows: [case]\ncols: [front_layer]\n")
    named = table("low")
    assert "low 1" in named and "lin" not in named.split("Stitching")[0]
    assert named == table(here.tables / "low.yaml") == table("stitches", "--table", "low") == table("low.yaml")
    assert "low 1" not in table("low", "--where", "case=lin")  # an option overrides the file
    other = here.root / "mine.yaml"
    other.write_text((here.tables / "low.yaml").read_text())
    assert table("stitches", "--table", other) == named


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sweep: stitches\nrwos: [case]\n", "rwos: unknown key 'rwos'\n  → did you mean 'rows'"),
        ("sweep: ../x\n", "low.yaml: sweep"),
        ("sweep: stiches\n", "there is no such sweep\n  → did you mean 'stitches'"),
        ("sweep: stitches\njob: stitch\n", "low.yaml: job: the job is that of the sweep"),
        ("sweep: stitches\nrows: [case]\ncols: [case]\n", "'case' stands twice"),
        ("rows: [case]\n", "sweep: is missing"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_its_key(here, text, said):
    (here.tables / "low.yaml").write_text(text)
    assert said in refused("low")


def test_a_name_that_is_neither_sweep_nor_table_tells_of_both(here):
    (here.tables / "low.yaml").write_text("sweep: stitches\n")
    assert "there is no such sweep, nor a table" in refused("lowe") and "Tables: did you mean 'low'" in refused("lowe")
    assert "is of the sweep 'stitches', not of 'more'" in refused("more", "--table", "low")


def test_a_tidy_file_gives_the_table_of_its_sweep(here, tmp_path):
    for name in ("stitches", "more"):
        call("results", "aggregate", name, "--out", tmp_path / f"{name}.parquet", "--missing")
        assert table(tmp_path / f"{name}.parquet") == table(name)
    call("results", "aggregate", "more", "--out", tmp_path / "short.parquet")
    short = table(tmp_path / "short.parquet")
    assert "(6/6)" in short and "holds 36 of the 72 runs of more" in " ".join(short.split())
    words = ("--where", "case=low*", "--compare", "low 1,low 2", "--spread", "bootstrap", "--json")
    assert json.loads(table(tmp_path / "stitches.parquet", *words)) == json.loads(table("stitches", *words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--value", "curve"], "'curve' holds lists"),
        (["--value", "penlty"], "did you mean 'penalty'"),
        (["--rows", "cas"], "'case'"),
    ],
)
def test_what_a_tidy_file_has_not_is_refused(here, tmp_path, words, said):
    call("results", "aggregate", "stitches", "--out", tmp_path / "s.parquet")
    assert said in refused(tmp_path / "s.parquet", *words)


def test_a_file_that_is_none_is_refused(here, tmp_path):
    assert "there is no such file" in refused(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet")
    assert "cannot be read as Parquet" in refused(tmp_path / "text.parquet")
    pq.write_table(pq.read_table(next(here.store.rglob("*.parquet"))), tmp_path / "part.parquet")
    assert "not of `results aggregate`" in refused(tmp_path / "part.parquet")


def test_parquet_holds_what_csv_holds(here, tmp_path):
    for words in ([], ["--compare", "low 1,lin"]):
        table("stitches", *words, "--format", "csv", "--out", tmp_path / "t.csv")
        table("stitches", *words, "--format", "parquet", "--out", tmp_path / "t.parquet")
        one, other = pd.read_csv(tmp_path / "t.csv"), pd.read_parquet(tmp_path / "t.parquet")
        pd.testing.assert_frame_equal(one, other, check_dtype=False, check_exact=False)
    nothing = [field.type for field in pq.read_schema(tmp_path / "t.parquet") if str(field.type) == "null"]
    assert not nothing


def test_a_row_that_holds_another_configuration_than_its_run_is_refused(here):
    part = next((here.store / "job=stitch").rglob("*.parquet"))
    held = pq.read_table(part)
    place = held.schema.get_field_index("front_layer")
    odd = held.set_column(place, held.schema.field(place), [["elsewhere"] * len(held)])
    part.unlink()
    pq.write_table(odd, part)
    assert "is stored with front_layer = 'elsewhere'" in refused("stitches")


@pytest.mark.parametrize("path", sorted((ROOT / "results/tables").glob("*.yaml")), ids=lambda path: path.stem)
def test_definitions_that_are_shipped_are_of_sweeps_that_are_shipped(path):
    filed = tablefiles.read(path)
    assert (ROOT / "sweeps" / f"{filed.sweep}.yaml").is_file()
    assert path.stem in tablefiles.there(Project(ROOT))
    assert TableDefinition(**filed.said)


def odd_tables():
    """Tables that are hard to set: a gap, one pair, nothing but failures, hostile names, many rows, many columns."""
    few = tuple((2 * i, 2 * i + 1) for i in range(4))

    def value(run):
        return 0.01 * run["front_seed"] + 0.05 * (run["case"] == "birkhoff")

    plain = expected_runs(pairs=few)
    hole = plain[~((plain["front_layer"] == "bn2") & (plain["case"] == "birkhoff"))]
    one = expected_runs(pairs=((0, 1),))
    hard = expected_runs(layers=("żółć", "α→β", HARD), cases=("Ünïcödé", HARD), pairs=few)
    wide = expected_runs(layers=[f"layer{i}.0.bn" for i in range(200)], cases=[f"stitcher_{i}" for i in range(40)], pairs=few[:2])
    failed = finished(plain, value).assign(outcome="diverged")
    both = TableDefinition(compare=["linear", "birkhoff"])
    return {
        "missing cell": pages(both, finished(hole, value), hole),
        "one pair": pages(both, finished(one, value), one),
        "all failed": pages(both, failed, plain),
        "nothing": pages(both, pd.DataFrame(), plain),
        "hostile names": pages(TableDefinition(title="Größe"), finished(hard, value), hard),
        "200 layers, 40 stitchers": pages(TableDefinition(), finished(wide, value), wide),
    }


def test_odd_tables_are_written_in_every_format():
    for name, made in odd_tables().items():
        for format in ("text", "markdown", "latex", "csv", "json"):
            text = render(made, format)
            assert text.endswith("\n") and "nan" not in text.split("Stitching")[0], (name, format)
        lines = render(made, "text").splitlines()
        assert max(map(len, lines)) <= 100, name
        cells = [line for line in render(made, "markdown").splitlines() if line.startswith("|")]
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in cells}
        assert len(widths) <= 2, name  # the table, and the comparison


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex, with booktabs, graphicx and longtable")
def test_latex_compiles_and_nothing_is_wider_than_the_page(tmp_path):
    body = "\n\\clearpage\n".join(render(made, "latex") for made in odd_tables().values())
    (tmp_path / "all.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,graphicx,longtable}\begin{document}" + body + r"\end{document}"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, [line for line in done.stdout.splitlines() if line.startswith("!")]
    assert "Overfull" not in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--compare", "lin"], "--compare: compare names two different columns"),
        (["--compare", "lin,lin"], "--compare: compare names two different columns"),
        (["--rows", "case"], "--rows: 'case' stands twice"),
        (["--pages", "front_layer"], "--pages: 'front_layer' stands twice"),
    ],
)
def test_an_option_that_cannot_be_meant_is_blamed_and_not_the_sweep_file(here, words, said):
    assert said in refused("stitches", *words)


def test_a_parquet_file_where_a_sweep_is_meant_is_told_from_a_broken_sweep(here):
    assert call("results", "aggregate", "stitches", "--out", "a.parquet").code == 0
    for command in ("plot", "report"):
        for file in ("a.parquet", here.root / "a.parquet"):
            answer = call("results", command, file)
            assert answer.code == 2 and "a Parquet file is no sweep" in answer.err and "UTF-8" not in answer.err


def test_a_tidy_file_is_written_under_no_other_ending(here):
    answer = call("results", "aggregate", "stitches", "--out", "a.csv")
    assert answer.code == 2 and "a tidy file is Parquet" in answer.err and not Path("a.csv").exists()


def test_the_name_of_a_file_says_its_format_where_nothing_else_does(here):
    for name, format in (("t.md", "markdown"), ("t.tex", "latex"), ("t.csv", "csv"), ("t.JSON", "json"), ("t.out", "text")):
        table("stitches", "--out", name)
        assert Path(name).read_text() == table("stitches", "--format", format)
    table("stitches", "--out", "t.parquet")
    assert len(pd.read_parquet("t.parquet")) == len(pd.read_csv("t.csv"))
    table("stitches", "--out", "t.csv", "--format", "markdown")
    assert Path("t.csv").read_text() == Path("t.md").read_text()
    assert call("results", "dictionary", "stitch", "--out", "d.md").code == 0
    assert Path("d.md").read_text() == call("results", "dictionary", "stitch", "--format", "markdown").out
    answer = call("results", "dictionary", "stitch", "--out", "d.parquet")
    assert (answer.code, Path("d.parquet").exists()) == (2, False) and "no format here ends with '.parquet'" in answer.err
