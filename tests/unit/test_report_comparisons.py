"""Comparisons in words: a matrix per measure, its nulls, statuses and intervals; and layer-identity scores."""

import json

import pytest
from comparison_rows import LAYERS, ORDER, expected, stored

from repsim import matrices
from repsim.counterparts import scores
from repsim.report import comparisons, identity, matrixwords
from repsim.report.counts import lacking

SPAN = {"low": 0.4, "high": 0.6}
VALUES = {"bn1": 0.1234, "bn2": 0.5, "bn10": -0.00001}


def built(value=lambda run: VALUES[run["end_layer"]], runs=None, **more):
    runs = runs or expected()
    return matrices.build(runs, stored(runs, value, **more), ORDER)


def test_layers_of_f_stand_down_and_those_of_g_across():
    (matrix,) = built()
    assert comparisons.text([matrix]).splitlines() == [
        "cka: net:0 × net:1 (more is nearer)",
        "        bn1    bn2   bn10",
        "bn1   0.123  0.500  0.000",
        "bn2   0.123  0.500  0.000",
        "bn10  0.123  0.500  0.000",
        "chance gives 0.125",
        "flatten n=100",
    ]


def test_nulls_that_differ_and_intervals_stand_below_their_numbers():
    runs = expected(fronts=("bn1",), ends=("bn1", "bn2"))
    rows = stored(runs, lambda run: 0.5, low=0.4, high=0.6)
    rows["r1"]["null"] = 0.25
    assert comparisons.text(matrices.build(runs, rows, ORDER)).splitlines()[1:6] == [
        "             bn1          bn2",
        "bn1        0.500        0.500",
        "           0.125        0.250",
        "     0.400…0.600  0.400…0.600",
        "below each number: what chance gives and its 95 % interval over images",
    ]


def test_statuses_are_letters_with_a_legend_and_what_is_missing_is_a_question_mark():
    said = {("bn1", "bn1"): "constant layer", ("bn2", "bn1"): None}
    (matrix,) = built(lambda run: said.get((run["front_layer"], run["end_layer"]), 0.5), expected(ends=("bn1",)), scale="distance")
    lines = comparisons.text([matrix]).splitlines()
    assert lines[0].endswith("(less is nearer)")
    assert [line.split() for line in lines[2:5]] == [["bn1", "–a"], ["bn2", "?"], ["bn10", "0.500"]]
    assert "a: constant layer, bn1 × bn1" in lines and "not computed: 1 of 3" in lines


def test_wide_matrices_go_on_below_beside_the_names():
    many = tuple(f"layer{i}" for i in range(30))
    text = comparisons.text(built(lambda run: 0.5, expected(fronts=many[:1], ends=many)))
    assert max(map(len, text.splitlines())) <= comparisons.WIDTH
    assert text.count("0.500") == 30 and len([line for line in text.splitlines() if line.startswith("layer0 ")]) > 1


def test_json_has_every_number_with_all_that_is_known_of_it():
    (matrix,) = built(lambda run: "constant layer" if run["front_layer"] == "bn2" else 0.5, **SPAN, null_kind="closed form")
    found = comparisons.as_dict(matrix)
    assert (found["measure"], found["scale"], found["front_layers"]) == ("cka", "similarity", list(LAYERS))
    assert found["cells"][0] == {
        **{"front_layer": "bn1", "end_layer": "bn1", "value": 0.5, "status": "ok"},
        **{"null": 0.125, "null_kind": "closed form", "low": 0.4, "high": 0.6},
    }
    assert found["cells"][3]["value"] is None and found["cells"][3]["status"] == "constant layer"
    assert len(found["cells"]) == 9 and json.dumps(found)


def test_the_first_conventions_of_a_matrix_are_written_out_and_the_others_counted():
    runs = expected()
    rows = stored(runs, lambda run: 0.5)
    for index, row in enumerate(rows.values()):
        row["convention"] = f"convention {min(index, 3)}"
    last = comparisons.text(matrices.build(runs, rows, ORDER)).splitlines()[-3:]
    assert last == ["convention 0", "convention 1", "and 2 more conventions: --json"]


def judged(value, **more):
    pairs = (("a", "b"), ("a", "c"), ("b", "c"))
    return [score for matrix in built(value, expected(pairs=pairs), **more) for score in scores(matrix)]


def mistaken(run):
    """bn2 of f is nearest to bn1 of g; bn10 of g has no number."""
    if run["end_layer"] == "bn10":
        return "constant layer"
    return (
        0.9 if (run["front_layer"], run["end_layer"]) == ("bn2", "bn1") else 0.8 if run["front_layer"] == run["end_layer"] else 0.1
    )


def test_an_identity_score_is_a_line_with_its_counts_and_what_was_taken_for_what():
    head, forth, back, _, *notes = identity.render(judged(mistaken), "text").splitlines()
    assert head.split()[-6:] == ["right", "of", "ties", "undecided", "pairs", "chance"]
    assert forth.split("  ")[0] == "cka: net × net"
    assert forth.split()[-9:] == ["%", "0.0", "3", "6", "0", "3", "3", "33.3", "%"] and " 50.0 %" in forth
    assert "end → front" in back and " 50.0 %" in back
    assert "cka: net × net, front → end, mistaken: bn2 as bn1 (3)" in notes
    assert "cka: net × net, end → front, mistaken: bn1 as bn2 (3)" in notes
    assert "cka: net × net: 6 candidates of decided layers have no number" in notes
    assert "cka: net × net: constant layer: all × bn10" in notes


def test_ties_are_counted_and_nothing_decided_has_no_percentage():
    text = identity.render(judged(lambda run: 1.0), "text")
    assert " 0.0 %" in text and text.splitlines()[1].split()[-5:-3] == ["9", "0"]
    nothing = identity.render(judged(lambda run: "n < 4"), "text")
    assert nothing.splitlines()[1].split()[-9:-6] == ["–", "–", "0"] and "n < 4: everywhere" in nothing


def test_markdown_is_a_table_and_json_has_counts_by_layer():
    markdown = identity.render(judged(mistaken), "markdown").splitlines()
    assert markdown[0].startswith("| measure | given → sought | score |") and markdown[1].startswith("| --- | --- | ---: |")
    assert all(line.count("|") == markdown[0].count("|") for line in markdown[:4])
    (forth, _) = json.loads(identity.render(judged(mistaken), "json"))["scores"]
    assert (forth["score"], forth["right"], forth["decided"], forth["undecided"]) == (0.5, 3, 6, 3)
    assert forth["layers"]["bn2"] == {"right": 0, "decided": 3, "ties": 0, "undecided": 0, "taken": {"bn1": 3}}
    assert forth["pairs"] == 3 and forth["chance"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (("closed form", "closed form"), "chance gives 0.125 (closed form)"),
        (("closed form", "shifted"), "chance gives 0.125 (closed form or shifted)"),
        ((None, None), "chance gives 0.125"),
    ],
)
def test_a_matrix_says_of_what_kind_its_nulls_are(kinds, said):
    runs = expected(fronts=("bn1",), ends=("bn1", "bn2"))
    rows = stored(runs, lambda one: 0.5)
    for row, kind in zip(rows.values(), kinds, strict=True):
        row["null_kind"] = kind
    (matrix,) = matrices.build(runs, rows, ORDER)
    assert said in comparisons.text([matrix]).splitlines()
    assert [cell["null_kind"] for cell in comparisons.as_dict(matrix)["cells"]] == list(kinds)


def test_the_kind_of_a_mean_of_nulls_is_shifted_where_one_of_them_is():
    runs = expected(pairs=(("a", "b"), ("a", "c")), fronts=("bn1",), ends=("bn1",))
    rows = stored(runs, lambda one: 0.5, null_kind="closed form")
    rows["r1"]["null_kind"] = "shifted"
    (matrix,) = matrices.build(runs, rows, ORDER)
    assert comparisons.means_of(matrix)["cells"][0]["null_kind"] == "shifted"


@pytest.mark.parametrize(
    ("count", "total", "said"),
    [(1, 1, "1 of 1 run is missing"), (1, 3, "1 of 3 runs is missing"), (2, 1200, "2 of 1,200 runs are missing")],
)
def test_what_is_missing_is_counted_in_the_right_number(count, total, said):
    assert lacking(count, total, "run") == said


def test_one_number_that_is_not_computed_is_one_number():
    (matrix,) = built(lambda run: None, expected(fronts=("bn1",), ends=("bn1",)))
    assert matrixwords.lacking(matrix) == ["not computed: 1 of 1 number"]
