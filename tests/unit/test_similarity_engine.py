"""One comparison of two networks: every number is that of the plain measure on gathered features, however it was computed."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from similarity_networks import FACTS, ONE_OF_EACH, asked, digits, trained
from torch import nn

from repsim.errors import InputError, Interrupted
from repsim.models.cut import cuts
from repsim.models.zoo import build
from repsim.similarity import engine, features, measures, planner, positions, room
from repsim.similarity.known import KNOWN, LOGITS
from repsim.similarity.projection import approximated
from repsim.similarity.reading import Pair
from repsim.similarity.request import Sample
from repsim.similarity.similarity import NOT_FINITE, OK, Similarity, undefined

LAYERS = ("relu2", "bn4", LOGITS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def pair(cache):
    return trained(cache, 0), trained(cache, 1)


@pytest.fixture(scope="module")
def images(cache):
    return digits(cache)


@pytest.fixture(scope="module")
def gathered(pair, images):
    return tuple(features.gather(network, LAYERS, images) for network in pair)


@pytest.fixture(params=["roomy", "tight"])
def budget(request, monkeypatch):
    """Of memory: what is free, or so little that images come in tiles, and their activations are made again for each."""
    if request.param == "roomy":
        return None
    monkeypatch.setattr(planner, "SHARE", 0.0)
    monkeypatch.setattr(room, "BLOCK", 64)
    return 60 * 10**6


def plain(gathered, request):
    return measures.compare(
        request.measure, *gathered, request.front.layer, request.end.layer, request.view, request.align, **request.chosen
    )


def same(one: Similarity, other: Similarity, rel=2e-4) -> bool:
    """Both the same number, null and status, up to the rounding of fp32."""
    for mine, theirs in ((one.value, other.value), (one.null, other.null)):
        if (mine is None) != (theirs is None) or (mine is not None and mine != pytest.approx(theirs, rel=rel, abs=2e-5)):
            return False
    return one.status == other.status


def test_every_measure_is_that_of_gathered_features(pair, images, gathered, budget):
    requests = [asked(measure, *([LOGITS] * 2 if KNOWN[measure].family == "outputs" else ["relu2"] * 2)) for measure in KNOWN]
    found = engine.compare(Pair(*pair), images, requests, Sample(len(images)), budget)
    assert found.plan.kept is (budget is None) and (found.plan.block < len(images)) is (budget is not None)
    wrong = [r.measure for r in requests if not same(found.found[r], plain(gathered, r))]
    assert not wrong and len(found.found) == len(KNOWN)


def test_all_layers_meet_all_layers_and_the_logits_are_one(pair, images, gathered):
    measured = ("cka", "cka_debiased", "cca", "rsa", "wreath_cka")
    views = {"cka": "flatten", "cka_debiased": "pool", "cca": "pool", "rsa": "pool", "wreath_cka": "channel"}
    requests = [asked(m, one, other, views[m]) for m in measured for one in LAYERS for other in LAYERS]
    found = engine.compare(Pair(*pair), images, requests, Sample(len(images)))
    assert all(same(found.found[request], plain(gathered, request)) for request in requests)


def test_gram_and_feature_form_give_the_same_numbers(pair, images, monkeypatch):
    requests = [asked(measure, "bn4", "relu2", "pool") for measure in ("cka", "cka_debiased", "cka_angular")]
    sample = Sample(len(images), groups=10, draws=100)
    compare = partial(engine.compare, Pair(*pair), images, requests, sample)
    feature = compare()
    monkeypatch.setattr(planner.costs, "gram_flops", lambda some, images: -1.0)
    gram = compare()
    assert set(feature.plan.forms.values()) == {"feature"} and set(gram.plan.forms.values()) == {"gram"}
    for one in requests:
        x, y = feature.found[one], gram.found[one]
        assert same(x, y, rel=1e-5)
        assert (x.low, x.high) == pytest.approx((y.low, y.high), rel=1e-4) and x.low < x.value < x.high


def test_maps_of_other_grids_meet_by_the_alignment_that_is_named(pair, images, gathered):
    requests = [
        replace(asked(measure, "relu2", "bn4", view), align=align)
        for measure, view in (("procrustes", "channel"), ("cka_debiased", "channel"), ("cka", "position"))
        for align in ("pool", "bilinear", "nearest")
    ]
    found = engine.compare(Pair(*pair), images, requests, Sample(len(images))).found
    assert all(same(found[request], plain(gathered, request)) for request in requests)
    assert len({found[request].value for request in requests}) == len(requests)
    with pytest.raises(InputError, match="other grids"):
        engine.compare(Pair(*pair), images, [asked("procrustes", "relu2", "bn4")], Sample(len(images)))


@pytest.mark.parametrize("measure", ["procrustes", "cka_debiased", "cka_rbf", "l2", "mutual_knn"])
def test_position_is_the_mean_of_the_measure_at_each_position(pair, images, gathered, measure):
    request = asked(measure, "bn4", "bn4", "position")
    found = engine.compare(Pair(*pair), images, [request], Sample(len(images)))
    x, y = (side["bn4"] for side in gathered)
    apart = [measures.MEASURES[measure](x[:, :, i, j], y[:, :, i, j], **request.chosen) for i in range(2) for j in range(2)]
    assert found.found[request].value == pytest.approx(sum(map(float, apart)) / 4, rel=1e-3)  # a neighbour may be a tie in fp32
    assert found.found[request].details["positions"] == 4
    assert same(found.found[request], plain(gathered, request), rel=1e-3)


def test_an_interval_ends_where_the_measure_does(images):
    front, end = (build(FACTS, (0.3,), (0.4,), torch.Generator().manual_seed(3)).eval() for _ in range(2))
    end.body.get_parameter("fc.bias").data[0] += 0.05
    requests = [asked(measure, LOGITS, LOGITS) for measure in ("agreement", "jensen_shannon", "mutual_knn", "cka_angular")]
    for seed in range(5):
        found = engine.compare(Pair(front, end), images, requests, Sample(len(images), 75, 100, seed)).found
        for request, one in found.items():
            assert KNOWN[request.measure].low <= one.low <= one.value <= one.high <= KNOWN[request.measure].high, request


def test_positions_where_a_measure_is_undefined_are_left_out_and_said():
    apart = [
        Similarity(0.4, null=0.1, details={"k": 2.0}),
        undefined("constant layer"),
        Similarity(0.8, null=0.3, details={"k": 4.0}),
    ]
    found = positions.mean(apart)
    assert (found.value, found.null) == (pytest.approx(0.6), pytest.approx(0.2))
    assert found.details == {"positions": 2, "k": 3.0} and found.status == "at 1 of 3 positions: constant layer"
    assert positions.mean([undefined("why")] * 2) == undefined("why", positions=0)


def test_what_only_some_positions_count_is_0_at_the_others():
    found = positions.mean([Similarity(0.4), Similarity(0.8, details={"still_images_front": 3.0}), undefined("constant layer")])
    assert found.details == {"positions": 2, "still_images_front": 1.5}
    values = torch.randn(20, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    values[3, :, 0, 0] = 0
    assert measures.of("rsa", values, values, "position").details["still_images_front"] == 0.25


def test_a_rank_replaces_a_layer_by_its_best_approximation(pair, images, gathered, budget):
    requests = [asked(m, "relu2", "relu2", front_rank=2, end_rank=3) for m in (*ONE_OF_EACH, "svcca")]
    found = engine.compare(Pair(*pair), images, requests, Sample(len(images)), budget).found
    low = [replace(side, values={"relu2": approximated(side["relu2"], rank)}) for side, rank in zip(gathered, (2, 3), strict=True)]
    assert all(same(found[request], plain(low, request), rel=1e-3) for request in requests)
    rank = torch.linalg.matrix_rank(low[0]["relu2"].movedim(1, -1).flatten(0, -2).double().T.cov(), rtol=1e-5)
    assert int(rank) == 2


def test_a_layer_of_full_rank_is_the_layer(pair, images):
    whole, full = asked("cka", "relu2", "relu2"), asked("cka", "relu2", "relu2", front_rank=8)
    found = engine.compare(Pair(*pair), images, [whole, full], Sample(len(images))).found
    assert found[whole].value == pytest.approx(found[full].value, rel=1e-5)


def test_the_number_of_images_at_once_changes_only_rounding(pair, images, monkeypatch):
    requests = [asked(measure, "relu2", "relu2") for measure in ONE_OF_EACH]
    compare = partial(engine.compare, Pair(*pair), images, requests, Sample(len(images)), products=torch.float64)
    one = compare()
    monkeypatch.setattr(room, "BATCH", 17)
    other = compare()
    assert (one.plan.batch, other.plan.batch) == (500, 17)
    assert all(same(one.found[r], other.found[r], rel=1e-5) for r in requests) and one.sample == other.sample


def test_a_network_compared_with_itself_is_run_once_and_is_itself(pair, images):
    network = pair[0]
    seen = []
    handle = network.body.get_submodule("fc").register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    requests = [asked(measure, "relu2", "relu2") for measure in ("cka", "cca", "procrustes", "rsa", "mutual_knn", "sign_overlap")]
    found = engine.compare(Pair(network, network), images, requests, Sample(len(images)))
    handle.remove()
    ends = {"procrustes": 0.0}
    assert {r.measure: pytest.approx(found.found[r].value, abs=1e-3) for r in requests} == {
        r.measure: ends.get(r.measure, 1.0) for r in requests
    }
    assert seen.count(len(images)) == 1 and found.front_accuracy == found.end_accuracy


def test_a_comparison_says_which_images_it_is_of_and_how_good_both_networks_are(pair, images, gathered, cache):
    requests = [asked("cka", "bn4", "bn4")]
    found = engine.compare(Pair(*pair), images, requests, Sample(len(images)))
    assert found.sample == gathered[0].sample == gathered[1].sample
    for accuracy, side in ((found.front_accuracy, gathered[0]), (found.end_accuracy, gathered[1])):
        assert accuracy == pytest.approx((side[LOGITS].argmax(1) == images.labels).double().mean().item())
    other = engine.compare(Pair(*pair), digits(cache, seed=1), requests, Sample(len(images)))
    assert other.sample != found.sample
    assert all(seconds > 0 for seconds in found.seconds.values()) and "stream" in found.seconds and found.peak is None


def test_numbers_too_large_to_be_squared_cost_no_other_number(pair, images):
    broken = build(FACTS, (0.3,), (0.4,), torch.Generator().manual_seed(3)).eval()
    nn.init.constant_(broken.body.get_submodule("bn4").weight, 1e25)
    requests = [asked(measure, layer, layer) for measure in ONE_OF_EACH for layer in ("relu2", "bn4")]
    found = engine.compare(Pair(pair[0], broken), images, requests, Sample(len(images))).found
    assert {request.end.layer for request in requests if found[request].status == OK} == {"relu2"}
    assert {found[request].status for request in requests if request.end.layer == "bn4"} == {NOT_FINITE}


def test_what_is_not_finite_is_said_of_its_own_numbers_alone(pair, images):
    broken = build(FACTS, (0.3,), (0.4,), torch.Generator().manual_seed(3)).eval()
    nn.init.constant_(broken.body.get_submodule("bn4").weight, torch.inf)
    requests = [asked(m, layer, layer) for m in ONE_OF_EACH for layer in ("relu2", "bn4")] + [asked("agreement", LOGITS, LOGITS)]
    found = engine.compare(Pair(pair[0], broken), images, requests, Sample(len(images))).found
    for request in requests:
        fine = request.end.layer == "relu2"
        assert (found[request].value is not None, found[request].status == OK) == (fine, fine), request
        assert fine or "not finite" in found[request].status


def test_a_dead_layer_has_a_status_and_no_number(pair, images):
    dead = build(FACTS, (0.3,), (0.4,), torch.Generator().manual_seed(3)).eval()
    for name in ("bn4.weight", "bn4.bias"):
        nn.init.zeros_(dead.body.get_parameter(name))
    requests = [asked(measure, "bn4", "bn4") for measure in ("cka", "cka_debiased", "cca", "procrustes", "cka_rbf", "rsa")]
    found = engine.compare(Pair(pair[0], dead), images, requests, Sample(len(images))).found
    assert all(one.value is None and one.null is None for one in found.values())
    assert all("constant layer (end)" in one.status or "equally far apart (end)" in one.status for one in found.values())


def test_three_images_are_too_few_for_debiasing_and_that_is_said(pair, images):
    few = images.subset(torch.arange(3))
    requests = [asked(measure, "bn4", "bn4") for measure in ("cka", "cka_debiased", "cka_rbf_debiased", "cka_minibatch")]
    found = engine.compare(Pair(*pair), few, requests, Sample(3)).found
    assert found[requests[0]].status == OK
    assert all(found[one].value is None and "3 images" in found[one].status for one in requests[1:])


def test_the_networks_are_left_as_they_were(pair, images):
    front, end = pair
    front.body.get_submodule("bn4").train()
    before = [part.training for part in front.modules()], {k: v.clone() for k, v in front.state_dict().items()}
    torch.backends.cudnn.allow_tf32 = True
    found = engine.compare(Pair(front, end), images, [asked("cka", "bn4", "bn4")], Sample(len(images)))
    assert [part.training for part in front.modules()] == before[0] and torch.backends.cudnn.allow_tf32
    assert all(torch.equal(value, before[1][key]) for key, value in front.state_dict().items())
    front.eval()
    again = engine.compare(Pair(front, end), images, [asked("cka", "bn4", "bn4")], Sample(len(images)))
    assert found.found == again.found


def test_progress_is_told_and_a_comparison_can_be_stopped(pair, images):
    told = []
    requests = [asked(measure, "bn4", "bn4", front_rank=2) for measure in ("cka", "cka_rbf")]
    engine.compare(Pair(*pair), images, requests, Sample(len(images)), tick=lambda share, text: told.append((share, text)))
    shares = [share for share, _ in told]
    assert shares[0] > 0 and shares[-1] == 1 and shares == sorted(shares)
    assert [*dict.fromkeys(text for _, text in told)] == ["principal components", "layers", "pairs of images"]

    def stop(share, text):
        raise Interrupted

    with pytest.raises(Interrupted):
        engine.compare(Pair(*pair), images, requests, Sample(len(images)), tick=stop)


@pytest.mark.parametrize(
    "request_, sample, message",
    [
        (asked("cka", "bn9", "bn4"), Sample(150), "has no layer 'bn9'"),
        (asked("cka", "bn4", "bn4", "class"), Sample(150), "has no tokens"),
        (asked("cka_rbf", "bn4", "bn4", "channel"), Sample(150), "4 rows per image"),
        (asked("l2", "bn4", "relu2"), Sample(150), "number by number"),
        (asked("cka", "bn4", "bn4", front_rank=99), Sample(150), "rank 99 does not fit 32"),
        (asked("cka", "bn4", "bn4"), Sample(99), "150 images came, and the sample is of 99"),
    ],
)
def test_what_cannot_be_compared_is_refused(pair, images, request_, sample, message):
    with pytest.raises(InputError, match=message):
        engine.compare(Pair(*pair), images, [request_], sample)


def test_features_of_other_images_or_another_order_are_not_compared(pair, images, gathered, cache):
    turned = features.gather(pair[1], LAYERS, images.subset(torch.arange(149, -1, -1)))
    relabelled = features.gather(pair[1], LAYERS, replace(images, labels=images.labels.roll(1)))
    for other in (turned, relabelled, features.gather(pair[1], LAYERS, digits(cache, seed=1))):
        with pytest.raises(InputError, match="of other images, or in another order"):
            measures.compare("cka", gathered[0], other, "bn4")
    with pytest.raises(InputError, match="150 images and of 9"):
        measures.compare("cka", gathered[0], features.gather(pair[1], LAYERS, images.subset(torch.arange(9))), "bn4")


@pytest.mark.parametrize(
    "measure, layer, fields, message",
    [
        ("ckaa", "bn4", {}, "did you mean 'cka'"),
        ("cka", "bn9", {}, "'bn9' was not gathered"),
        ("cka", "bn4", {"view": "flaten"}, "did you mean 'flatten'"),
        ("shape", "bn4", {"alhpa": 1.0}, "shape has no option 'alhpa'"),
        ("rsa", "bn4", {"rmd": "cosine"}, "rsa has no option 'rmd'"),
        ("agreement", "logits", {"labels": None}, "agreement has no option 'labels'"),
    ],
)
def test_a_comparison_of_features_that_cannot_be_meant_is_refused(gathered, measure, layer, fields, message):
    with pytest.raises(InputError, match=message):
        measures.compare(measure, *gathered, layer, **fields)


def test_any_module_and_any_loader_give_features(pair, images, gathered):
    """The body as a module of its own sees normalised images: the same sample under a name that is said."""
    network, x = pair[0], images.images / 255
    alone = features.gather(network.body, ["relu2", "logits"], network.normalise(x), sample="the digits")
    loader = [(network.normalise(part), labels) for part, labels in zip(x.split(40), images.labels.split(40), strict=True)]
    loaded = features.gather(network.body, ["relu2"], loader, sample="the digits", keep="cpu")
    assert torch.allclose(alone["relu2"], gathered[0]["relu2"], atol=1e-5)
    assert measures.compare("cka", alone, loaded, "relu2").value == pytest.approx(1)
    assert alone.labels is None and loaded.labels is not None and torch.equal(loaded.labels, images.labels)
    cut = {name: shape for name in cuts(network).names if (shape := cuts(network).shape(name))}
    assert tuple(alone["relu2"].shape[1:]) == cut["relu2"]


def test_the_hash_of_a_sample_does_not_depend_on_its_batches(pair, images):
    assert len({features.gather(pair[0], [LOGITS], images, batch=batch).sample for batch in (1, 7, 150)}) == 1
