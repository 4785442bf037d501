"""What `results diff` says of two tables whose differences are known, run by run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import toy
from commandline import call

from repsim import differences as finding
from repsim import interval, tidy
from repsim.errors import UserError
from repsim.report import differences as words

STITCH = "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu\ncases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}"

MEASURE = "job: measure\nzoo: {arch: net, dataset: d, seeds: 0..3}\ngrid: {steps: [0, 5]}"


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    toy.run(project, toy.sweep(project, STITCH, "stitches"))
    return project


@pytest.fixture
def base(here) -> tidy.Tidy:
    return tidy.made(here, toy.open_sweep(here.sweeps / "stitches.yaml", here))


def put(found: tidy.Tidy, name: str, rows: dict | None = None, of_all=None) -> tidy.Tidy:
    """The table with other values in a column, by row number or for all."""
    place, field = found.table.column_names.index(name), found.table.schema.field(name)
    values = found.table[name].to_pylist()
    values = [of_all(value) for value in values] if of_all else values
    for row, value in (rows or {}).items():
        values[row] = value
    return replace(found, table=found.table.set_column(place, field, pa.array(values, field.type)))


def numbers(found: finding.Differences, name: str):
    return next(one for one in found.numbers if one.column == name)


def test_a_table_does_not_differ_from_itself(base):
    found = finding.differences(base, base)
    assert not found.changed
    assert (len(found.matched.a), found.matched.by["id"], found.whole.changed) == (36, 36, 0)
    assert (numbers(found, "penalty").equal, numbers(found, "curve").equal) == (36, 36)
    assert (found.whole.paired.mean, found.whole.paired.half) == (0.0, 0.0)
    assert found.asked == found.provenance == found.times == ()


def test_one_row_that_changed_by_a_hundredth_is_named_exactly(base):
    before = base.table["penalty"][7].as_py()
    found = finding.differences(base, put(base, "penalty", {7: before + 0.01}))
    one = numbers(found, "penalty")
    run = base.table["run_id"][7].as_py()
    assert (one.equal, one.changed, one.run_a, one.run_b) == (35, 1, run, run)
    assert one.largest == one.mean == pytest.approx(0.01)
    assert (found.changed, found.whole.changed) == (True, 1)
    assert numbers(found, "curve").changed == 0


def test_the_largest_change_is_that_of_the_largest_absolute_value_and_the_mean_that_of_the_changed(base):
    values = base.table["penalty"].to_pylist()
    found = finding.differences(base, put(base, "penalty", {1: values[1] + 0.1, 4: values[4] - 0.3, 9: values[9] + 0.05}))
    one = numbers(found, "penalty")
    assert (one.changed, one.run_a) == (3, base.table["run_id"][4].as_py())
    assert (one.largest, one.mean) == pytest.approx((-0.3, -0.05))


def test_a_tolerance_forgives_what_is_smaller(base):
    values = base.table["penalty"].to_pylist()
    moved = put(base, "penalty", {1: values[1] + 0.125, 2: values[2] + 0.25})
    one = numbers(finding.differences(base, moved, tolerance=0.2), "penalty")
    assert (one.equal, one.within, one.changed) == (34, 1, 1)
    assert not finding.differences(base, moved, tolerance=0.3).changed


def test_nan_equals_nan_and_nothing_equals_nothing(base):
    odd = put(base, "penalty", {0: float("nan"), 1: None, 2: float("inf")})
    assert not finding.differences(odd, odd).changed
    one = numbers(finding.differences(base, odd), "penalty")
    assert (one.changed, one.lost, one.found) == (3, 2, 0)
    assert numbers(finding.differences(odd, base), "penalty").found == 2


def test_lists_are_compared_element_by_element(base):
    odd = put(base, "curve", {0: [1.0, 2.0], 1: [1.5], 2: None, 3: [float("nan")], 4: [], 5: [0.25]})
    found = finding.differences(base, odd)
    one = numbers(found, "curve")
    assert (one.equal, one.changed, one.lost, one.found, one.reshaped) == (30, 6, 1, 0, 2)
    assert (one.run_a, one.largest) == (base.table["run_id"][3].as_py(), float("inf"))
    assert not finding.differences(odd, odd).changed
    gentle = numbers(finding.differences(base, put(base, "curve", {1: [1.5], 5: [0.25]})), "curve")
    assert (gentle.changed, gentle.mean, gentle.largest) == (2, -0.125, -0.75)
    shifted = replace(base, table=base.table.slice(5))
    assert numbers(finding.differences(shifted, replace(odd, table=odd.table.slice(5))), "curve").changed == 1


def test_a_new_version_of_the_job_is_matched_by_its_configuration(base):
    newer = put(put(base, "run_id", of_all=lambda run: run[::-1]), "job_version", of_all=lambda version: 2)
    found = finding.differences(base, newer)
    assert found.matched.by == {"id": 0, "configuration": 36, "labels of the networks": 0}
    assert (found.changed, len(found.matched.only_a)) == (False, 0)
    assert [one.column for one in found.provenance] == ["job_version"]


def test_networks_with_other_ids_are_matched_by_their_labels(base):
    newer = base
    for name in ("run_id", "front_network", "end_network"):
        newer = put(newer, name, of_all=lambda run: f"{run}x")
    moved = put(newer, "penalty", {3: 0.5})
    found = finding.differences(base, moved)
    assert found.matched.by == {"id": 0, "configuration": 0, "labels of the networks": 36}
    assert (numbers(found, "penalty").run_a, numbers(found, "penalty").run_b) == (
        base.table["run_id"][3].as_py(),
        base.table["run_id"][3].as_py() + "x",
    )
    assert {one.column for one in found.asked} == {"front_network", "end_network"}


def test_the_order_of_rows_changes_nothing(base):
    order = np.random.default_rng(0).permutation(36)
    shuffled = replace(base, table=base.table.take(pa.array(order)))
    assert not finding.differences(base, put(shuffled, "run_id", of_all=lambda run: f"{run}x")).changed


def test_runs_in_one_only_are_named(base):
    fewer = replace(base, table=base.table.slice(2))
    found = finding.differences(base, fewer)
    assert (found.matched.only_a.tolist(), len(found.matched.only_b), len(found.matched.a)) == ([0, 1], 0, 34)
    assert found.changed
    assert found.whole.changed == 0
    none = finding.differences(base, replace(base, table=base.table.slice(0, 0)))
    assert (len(none.matched.a), len(none.matched.only_a), none.whole.paired.runs) == (0, 36, 0)


def test_lines_of_runs_that_are_not_finished_are_no_runs(here, base):
    (here.sweeps / "more.yaml").write_text(STITCH.replace("0..2", "0..3"))
    more = tidy.made(here, toy.open_sweep(here.sweeps / "more.yaml", here), missing=True)
    found = finding.differences(base, more)
    assert (len(more.table), len(found.matched.a), len(found.matched.only_b), found.changed) == (72, 36, 0, False)


def test_runs_that_cannot_be_told_apart_are_unclear_and_not_matched(base):
    newer = put(base, "run_id", of_all=lambda run: f"{run}x")
    rows = pa.concat_tables([newer.table, put(newer, "run_id", of_all=lambda run: f"{run}y").table.slice(0, 1)])
    found = finding.differences(base, replace(newer, table=rows))
    assert (found.matched.unclear, len(found.matched.a), len(found.matched.only_b)) == (1, 35, 2)


def test_fields_that_are_ignored_may_differ(base):
    other = put(put(base, "run_id", of_all=lambda run: f"{run}x"), "epochs", of_all=lambda _: 5)
    assert len(finding.differences(base, other).matched.a) == 0
    found = finding.differences(base, other, ignore=["epochs"])
    assert len(found.matched.a) == 36
    assert [(one.column, one.changed, one.common) for one in found.asked] == [("epochs", 36, (("1", "5", 36),))]
    with pytest.raises(UserError, match="runs are not asked for by 'penalty'"):
        finding.differences(base, other, ignore=["penalty"])


def test_the_paired_difference_is_that_of_pair_means_over_networks(base):
    rng = np.random.default_rng(1)
    moved = put(base, "penalty", of_all=lambda value: value + rng.normal())
    found = finding.differences(base, moved).whole.paired
    frame = base.table.to_pandas()
    frame["gap"] = (moved.table["penalty"].to_numpy() - frame["penalty"]) * 100
    means = frame.groupby(["front_network", "end_network"])["gap"].mean()
    wanted = interval.over_pairs(means.tolist(), *zip(*means.index, strict=True))
    assert (found.points, found.runs, found.pairs, found.units) == (True, 36, 6, 3)
    assert (found.mean, found.half) == pytest.approx((wanted.mean, wanted.half))


def test_a_number_that_is_asked_for_is_told_in_points_as_a_table_would(base):
    other = replace(base, facts=base.facts | {"table": {"value": "curve", "points": False}})
    assert finding.differences(other, other, value="penalty").whole.paired.points
    assert not finding.differences(other, other, value="run_seconds").whole.paired.points


def test_runs_that_diverged_in_either_are_left_out_of_the_paired_difference(base):
    moved = put(put(base, "penalty", {0: 9.0, 1: 9.0}), "outcome", {0: "diverged"})
    found = finding.differences(put(base, "outcome", {1: "diverged"}), moved).whole.paired
    assert (found.runs, found.mean) == (34, 0.0)


def test_of_several_measures_no_mean_is_told_but_of_each(base):
    names = ["value" if name == "penalty" else "measure" if name == "stitcher" else name for name in base.table.column_names]
    named = replace(base, table=base.table.rename_columns(names), facts=base.facts | {"table": {"value": "value"}})
    moved = put(named, "value", of_all=lambda value: value + 0.5)
    assert len(set(named.table["measure"].to_pylist())) == 2
    found = finding.differences(named, moved, by=["measure"])
    assert found.mixed and found.whole.paired is None
    assert [group.paired.mean for group in found.groups] == pytest.approx([0.5, 0.5])
    told = words.text(finding.differences(named, moved), ("a", "b"), (named, moved))
    assert "of several measures there is no mean; --by measure tells each" in told


def test_groups_say_where_the_changes_are(base):
    rows = [row for row, case in enumerate(base.table["case"].to_pylist()) if case == "low 2"][:3]
    found = finding.differences(base, put(base, "penalty", dict.fromkeys(rows, 9.0)), by=["case"])
    assert {group.key: (group.runs, group.changed) for group in found.groups} == {
        ("lin",): (12, 0),
        ("low 1",): (12, 0),
        ("low 2",): (12, 3),
    }
    with pytest.raises(UserError, match="--by: there is no column 'cases'"):
        finding.differences(base, base, by=["cases"])


def test_times_and_hosts_are_no_changes_of_a_result(base):
    moved = put(put(base, "host", of_all=lambda _: "other"), "run_seconds", of_all=lambda value: value + 1)
    found = finding.differences(base, moved)
    assert not found.changed
    assert [(one.column, one.changed) for one in found.provenance] == [("host", 36)]


def test_a_column_that_one_lacks_is_said(base):
    fewer = replace(base, table=base.table.drop_columns(["curve"]))
    found = finding.differences(base, fewer)
    assert (found.only_columns, found.changed) == ((("curve",), ()), False)


def test_two_jobs_have_nothing_in_common(base):
    other = replace(base, facts={**base.facts, "job": "compare"})
    with pytest.raises(UserError, match="runs of job stitch and of job compare have nothing in common"):
        finding.differences(base, other)


# -- the command --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(base, tmp_path) -> tuple[Path, Path]:
    """A tidy file, and one of a week later."""
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    tidy.write(base, first)
    tidy.write(put(base, "penalty", {7: base.table["penalty"][7].as_py() + 0.01}), second)
    return first, second


def test_a_file_and_its_sweep_are_equal(files):
    answer = call("results", "diff", files[0], "stitches", "--fail-on-change")
    assert answer.code == 0
    assert "in both    36 (36 by id)\nonly in A  0\nonly in B  0\n" in answer.out
    assert "nothing that was measured changed: all of" in answer.out


def test_what_changed_is_told_and_may_fail(files, base):
    answer = call("results", "diff", *files)
    assert answer.code == 0
    assert "what was measured changed in 1 of 36 runs, in 1 of" in answer.out
    (line,) = [line for line in answer.out.splitlines() if line.startswith("penalty  ")]
    assert line.split() == ["penalty", "35", "0", "1", "+0.01", "+0.01", base.table["run_id"][7].as_py()]
    assert call("results", "diff", *files, "--fail-on-change").code == 1
    assert call("results", "diff", *files, "--fail-on-change", "--tolerance", "0.02").code == 0
    assert "low 2" in call("results", "diff", *files, "--by", "case").out


def test_a_diff_is_data_too(files, tmp_path):
    said = call("results", "diff", *files, "--by", "case", "--json").json
    assert (said["changed"], said["both"], said["only_a"], said["unclear"]) == (True, 36, [], 0)
    assert next(one for one in said["numbers"] if one["column"] == "penalty")["changed"] == 1
    out = tmp_path / "diff.txt"
    assert (call("results", "diff", *files, "--out", out).out, "penalty" in out.read_text()) == ("", True)


def test_what_cannot_be_compared_is_told(files, tmp_path):
    (tmp_path / "damaged.parquet").write_bytes(files[0].read_bytes()[:500])
    for name, said in (("damaged.parquet", "cannot be read as Parquet"), ("none.parquet", "there is no such file")):
        answer = call("results", "diff", files[0], tmp_path / name)
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err
    assert call("results", "diff", files[0], "stiches").code == 2
    answer = call("results", "diff", *files, "--value", "host")
    assert (answer.code, "column 'host' is no number" in answer.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        (STITCH, "penalty", "(mean over 6 pairs of networks; 95 % interval, jackknife over 3 networks)"),
        (MEASURE, "accuracy", "(mean over 4 networks; 95 % interval, jackknife over 4 networks)"),
        (
            "job: square\ngrid: {batch: 0..1, value: [1.0, 2.0]}",
            "square",
            "(mean over 4 runs; 95 % interval, jackknife over 4 runs)",
        ),
    ],
)
def test_what_a_paired_difference_is_averaged_over_is_called_what_it_is(project, monkeypatch, text, value, said):
    monkeypatch.chdir(project.root)
    toy.run(project, toy.sweep(project, text, "asked"))
    answer = call("results", "diff", "asked", "asked", "--value", value)
    assert answer.code == 0, answer.err
    assert f"{value}, B − A: ±0 ± 0" in answer.out and said in answer.out
