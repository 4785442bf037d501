"""The plan: which form, how much of everything, what is refused, and that it is told to people and to programs."""

import json

import pytest

from repsim.errors import InputError
from repsim.similarity import pieces, planner, room
from repsim.similarity.known import KNOWN
from repsim.similarity.request import Request, Sample, Value

GB = 10**9
NARROW, MIDDLE, WIDE, DEEP = (16,), (64, 4, 4), (64, 32, 32), (32, 8, 8)
LAYERS = {"narrow": NARROW, "middle": MIDDLE, "wide": WIDE, "deep": DEEP, "logits": (10,), "tokens": (17, 8)}


def asked(measure="cka", front="middle", end="middle", view=None, options=(), align=None, rank=None):
    return Request(measure, Value(front, rank), Value(end), view or KNOWN[measure].view, align, options)


def made(*requests, images=10_000, budget=50 * GB, **sample):
    return planner.make(requests, LAYERS, LAYERS, Sample(images, **sample), budget)


def test_linear_cka_takes_features_where_they_are_fewer_than_images_and_pairs_of_images_where_they_are_not():
    assert made(asked()).forms[asked()] == "feature"
    wide = asked(front="wide", end="wide")
    assert made(wide).forms[wide] == "tiled"
    assert made(wide, images=1000).forms[wide] == "gram"
    assert made(asked(), images=64).forms[asked()] == "gram"


def test_a_wide_layer_takes_with_it_only_those_that_meet_it():
    """Each layer with itself: the wide one alone goes by pairs of images. All with all: so do those whose tiles it needs."""
    names = ("narrow", "middle", "wide")
    alone = [asked(front=name, end=name) for name in names]
    assert [made(*alone).forms[one] for one in alone] == ["feature", "feature", "tiled"]
    grid = [asked(front=one, end=other) for one in names for other in names]
    plan = made(*grid)
    assert [one.front.layer for one in grid if plan.forms[one] == "feature"] == ["narrow"]
    whole = [piece for one in grid for piece in pieces.pieces(one, LAYERS[one.front.layer], LAYERS[one.end.layer])]
    taken = sum(step.flops for step in plan.steps)
    assert taken < pieces.gram_flops(whole, 10_000) < pieces.moment_flops(whole, 10_000)


def test_operations_are_those_of_the_formulas():
    (feature,) = made(asked("cca", "middle", "deep", view="pool")).steps
    assert feature.flops == 2 * 10_000 * (64**2 + 32**2 + 2 * 64 * 32)
    (gram,) = made(asked("cka_rbf", "wide", "narrow", options=(("bandwidth", 0.5),))).steps
    assert gram.flops == 10_000**2 * (64 * 32 * 32 + 16 + 1)


def test_layers_and_pairs_are_counted_once_however_many_measures_share_them():
    one, two = made(asked("cca")), made(asked("cca"), asked("procrustes"))
    assert [step.flops for step in one.steps] == [step.flops for step in two.steps]
    assert [step.bytes for step in one.steps] == [step.bytes for step in two.steps]


def test_a_bootstrap_keeps_sums_for_every_group():
    (plain,), (drawn,) = made(asked("cca")).steps, made(asked("cca"), groups=100, draws=1000).steps
    assert 50 * plain.bytes < drawn.bytes < 101 * plain.bytes


def test_exactness_is_said():
    said = [asked(), asked("cka_minibatch", options=(("batch", 256),)), asked("agreement", "logits", "logits")]
    found = {step.form: step.exactness for step in made(*said).steps}
    assert found == {
        "feature": "exact over n = 10,000",
        "minibatch": "minibatch estimate, b = 256",
        "sums": "exact over n = 10,000",
    }


def test_what_fits_is_kept_and_what_does_not_is_read_again_and_again():
    rbf = asked("cka_rbf", "wide", "wide", options=(("bandwidth", 0.5),))
    roomy, tight = made(rbf), made(rbf, budget=3 * GB)
    assert roomy.kept and not tight.kept
    assert roomy.steps[0].passes == 1 < tight.steps[0].passes
    assert tight.block < roomy.block <= room.BLOCK
    assert roomy.bytes <= 50 * GB and tight.bytes <= 3 * GB


def test_sums_that_do_not_fit_beside_each_other_take_more_passes():
    grid = [asked("cca", "deep", end, view="flatten") for end in ("deep", "middle", "narrow")]
    assert len(made(*grid).streams) == 1
    tight = made(*grid, budget=150 * 10**6)
    assert len(tight.streams) > 1 and tight.bytes <= 150 * 10**6
    assert sorted(p.origin.end.layer for stream in tight.streams for p in stream) == ["deep", "middle", "narrow"]


def test_positions_are_pieces_of_one_request_that_never_meet():
    position = asked("procrustes", "middle", "deep", view="position", align="pool")
    plan = made(position)
    (stream,) = plan.streams
    assert len(stream) == 16 and {piece.origin for piece in stream} == {position} and plan.rows[position] == 16
    assert [piece.front.width for piece in stream] == [64] * 16
    pairs = asked("cka_rbf", "middle", "deep", view="position", align="pool", options=(("bandwidth", 0.5),))
    assert len(made(pairs).walks) == 16


def test_there_is_always_a_pass_that_looks_at_the_images():
    assert made(asked("cka_rbf", options=(("bandwidth", 0.5),))).streams == ((),)


def test_low_ranks_are_found_in_a_pass_of_their_own():
    assert made(asked(rank=4)).ranked == (frozenset({Value("middle", 4)}), frozenset())
    assert made(asked()).ranked == (frozenset(), frozenset())


@pytest.mark.parametrize(
    "request_, budget, named",
    [
        (asked("cca", "wide", "wide", view="flatten"), 10 * GB, "cca of 'wide' and 'wide' needs 1[0-9.]+ GB"),
        (asked("cka", "wide", "wide", view="channel"), 10**4, "cka of 'wide' and 'wide'"),
        (asked("cka_rbf", "wide", "wide", options=(("bandwidth", 0.5),)), 10**6, "cka_rbf of 'wide' and 'wide'"),
    ],
)
def test_what_cannot_fit_is_refused_with_what_it_needs(request_, budget, named):
    with pytest.raises(InputError, match=named) as error:
        made(request_, budget=budget)
    assert "choose view" in str(error.value)


def test_a_plan_is_read_by_people_and_by_programs():
    plan = made(asked(), asked("cka_rbf", options=(("bandwidth", 0.5),)))
    first, second = plan.lines()
    assert first.startswith("linear · flatten · feature: 1 number, ") and first.endswith("1 pass, exact over n = 10,000")
    assert "FLOP" in second and "B, " in second
    told = json.loads(json.dumps(plan.as_dict()))
    assert told["images"] == 10_000 and [step["form"] for step in told["steps"]] == ["feature", "tiled"]


def test_thousands_of_layer_pairs_are_planned_in_no_time():
    layers = {f"layer{i}": (64, 8, 8) for i in range(49)}
    every = [Request("procrustes", Value(one), Value(other), "channel") for one in layers for other in layers]
    plan = planner.make(every, layers, layers, Sample(10_000), 8 * GB)
    assert len(plan.streams) == 1 and plan.steps[0].requests == 49 * 49


def test_a_minibatch_larger_than_the_images_is_all_of_them():
    shapes = {"relu1": (16, 30, 30)}
    plans = [
        planner.make([asked("cka_minibatch", "relu1", "relu1", options=(("batch", batch),))], shapes, shapes, Sample(300), 2**33)
        for batch in (300, 4096)
    ]
    assert plans[0].bytes == plans[1].bytes
    assert [plan.steps[0].exactness for plan in plans] == ["minibatch estimate, b = 300"] * 2
