"""The compare job: what its Config refuses, what it checks and plans, and groups end to end on networks that know the digits."""

from dataclasses import asdict, replace
from inspect import signature
from pathlib import Path

import jobground
import pytest
import torch
import toy
from pydantic import ValidationError
from similarity_networks import FACTS, JOB, asked, digits, trained

from repsim import cost
from repsim import job as jobs
from repsim.data import sources
from repsim.errors import InputError, Interrupted, SpecError, UserError
from repsim.identity import id_of
from repsim.models import checkpoint
from repsim.project import Project
from repsim.similarity import engine, features, measures, ranks, rules
from repsim.similarity.known import KNOWN, LOGITS
from repsim.similarity.reading import Pair
from repsim.similarity.request import Sample
from repsim.sweep import shown
from repsim.sweep.expand import open_sweep

ROOT = Path(__file__).parents[2]
BASE = {"front_network": "aaaa", "end_network": "bbbb", "dataset": "digits", "front_layer": "relu2", "end_layer": "relu2"}
OUTPUTS = {"front_layer": LOGITS, "end_layer": LOGITS}


def config(**fields):
    return JOB.config(**{**BASE, "measure": "cka", "images": 150, **fields})


def test_the_mirror_of_a_symmetric_measure_has_f_and_g_swapped_and_a_one_way_measure_has_none():
    one = config(front_layer="relu1", front_rank=2, end_epoch=3)
    image = JOB.module.mirrored(one)
    assert (image.front_network, image.end_network, image.front_layer, image.end_layer) == ("bbbb", "aaaa", "relu2", "relu1")
    assert (image.front_rank, image.end_rank, image.front_epoch, image.end_epoch) == (None, 2, 3, None)
    assert id_of(JOB, JOB.module.mirrored(image)) == id_of(JOB, one) != id_of(JOB, image)
    assert JOB.module.mirrored(config(measure="regression")) is None


class Catalog:
    """What a plan offers to a job's check: one network for every run."""

    sheet = (
        {"name": "relu2", "kind": "ReLU", "shape": [8, 8, 8], "parameters": 0},
        {"name": "bn4", "kind": "BatchNorm2d", "shape": [32, 2, 2], "parameters": 64},
        {"name": "tokens", "kind": "Linear", "shape": [17, 8], "parameters": 0},
        {"name": "huge", "kind": "Conv2d", "shape": [64, 32, 32], "parameters": 1792},
    )

    def __init__(self, facts=jobs.NetworkFacts(**asdict(FACTS)), data_folders=(), kept=None):
        self.facts, self.data_folders, self.epochs = facts, data_folders, kept

    def network(self, run):
        return self.facts

    def network_layers(self, run):
        return list(self.sheet)

    def kept(self, run):
        return self.epochs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds the artefacts of two networks, one of them also after epoch 10, and the cache of decoded images."""
    root = tmp_path_factory.mktemp("compare")
    for run, file, seed in (("aaaa", "network.pt", 0), ("bbbb", "network.pt", 1), ("aaaa", "epoch_0010.pt", 2)):
        (root / run).mkdir(exist_ok=True)
        checkpoint.save(trained(root / "cache", seed), root / run / file, {})
    return root


@pytest.fixture
def context(folder):
    return jobground.context_of(folder)


def rows(configs, context):
    return jobground.rows_of(JOB, configs, context)


def test_the_rows_of_a_group_are_the_plain_measures_on_gathered_features(folder, context):
    """Every measure, in one group; the features are gathered apart, from the files."""
    asked_for = [config(measure=m, **(OUTPUTS if KNOWN[m].family == "outputs" else {})) for m in KNOWN if m != "cka_minibatch"]
    networks = [checkpoint.load(folder / run / "network.pt") for run in ("aaaa", "bbbb")]
    x, y = (features.gather(network, ["relu2", LOGITS], digits(folder / "cache")) for network in networks)
    for one, row in zip(asked_for, rows(asked_for, context), strict=True):
        said = asked(one.measure, one.front_layer, one.end_layer).chosen
        plain = measures.compare(one.measure, x, y, one.front_layer, **said)
        assert row.status == plain.status == "ok" and row.value == pytest.approx(plain.value, rel=2e-4, abs=1e-5), one.measure
        assert (row.null is None) == (plain.null is None), one.measure
        assert row.null_kind == plain.null_kind and (row.null_kind is None) == (row.null is None), one.measure
        assert row.null is None or row.null == pytest.approx(plain.null, rel=2e-4, abs=1e-5), one.measure
        assert (row.sample, row.images) == (x.sample, 150)


def test_a_row_tells_all_that_its_number_depends_on(context):
    flat, mapped, low, rbf, answers = rows(
        [
            config(),
            config(measure="procrustes", front_layer="bn4", align="pool"),
            config(front_rank=2, view="pool"),
            config(measure="cka_rbf", bandwidth=0.2),
            config(measure="agreement", **OUTPUTS),
        ],
        context,
    )
    assert (flat.view, flat.scale, flat.rows, flat.form) == ("flatten", "similarity", 150, "gram")
    assert (mapped.view, mapped.scale, mapped.rows, mapped.form) == ("channel", "distance", 150 * 4, "feature")
    assert "grids by pool" in mapped.convention and "view channel" in mapped.convention
    assert "f of rank 2" in low.convention and low.form == "feature"
    assert "bandwidth 0.2" in rbf.convention and "median_images=150" in rbf.details and rbf.form == "gram"
    assert answers.form == "sums" and "view" not in answers.convention
    assert all(f"n 150 · images {row.sample}" in row.convention for row in (flat, mapped, low, rbf, answers))
    assert len({row.convention for row in (flat, mapped, low, rbf, answers)}) == 5
    assert 0.5 < flat.front_accuracy <= 1 and 0.5 < flat.end_accuracy <= 1 and flat.front_accuracy != flat.end_accuracy
    assert flat.seconds > 0 and flat.null is not None and 0 < flat.null < flat.value


def test_the_convention_is_the_same_for_all_pairs_of_layers_and_another_for_other_images(context):
    one, two, other = rows([config(), config(front_layer="bn4")], context) + rows([config(image_seed=1)], context)
    assert one.convention == two.convention != other.convention and one.sample != other.sample


def test_a_row_is_the_same_alone_and_in_its_group(context):
    together = [config(), config(measure="rsa"), config(measure="cca"), config(measure="cka_debiased", front_layer="bn4")]
    for one, row in zip(together, rows(together, context), strict=True):
        (alone,) = rows([one], context)
        assert alone.value == pytest.approx(row.value, rel=1e-5) and alone.sample == row.sample and alone.form == row.form


def test_the_images_are_the_same_in_every_group_and_fewer_are_the_first_of_more(folder):
    some, more = digits(folder / "cache", 40), digits(folder / "cache", 150)
    assert torch.equal(some.images, more.images[:40])
    assert not torch.equal(some.images, digits(folder / "cache", 40, seed=1).images)


def test_a_network_is_itself_and_not_what_it_was_after_epoch_10(context):
    itself, earlier = (rows([config(end_network="aaaa", front_epoch=epoch)], context)[0] for epoch in (None, 10))
    assert itself.value == pytest.approx(1) and itself.front_accuracy == itself.end_accuracy
    assert earlier.value < 0.99 and earlier.end_accuracy == itself.end_accuracy


def test_an_epoch_that_was_not_kept_is_told_with_those_that_were(context):
    with pytest.raises(InputError, match=r"kept no network after epoch 7(.|\n)*kept: 10"):
        rows([config(front_epoch=7)], context)
    with pytest.raises(InputError, match=r"end_epoch(.|\n)*checkpoint_every"):
        rows([config(end_epoch=10)], context)


def test_what_is_undefined_is_a_row_without_a_value(context):
    defined, undefined = rows([config(images=3), config(images=3, measure="cka_debiased")], context)
    assert defined.value is not None and defined.status == "ok"
    assert undefined.value is None and undefined.null is None and undefined.outcome == "ok"
    assert undefined.status == "3 images, and debiasing takes 4" or "3 images" in undefined.status


def test_a_bootstrap_puts_an_interval_around_each_number(context):
    drawn = rows([config(measure=m, bootstrap=200) for m in ("cka_debiased", "procrustes", "cka_rbf", "rsa")], context)
    plain = rows([config(measure=m) for m in ("cka_debiased", "procrustes", "cka_rbf", "rsa")], context)
    for one, other in zip(drawn, plain, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-5) and (other.low, other.high) == (None, None)
        assert one.low < one.high and one.high - one.low < 0.5


def test_a_dry_run_takes_a_few_images(context):
    (row,) = rows([config(images=None)], replace(context, steps=1))
    assert row.images == 500
    ticks = []
    rows([config(measure="cka_rbf")], replace(context, report=lambda share, text: ticks.append(share)))
    assert ticks == sorted(ticks) and ticks[-1] == 1


def test_a_comparison_that_is_told_to_stop_leaves(context):
    with pytest.raises(Interrupted):
        rows([config()], replace(context, should_stop=lambda: True))


def test_training_images_can_be_compared_too(context):
    test, train = rows([config()], context) + rows([config(split="train")], context)
    assert test.sample != train.sample and test.value != train.value


def test_runs_of_one_pair_on_the_same_images_are_one_group():
    key = JOB.group_key(config())
    same = ({"measure": "rsa"}, {"front_layer": "bn4"}, {"view": "pool"}, {"front_rank": 2}, {"front_arch": "x", "end_seed": 4})
    other = ({"end_network": "cccc"}, {"images": 9}, {"image_seed": 1}, {"split": "train"}, {"bootstrap": 100}, {"end_epoch": 10})
    assert all(JOB.group_key(config(**fields)) == key for fields in same)
    assert all(JOB.group_key(config(**fields)) != key for fields in other)
    assert JOB.inputs(config()) == ["aaaa", "bbbb"]


def sized(*configs, device="cpu"):
    return JOB.hook("group_work")(configs, Catalog(), device)


def test_a_group_is_sized_by_the_operations_of_its_plan_and_of_both_networks():
    plan = JOB.hook("plan")([config()], Catalog(), "cpu")
    network = 2 * (64 * 4 + 1792 * 1024)  # bn4 at its 4 positions, huge at 1,024
    operations = plan.steps[0].flops + 150 * 2 * network
    assert sized(config()) == pytest.approx(operations / 2e10 + 0.002 + 1)
    assert sized(config(end_network="aaaa")) == pytest.approx((operations - 150 * network) / 2e10 + 0.002 + 1)
    wide = config(measure="cca", front_layer="huge", end_layer="huge", images=500)
    assert sized(wide) - sized(wide, device="cuda:0") > 0.99 * (sized(wide) - 1.002) > 0


def test_what_a_group_shares_is_sized_once():
    """Eight numbers of one core and one pair of layers: the first is paid for, of the others what is around them."""
    one = sized(config(measure="nbs", view="flatten"))
    shapes = [name for name in KNOWN if name == "nbs" or (name.startswith("procrustes") and KNOWN[name].view == "channel")]
    assert len(shapes) == 7
    assert sized(*(config(measure=name, view="flatten") for name in shapes)) == pytest.approx(one + 6 * 0.002)
    assert cost.works(JOB, [config(), config(measure="rsa")], Catalog(), "cpu") == [sized(config(), config(measure="rsa")) / 2] * 2
    assert sized(config(images=500, measure="rsa")) > sized(config(images=150, measure="rsa"))


def test_the_options_are_those_of_the_plain_functions():
    """Every option of a measure is a field of the job, with the same default, and a keyword of the function."""
    for name, known in KNOWN.items():
        function = measures.MEASURES[name]
        said = signature(function).parameters if not hasattr(function, "_options") else signature(function.__wrapped__).parameters
        for option in known.options:
            assert said[option].default == JOB.config.model_fields[option].default, (name, option)
    assert {option for known in KNOWN.values() for option in known.options} == set(rules.OPTIONS)


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"measure": "cak"}, "did you mean 'cka'"),
        ({"bandwidth": 0.2}, "bandwidth: the measure cka has none"),
        ({"measure": "cka_rbf", "ridge": 0.1}, "ridge: the measure cka_rbf has none"),
        ({"measure": "rsa", "statistic": "median"}, "statistic"),
        ({"measure": "agreement"}, "front_layer: agreement compares logits with logits"),
        ({"measure": "agreement", **OUTPUTS, "view": "pool"}, "view: agreement compares logits as they are"),
        ({"measure": "agreement", **OUTPUTS, "end_rank": 2}, "end_rank"),
        ({"bootstrap": 50}, "bootstrap: an interval wants at least 100 draws"),
        ({"bootstrap": 100, "view": "position"}, "bootstrap: the mean over positions has no interval"),
        ({"view": "flat"}, "view"),
        ({"align": "stretch"}, "align"),
        ({"front_rank": 0}, "front_rank"),
        ({"images": 1}, "images"),
        ({"measure": "cka_minibatch", "batch": 3}, "batch"),
        ({"measure": "shape", "alpha": 1.5}, "alpha"),
        ({"measure": "svcca", "variance": 0.0}, "variance"),
        ({"front_network": "../x"}, "front_network"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_name_of_its_field(fields, named):
    with pytest.raises(ValidationError, match=named):
        config(**fields)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"dataset": "digit"}, "did you mean 'digits'"),
        ({"dataset": "cifar10"}, "'cifar10' was not found"),
        ({"dataset": "digits32", "images": None}, "'digits32' does not fit a network made for mcnn of width 4"),
        ({"images": 501}, "501 of 500 test images of 'digits' are wanted"),
        ({"front_layer": "relu3"}, r"front_layer: there is no layer 'relu3'(.|\n)*did you mean 'relu2'"),
        ({"end_layer": "logit"}, "did you mean 'logits'"),
        ({"view": "class"}, "has no tokens"),
        ({"view": "channel", "end_layer": "bn4"}, "other grids"),
        ({"measure": "rsa", "view": "channel"}, "rsa compares images, and view channel makes 64 rows of each"),
        ({"front_rank": 9}, r"9 principal components(.|\n)*choose 1 to 8"),
        ({"measure": "l2", "end_layer": "bn4"}, "rows have 512 and 128 values"),
        ({"measure": "cca", "view": "flatten", "front_layer": "huge"}, "second moments of 65,536 values"),
        ({"measure": "cca", "view": "channel", "end_layer": LOGITS}, r"relu2 × logits · view: .* no positions in common"),
    ],
)
def test_what_cannot_run_is_found_before_it_is_sent(fields, message):
    with pytest.raises(InputError, match=message):
        JOB.hook("check")(config(**fields), Catalog())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"end_layer": LOGITS},
        {"measure": "cca", "end_layer": "bn4", "align": "bilinear"},
        {"measure": "wreath_cka", "end_layer": "bn4"},
        {"end_layer": "tokens"},
        {"measure": "procrustes", "view": "pool", "end_layer": "tokens"},
        {"measure": "procrustes", "view": "class", "front_layer": "tokens", "end_layer": "tokens"},
        {"front_layer": "huge", "end_layer": "huge"},
        {"align": "pool"},
        {"measure": "agreement", **OUTPUTS},
    ],
)
def test_what_can_be_compared_is_let_through(fields):
    JOB.hook("check")(config(**fields), Catalog())


@pytest.mark.parametrize(
    ("kept", "advice"), [(range(5, 11, 5), "kept: 5, 10"), ((), "checkpoint_every"), (range(1, 99), "19, 20, …$")]
)
def test_an_epoch_that_will_not_be_kept_is_found_before_the_training_is_sent(kept, advice):
    with pytest.raises(InputError, match=rf"end_epoch: the network is not kept after epoch 99\n.*{advice}"):
        JOB.hook("check")(config(end_epoch=99), Catalog(kept=kept))
    JOB.hook("check")(config(end_epoch=99), Catalog(kept=None))
    JOB.hook("check")(config(end_epoch=10), Catalog(kept=[*kept, 10]))


def test_a_sweep_over_more_epochs_than_are_trained_says_so_in_its_file(tmp_path):
    text = (ROOT / "sweeps" / "digits_over_training.yaml").read_text()
    path = tmp_path / "longer.yaml"
    path.write_text(text.replace("1..12", "1..13"))
    assert path.read_text() != text
    with pytest.raises(InputError, match=r"longer\.yaml(.|\n)*front_epoch: the network is not kept after epoch 13"):
        open_sweep(path, Project(ROOT))


def test_kendall_is_refused_before_it_would_take_minutes():
    images = rules.KENDALL_IMAGES
    assert images * (images - 1) // 2 <= ranks.KENDALL_PAIRS < (images + 1) * images // 2
    asked_for = {"dataset": "digits", "measure": "rsa", "comparison": "kendall", "split": "train"}
    rules.check_images(config(**asked_for, images=None), sources.get("digits"))
    with pytest.raises(InputError, match="kendall compares all pairs of images"):
        rules.check_images(config(**asked_for, images=None), replace(sources.get("digits"), train_images=images + 1))


def test_an_alignment_that_changes_nothing_is_left_out_of_the_request():
    assert rules.request(config(measure="cca", align="pool"), (8, 8, 8), (4, 8, 8)).align is None
    assert rules.request(config(measure="cca", align="pool"), (8, 8, 8), (4, 4, 4)).align == "pool"
    assert rules.request(config(align="pool"), (8, 8, 8), (4, 4, 4)).align is None


def test_a_plan_is_made_without_networks_and_is_the_one_that_runs(context):
    configs = [config(), config(measure="cca"), config(measure="rsa", front_layer="bn4")]
    plan = JOB.hook("plan")(configs, Catalog(), "cpu")
    assert [line.split(":")[0] for line in plan.lines()] == [
        "linear · flatten · gram",
        "moments · channel · feature",
        "pairs · flatten · gram",
    ]
    assert {row.form for row in rows(configs, context)} == set(plan.forms.values())


def test_what_changes_no_number_changes_no_id():
    assert id_of(JOB, config()) == id_of(JOB, config(bandwidth=0.5, front_seed=3))
    assert id_of(JOB, config()) != id_of(JOB, config(view="flatten"))


def test_every_field_and_every_column_is_explained():
    for model in (JOB.config, JOB.row):
        assert all(field.description for field in model.model_fields.values()), model


def test_the_engine_gives_a_row_what_it_found(folder, context):
    (row,) = rows([config(measure="svcca")], context)
    front, end = (checkpoint.load(folder / run / "network.pt") for run in ("aaaa", "bbbb"))
    request = asked("svcca", "relu2", "relu2")
    found = engine.compare(Pair(front, end), digits(folder / "cache"), [request], Sample(150)).found[request]
    assert row.details == ", ".join(f"{name}={value:.6g}" for name, value in found.details.items()) != ""
    assert row.value == found.value


def test_a_sweep_compares_logits_beside_layers_and_checkpoints_of_one_training(project):
    text = "job: compare\nzoo: {arch: net, dataset: d, seeds: 0..1}\n"
    grid = "layers: {front: [relu, logits], end: [relu, logits]}\nfixed: {measure: cka}\n"
    found = [run.config for run in toy.sweep(project, text + grid).runs]
    names = ["relu1", "relu2", "logits"]
    assert [(c.front_layer, c.end_layer) for c in found[:9]] == [(one, other) for one in names for other in names]
    own = "pairs: self\nlayers: relu2\nfixed: {measure: cka}\ngrid: {front_epoch: [10, 20]}\n"
    found = [run.config for run in toy.sweep(project, text + own).runs]
    assert [(c.front_epoch, c.front_seed, c.end_seed) for c in found] == [(10, 0, 0), (20, 0, 0), (10, 1, 1), (20, 1, 1)]
    with pytest.raises(SpecError, match=r"has no layer 'logit'(.|\n)*did you mean 'logits'"):
        toy.sweep(project, text + "layers: logit\nfixed: {measure: cka}")
    with pytest.raises(SpecError, match="has no layer 'logits'"):
        toy.sweep(project, text.replace("compare", "stitch") + "layers: logits")


def test_no_cell_of_a_table_is_the_mean_of_two_measures(project):
    text = "zoo: {arch: net, dataset: d, seeds: 0..1}\nlayers: {front: relu, end: relu, combine: all}\n"
    sweep = toy.sweep(project, f"job: compare\n{text}grid: {{measure: [cka, rbf]}}")
    for keys in (["front_layer", "measure"], ["measure", "end_layer"]):
        shown.refuse_mixed(sweep, keys)
    with pytest.raises(UserError, match=r"the mean of cka and rbf\n.*name measure among its rows or columns"):
        shown.refuse_mixed(sweep, ["front_layer", "end_layer"])
    apart = [run for run in sweep.runs if (run.config.measure == "cka") == (run.config.end_layer == "relu1")]
    shown.refuse_mixed(replace(sweep, runs=tuple(apart)), ["front_layer"])  # shown as relu1 and relu1→relu2
    with pytest.raises(UserError, match="the mean of"):
        shown.refuse_mixed(replace(sweep, runs=tuple(apart)), ["front_seed"])
    shown.refuse_mixed(toy.sweep(project, text), ["front_layer"])
    cases = toy.sweep(project, f"job: compare\n{text}cases: {{a: {{measure: [cka, rbf]}}, b: {{measure: rbf, bandwidth: 0.2}}}}")
    shown.refuse_mixed(cases, ["case", "front_layer"])


def test_the_table_of_a_sweep_of_comparisons_has_layers_and_measures(project):
    text = "job: compare\nzoo: {arch: net, dataset: d, seeds: 0..1}\nlayers: relu\n"
    measured = toy.sweep(project, text + "grid: {measure: [cka, rbf]}")
    assert shown.table_of(measured) == {"rows": ["front_layer"], "cols": ["measure"], "value": "value"}
    cases = toy.sweep(project, text + "cases: {a: {measure: cka}, b: {measure: rbf, bandwidth: [0.2, 0.5]}}")
    assert shown.table_of(cases)["cols"] == ["case"]


def test_comparisons_take_no_less_than_their_plan():
    assert cost.least(JOB) == 1.0 and cost.least(jobs.load(JOB.path.parent, "evaluate")) == 0.0
