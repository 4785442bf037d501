"""The plan: which form, how much of everything, what is refused, and that it is told to people and to programs."""

import json
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from repsim.errors import InputError
from repsim.similarity import factors, pieces, planner, room
from repsim.similarity.known import KNOWN
from repsim.similarity.moment_measures import MOMENT_MEASURES
from repsim.similarity.moment_pass import MomentPass
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
    (feature,) = made(asked("cka", "middle", "deep", view="pool")).steps
    assert (feature.flops, feature.factors) == (2 * 10_000 * (64**2 + 32**2 + 64 * 32), 0)
    (gram,) = made(asked("cka_rbf", "wide", "narrow", options=(("bandwidth", 0.5),))).steps
    assert gram.flops == 10_000**2 * (64 * 32 * 32 + 16 + 1)


EIGEN = 9 * (64**3 + 32**3)  # of both sides of a pair of 64 and 32 channels
MOVED = 2 * 64 * 32 * (64 + 32)  # their S_xy into other bases
VALUES = (2 + 4 / 3) * 32**3  # its singular values


@pytest.mark.parametrize(
    ("measure", "factors"),
    [
        ("cca", EIGEN + 2 * (MOVED + VALUES)),  # twice: of the shifted pair too
        ("cca_squared", EIGEN + MOVED),  # its null has a formula
        ("pwcca", EIGEN + 2 * (1.5 * MOVED + 22 * 32**3)),
        ("procrustes", 2 * VALUES),
        ("permutation_match", 2 * 32**2 * 64),
        ("regression", 9 * 64**3 + MOVED / 2),
        ("regression_reversed", 9 * 32**3 + MOVED / 2),
    ],
)
def test_what_is_factored_once_all_images_are_seen_is_counted(measure, factors):
    plan = made(asked(measure, "middle", "deep", view="pool"))
    (step,) = plan.steps
    pairs = 1 + (measure in ("cca", "pwcca", "procrustes", "permutation_match"))
    assert step.factors == pytest.approx(factors)
    assert step.flops - step.factors == pytest.approx(2 * 10_000 * (64**2 + 32**2 + pairs * 64 * 32))
    assert "FLOP in factors of matrices)" in plan.lines()[0]


def test_every_draw_of_a_bootstrap_factors_again():
    pooled = asked("cca_squared", view="pool")
    plain, drawn = made(pooled).steps[0], made(pooled, groups=100, draws=1000).steps[0]
    assert drawn.factors == pytest.approx(1001 * plain.factors)


def test_fewer_images_than_channels_spare_no_factor():
    """Procrustes then works within the n − 1 directions that there are, which are found first."""
    few, many = made(asked("nbs", view="flatten"), images=100).steps[0], made(asked("nbs", view="flatten")).steps[0]
    assert few.factors - many.factors == pytest.approx(9 * 2 * 1024**3 + 2 * 4 * 1024**3)


def test_what_is_known_of_measures_of_moments_here_is_so():
    assert factors.CORES.keys() == MOMENT_MEASURES.keys()
    assert set(pieces.CLOSED) == {name for name, measure in MOMENT_MEASURES.items() if measure.null is not None}


def test_layers_and_pairs_are_counted_once_however_many_measures_share_them():
    one, two = made(asked("procrustes")), made(asked("procrustes"), asked("nbs"), asked("procrustes_angular"))
    assert [step.flops for step in one.steps] == [step.flops for step in two.steps]
    assert [step.bytes for step in one.steps] == [step.bytes for step in two.steps]
    both, apart = made(asked("cca"), asked("pwcca")).steps[0], [made(asked(name)).steps[0] for name in ("cca", "pwcca")]
    eigen = 2 * 9 * 64**3
    assert both.factors == pytest.approx(sum(step.factors for step in apart) - eigen)


def test_two_layers_of_5408_channels_are_planned_as_they_were_seen():
    """cca of two layers of 5,408 values took 3.9 GB and 365 s of one core, of which the products were a few."""
    shapes = {"pool": (32, 13, 13)}
    wide = asked("cca", "pool", "pool", view="flatten")
    plan = planner.make([wide], shapes, shapes, Sample(300), 8 * GB)
    assert 3.9 * GB < plan.bytes < 1.5 * 3.9 * GB
    assert 10e9 < plan.steps[0].flops / 365 < 20e9 and plan.steps[0].factors > 0.95 * plan.steps[0].flops
    with pytest.raises(InputError, match=r"cca of 'pool' and 'pool' needs 5\.85 GB"):  # its sums alone are 0.9 GB
        planner.make([wide], shapes, shapes, Sample(300), 5 * GB)


def held(request: Request, width: int, images: int) -> int:
    """Bytes of the tensors that are made for it and live at once, at most."""
    x, y = torch.randn(2, images, width, generator=torch.Generator().manual_seed(0))
    one, now, most = MomentPass([request], Sample(images)), 0, 0
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        one.add({request.front: x}, {request.end: y})
        one.results()
    profiler: Any = seen.profiler
    every = profiler.kineto_results.events()
    events = [event for event in every if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


@pytest.mark.parametrize("measure", ["cca", "pwcca", "nbs", "ortho_procrustes", "correlation_match", "gulp", "regression"])
def test_what_a_plan_says_bounds_what_is_held(measure):
    """Tensors alone; the heap around them is reckoned at half as much again."""
    request = asked(measure, "a", "b", view="flatten", options=(("ridge", 0.01),) if measure == "gulp" else ())
    said = planner.make([request], {"a": (192,)}, {"b": (192,)}, Sample(400), GB).bytes
    assert 0.4 * said < held(request, 192, 400) < said


def test_a_bootstrap_keeps_sums_for_every_group():
    (plain,), (drawn,) = made(asked("cca")).steps, made(asked("cca"), groups=100, draws=1000).steps
    sums = 8 * (2 * 64**2 + 2 * 64**2)  # of both layers, of the pair and of the shifted pair, which is of one group
    assert drawn.bytes - plain.bytes > 99 * 0.75 * sums


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
    tight = made(*grid, budget=850 * 10**6)
    assert len(tight.streams) > 1 and tight.bytes <= 850 * 10**6
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
        (asked("cca", "wide", "wide", view="flatten"), 10 * GB, "cca of 'wide' and 'wide' needs 859 GB"),
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


def test_a_request_is_compared_with_few_others_however_many_are_planned(monkeypatch):
    met = []
    same = Request.__eq__
    monkeypatch.setattr(Request, "__eq__", lambda one, other: met.append(1) or same(one, other))
    layers = {f"layer{i}": (64, 8, 8) for i in range(49)}
    names = ("cca", "pwcca", "nbs", "procrustes", "ortho_procrustes", "permutation_match", "regression", "gulp")
    every = [Request(name, Value(one), Value(other), "channel") for one in layers for other in layers for name in names]
    plan = planner.make(every, layers, layers, Sample(10_000), 8 * GB)
    assert len(plan.streams) == 1 and plan.steps[0].requests == 8 * 49 * 49
    assert len(met) < 50 * len(every)  # some 10,000 each where they are looked for in lists


def test_a_minibatch_larger_than_the_images_is_all_of_them():
    shapes = {"relu1": (16, 30, 30)}
    plans = [
        planner.make([asked("cka_minibatch", "relu1", "relu1", options=(("batch", batch),))], shapes, shapes, Sample(300), 2**33)
        for batch in (300, 4096)
    ]
    assert plans[0].bytes == plans[1].bytes
    assert [plan.steps[0].exactness for plan in plans] == ["minibatch estimate, b = 300"] * 2
