"""The low-rank job: every way gives what the job of its own gives, ranks take away what they must, and its rows fill heat maps."""

from dataclasses import replace
from pathlib import Path

import jobground
import pytest
import similarity_networks
from pydantic import ValidationError

from repsim import job as jobs
from repsim.errors import InputError, Interrupted
from repsim.matrix import Number
from repsim.models import checkpoint

JOBS = Path(__file__).parents[2] / "jobs"
JOB, STITCH, COMPARE, PROBE = (jobs.load(JOBS, name) for name in ("low_rank", "stitch", "compare", "probe"))
PAIR = {"front_network": "aaaa", "end_network": "bbbb", "dataset": "digits", "front_layer": "relu2", "end_layer": "relu2"}
IMAGES = {"train_images": 300, "validation_images": 200}


def config(**fields):
    return JOB.config(**{**PAIR, **IMAGES, "measure": "matched", **fields})


class Catalog:
    """What a plan offers to a job's check."""

    data_folders = ()

    def __init__(self, front=(8, 4, 4), end=(8, 4, 4)):
        shapes = {"relu2": list(front), "relu3": list(end)}
        self.sheet = [{"name": name, "shape": shape, "parameters": 9, "beside": []} for name, shape in shapes.items()]

    def network(self, run):
        return jobs.NetworkFacts("mcnn", 4, 10, 1, 8)

    def network_layers(self, run):
        return self.sheet


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("low_rank")
    for run, seed in (("aaaa", 1), ("bbbb", 2)):
        (root / run).mkdir()
        checkpoint.save(similarity_networks.trained(root / "cache", seed), root / run / "network.pt", {})
    return root


@pytest.fixture
def context(folder):
    return jobground.context_of(folder)


def rows(job, configs, context):
    return jobground.rows_of(job, configs, context)


def about(accuracy):
    """The same but for one of the 500 images: sums in another order may move one that lies on the border."""
    return pytest.approx(accuracy, abs=0.0021)


@pytest.mark.parametrize("rank", [None, 2])
def test_each_way_gives_what_the_job_of_its_own_gives(rank, context):
    ways = ["task", "matched", "probe", "cka", "pwcca", "nbs"]
    asked = [config(measure=way, rank=rank, **({"epochs": 2, "init": "ps_inv"} if way == "task" else {})) for way in ways]
    task, matched, probe, *similar = rows(JOB, asked, context)
    stitches = [{"init": "ps_inv", "epochs": 2, "weight_decay": 1e-5}, {"init": "matched"}]
    common = {**PAIR, **IMAGES, "stitcher": "linear", "batch_size": 256, "front_stitch_rank": rank}
    trained, direct = rows(STITCH, [STITCH.config(**common, **fields) for fields in stitches], context)
    assert (task.value, task.residual) == (about(trained.accuracy), pytest.approx(trained.residual, rel=1e-5))
    assert (matched.value, matched.null) == (about(direct.accuracy), about(direct.null_accuracy)) and task.null is None
    assert (task.front_accuracy, task.end_accuracy, task.images) == (direct.front_accuracy, direct.end_accuracy, 500)
    (alone,) = rows(PROBE, [PROBE.config(network="aaaa", dataset="digits", layer="relu2", rank=rank, **IMAGES)], context)
    explained = pytest.approx(alone.explained)
    assert (probe.value, probe.null, probe.explained) == (about(alone.accuracy), about(alone.null_accuracy), explained)
    compared = [COMPARE.config(**PAIR, measure=way, front_rank=rank) for way in ways[3:]]
    for mine, theirs in zip(similar, rows(COMPARE, compared, context), strict=True):
        assert (mine.value, mine.convention, mine.scale) == (pytest.approx(theirs.value, rel=1e-5), theirs.convention, theirs.scale)


def test_a_layer_is_nearest_to_itself_and_less_so_at_lower_ranks(context):
    ranks = [1, 2, 4, 8]
    own = {"end_network": "aaaa"}
    found = rows(JOB, [config(measure=way, rank=rank, **own) for way in ("matched", "cka", "nbs") for rank in ranks], context)
    for way in range(3):
        values = [row.value for row in found[4 * way : 4 * way + 4]]
        assert values == sorted(values), values
    assert found[3].value == found[3].front_accuracy and found[3].residual == pytest.approx(0, abs=1e-6)
    assert found[7].value == pytest.approx(1) and found[11].value == pytest.approx(1)
    residuals = [row.residual for row in found[:4]]
    assert residuals == sorted(residuals, reverse=True)


def test_a_rank_takes_away_exactly_the_variance_that_it_does_not_explain(context):
    """S(f) of the layer itself at rank r can be no nearer than the best rank-r approximation."""
    (row,) = rows(JOB, [config(rank=3, end_network="aaaa", train_images=1000)], context)
    (probe,) = rows(JOB, [config(rank=3, measure="probe", train_images=1000)], context)
    assert row.residual == pytest.approx(1 - probe.explained, abs=0.01)


def test_other_grids_meet_by_resizing(context):
    asked = [config(measure=way, end_layer="relu3", resize="bilinear") for way in ("matched", "pwcca")]
    asked += [config(resize="bilinear"), config()]
    matched, similar, *same = rows(JOB, asked, context)
    assert same[0].value == same[1].value and 0.1 < matched.value < 1 and 0 < similar.value < 1


def test_rows_have_all_that_a_heat_map_and_an_identity_score_read():
    assert {*Number._fields, "scale", "images", "convention"} <= JOB.row.model_fields.keys()


def test_a_dry_run_is_short_and_one_that_is_told_to_stop_leaves(context):
    ticks = []
    short = replace(context, steps=1, report=lambda fraction, text: ticks.append(text))
    asked = [config(measure="task", epochs=9), config(), config(measure="probe"), config(measure="cka")]
    assert len(rows(JOB, asked, short)) == 4 and len(ticks) < 60
    with pytest.raises(Interrupted):
        rows(JOB, asked, replace(context, should_stop=lambda: True))


def test_a_training_that_diverges_says_so_and_costs_only_itself(context):
    wild, matched = rows(JOB, [config(measure="task", lr=100.0, epochs=3, weight_decay=1.0), config()], context)
    assert matched.outcome == "ok" and matched.value is not None
    assert wild.outcome == "ok" or (wild.value is None and wild.status == "the training diverged")


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"measure": "ckaa"}, "there is no measure 'ckaa': did you mean 'cka"),
        ({"measure": "agreement"}, "there is no measure 'agreement'"),
        ({"epochs": 3}, "epochs: only the measure task trains"),
        ({"measure": "cka", "init": "eye"}, "init: only the measure task trains"),
        ({"view": "pool"}, "view: matched maps the channels"),
        ({"measure": "probe", "view": "channel"}, "view: a probe reads pool, class, mean, flatten"),
        ({"measure": "cka", "resize_at": "post"}, "resize_at: only stitchers have it"),
        ({"resize_at": "post"}, "resize_at: nothing is resized"),
        ({"measure": "probe", "validation_images": 0}, "validation_images: probe chooses by them"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_name_of_its_field(fields, named):
    with pytest.raises(ValidationError, match=named):
        config(**fields)


@pytest.mark.parametrize(
    "fields, catalog, message",
    [
        ({"rank": 9}, Catalog(), "9 principal components are wanted of a layer of shape"),
        ({"end_layer": "relu4"}, Catalog(), "did you mean 'relu3'"),
        ({"end_layer": "relu3"}, Catalog(end=(8, 2, 2)), "resize"),
        ({"end_layer": "relu3", "measure": "pwcca"}, Catalog(end=(8, 2, 2)), "other grids"),
        ({"test_images": 501}, Catalog(), "501 of 500 test images"),
    ],
)
def test_what_cannot_run_is_found_before_it_is_sent(fields, catalog, message):
    with pytest.raises(InputError, match=message):
        JOB.hook("check")(config(**fields), catalog)


def test_layers_ranks_and_ways_are_one_group_and_a_training_is_most_of_the_work():
    key = JOB.group_key(config())
    for fields in ({"measure": "task", "epochs": 3}, {"measure": "cka"}, {"rank": 2}, {"end_layer": "bn1"}):
        assert JOB.group_key(config(**fields)) == key
    assert JOB.group_key(config(test_images=9)) != key
    work = JOB.hook("work")
    assert (work(config()), work(config(measure="task", epochs=3))) == (500, 3 * 500 + 500)


def test_every_field_and_every_column_is_explained():
    for model in (JOB.config, JOB.row):
        assert all(field.description for field in model.model_fields.values()), model
