"""The methods text of a report says of every kind of sweep what a reader needs to repeat it, from configurations and rows."""

from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pandas as pd
import pytest
import stitch_frames

from repsim import job as jobs
from repsim import table as tables
from repsim.models.recipes import RECIPES
from repsim.probing.ood_fields import Kind
from repsim.report.page import (
    citations,
    comparewords,
    controlwords,
    jobwords,
    methods,
    numbers,
    saying,
    statwords,
    stitchwords,
    trainwords,
)
from repsim.similarity import convention
from repsim.similarity.known import KNOWN
from repsim.similarity.known import View as Views
from repsim.similarity.request import Request, Value
from repsim.stitching.config_fields import Control
from repsim.table import TableDefinition

ROOT = Path(__file__).parents[2]
PAIR = {"front_network": "a", "end_network": "b", "dataset": "digits", "front_layer": "bn1", "end_layer": "bn1"}
ALONE = {"network": "a", "dataset": "digits"}


def config_of(name, **fields):
    return jobs.load(ROOT / "jobs", name).config.model_validate(fields)


def told(name, *fields, **columns) -> str:
    """What is said of an experiment of these configurations."""
    configs = [config_of(name, **one).model_dump() for one in fields]
    sweep = SimpleNamespace(spec=SimpleNamespace(job=name))
    data = {"size": {"networks": 6, "pairs": 15, "layers": ["bn1", "bn2"], "datasets": ["digits"]}}
    said = " ".join(methods._experiment(sweep, data, configs, pd.DataFrame(columns)))  # pyright: ignore[reportArgumentType]
    assert all(ord(letter) < 0x250 or letter in "–’" for letter in methods.latex(said).replace("–", "--"))
    return citations.in_words(said)


def key(measure, images=2000, view=None, align=None, options=()):
    asked = Request(measure, Value("bn1"), Value("bn1"), view or KNOWN[measure].view, align, options)
    return convention.key(asked, images, "0123456789abcdef")


def said_of(measures, keys) -> str:
    return citations.in_words(" ".join(comparewords.told(measures, keys)))


def test_every_measure_has_a_name_and_every_view_and_control_its_words():
    assert comparewords.NAMES.keys() == KNOWN.keys()
    assert comparewords.VIEWS.keys() == set(get_args(Views))
    assert controlwords.CONTROLS.keys() == set(get_args(Control))
    assert {key for name in KNOWN for key in citations.of_measure(name)} <= citations.entries().keys()


@pytest.mark.parametrize("measure", KNOWN)
def test_the_convention_of_every_measure_is_told_without_its_images(measure):
    said = said_of([measure], [key(measure)])
    assert f"{measure} is {comparewords.NAMES[measure]}" in said and convention.ESTIMATORS[measure] in said
    assert "0123456789abcdef" not in said and "Conventions differ" not in said
    assert all(ord(letter) < 0x250 or letter in "–’" for letter in methods.latex(said).replace("–", "--"))
    assert ("Arithmetic: fp32 products, fp64 sums." in said) == (KNOWN[measure].family != "outputs")


def test_what_sets_conventions_of_one_measure_apart_is_said():
    keys = [key("cka_rbf", options=(("bandwidth", width),)) for width in (0.2, 0.4)]
    said = said_of(["cka_rbf"], keys)
    assert "(Kornblith et al. 2019)" in said and "; bandwidth 0.2 and 0.4; view flatten." in said
    assert "Conventions differ (cka_rbf in bandwidth); only numbers of equal conventions are comparable." in said
    assert "(cka in view)" in said_of(["cka"], [key("cka"), key("cka", view="channel")])
    assert "(cka in number of images)" in said_of(["cka"], [key("cka"), key("cka", images=100)])


def test_equal_grids_need_no_alignment_so_that_makes_no_other_convention():
    said = said_of(["cca"], [key("cca"), key("cca", align="pool")])
    assert "differ" not in said and "brought to the smaller one by pool" in said
    assert "Views: channel, one row per image and position, one column per channel." in said


def test_measures_without_rows_say_that_their_convention_is_not_told_yet():
    assert said_of(["cka"], []) == "cka is linear CKA (Kornblith et al. 2019): its convention is told by finished rows."


def test_images_nulls_intervals_and_controls_of_comparisons_are_said():
    config = {"split": "test", "images": 2000, "image_seed": 3, "bootstrap": 1000, "control_seed": 0}
    configs = [config | {"control": None}, config | {"control": "untrained"}]
    assert comparewords.images(configs, "CIFAR-10", [2000]) == (
        "Data: CIFAR-10; 2,000 images of the test split, drawn by seed 3, the same for both networks."
    )
    null, interval = comparewords.chances(configs, ["closed form"])
    assert "the mean of the measure over all orders" in null and "1,000 draws" in interval
    (said,) = controlwords.controls(configs)
    assert "untrained, f's architecture with weights drawn anew and never trained [@bansal2021] (seed 0)" in said
    assert not list(controlwords.controls(configs[:1]))


def test_half_goes_up_as_people_round():
    assert [saying.half_up(one) for one in (0.7825, 0.7667, 0.0005, 0.99949)] == ["0.783", "0.767", "0.001", "0.999"]


def test_values_of_a_column_that_is_not_stored_are_none():
    assert methods._values(pd.DataFrame(), "convention") == []
    assert methods._values(pd.DataFrame({"null_kind": ["shifted", None, "shifted"]}), "null_kind") == ["shifted"]


def test_a_probe_is_told_with_its_fit_its_choice_and_what_stands_beside_it():
    layer = ALONE | {"layer": "bn1"}
    said = told("probe", layer | {"rank": 2}, layer | {"fit": "sgd", "epochs": 20, "lr": 0.01}, used_view=["pool", "pool"])
    assert "(Alain & Bengio 2016). 2 layers of 6 networks are probed (bn1 and bn2)." in said
    assert "rank 2 or stays as it is." in said and "by pool (channels averaged over positions)." in said
    assert "ridge regression of one-hot labels; validation images choose λ from 1e-8 to 100" in said
    assert "20 epochs; optimizer adam; lr 0.01; schedule constant; batch size 256; the last epoch counts." in said
    assert "shuffled labels" in said and "1,000 more to choose λ" in said


def test_ways_to_judge_a_lost_rank_are_told_one_by_one():
    task = PAIR | {"measure": "task", "rank": 4, "epochs": 5}
    others = [PAIR | {"measure": name, "rank": 1} for name in ("matched", "probe", "nbs")]
    said = told("low_rank", task, *others, convention=[key("nbs"), *["test accuracy of the stitched network"] * 3])
    assert "15 pairs of networks (2 layers: bn1 and bn2) are judged by task, matched, probe and nbs" in said
    assert "rank 1 to 4." in said and "5 epochs; lr 0.001; weight decay 1e-05; batch size 256; validation images" in said
    assert "matched is the same accuracy with the least-squares S" in said and "(Alain & Bengio 2016)" in said
    assert f"nbs is normalised Bures similarity: {convention.ESTIMATORS['nbs']}; view channel." in said


def test_a_rotation_is_told_with_its_control_and_its_retraining():
    layer = ALONE | {"layer": "bn1"}
    said = told("rotate", layer | {"matrix": "g_relu"}, layer | {"matrix": "orthogonal", "matrix_seed": 1})
    assert "(Godfrey et al. 2022)" in said and "uniform (Haar); 2 seeds, σ = 1." in said
    assert "50 epochs; optimizer adam; lr 0.001; weight decay 0.0001; schedule quarters; batch size 32; augment crop_flip" in said
    assert "momentum" not in said and "nothing inserted (the control)" in said and "never on test images" in said
    assert "momentum 0.9" in told("rotate", layer | {"matrix": "orthogonal", "optimizer": "sgd"})


def test_scores_of_networks_are_told_with_their_attacks():
    clean = told("evaluate", ALONE, test_images=[500])
    assert "500 test images" in clean and "(Guo et al. 2017)" in clean and "Attacks" not in clean
    said = told("evaluate", ALONE | {"attack": "pgd", "epsilon": "8/255", "attack_steps": 20, "restarts": 2})
    assert "by 0.0314 at most (L∞); pgd: 20 steps of 0.00784, 2 restarts, start uniform." in said


def test_detectors_are_told_with_their_classifier_and_their_checks():
    base = PAIR | {"stitcher": "linear", "epochs": 1}
    configs = [config_of("ood", **base, detector=one).model_dump() for one in get_args(Kind)]
    said = citations.in_words(" ".join(jobwords.detectors(configs, ["auroc", "fpr95"])))
    for source in ("Liu et al. 2020", "Hendrycks & Gimpel 2017", "Lee et al. 2018", "Ren et al. 2021"):
        assert f"({source})" in said
    assert "10 epochs of Adam" in said and "margins -25 (native) and -7 (outliers)" in said and "(noise; must be near 1)" in said
    assert "AUROC is the chance" in said and "FPR95 is the share" in said and "AUPR" not in said
    assert jobwords.JUDGES.keys() == set(get_args(Kind)) and trainwords.SOURCES.keys() <= RECIPES.keys()


def test_trainings_are_told_once_each_as_their_recipes_resolve():
    train = jobs.load(ROOT / "jobs", "train")
    given = {"dataset": "digits", "recipe": "quick", "epochs": 3, "validation": 100}
    some = [config_of("train", arch="mcnn", **given, seed=seed) for seed in (0, 1)]
    robust = config_of("train", arch="mcnn", **given, adversary="trades", label_noise=0.5)
    first, second, noise, last = map(citations.in_words, trainwords.trainings([*some, robust], train.module.chosen))
    assert first == (
        "mcnn: trained by the recipe quick, 3 epochs, optimizer sgd with Nesterov momentum 0.9, lr 0.1, weight decay 0.0005, "
        "schedule one_cycle, batch size 64, label smoothing 0.1."
    )
    assert "adversarial training trades (Zhang et al. 2019)" in second and "0.5 of the training labels" in noise
    assert last.startswith("The last epoch counts; learning curves are of 100 held-out training images")


def test_the_job_of_another_project_is_told_by_its_own_words():
    sweep = SimpleNamespace(spec=SimpleNamespace(job="probe"))
    data = {"size": {"networks": 1, "pairs": 0, "layers": [], "datasets": []}}
    assert not list(methods._experiment(sweep, data, [{"steps": 1}], pd.DataFrame()))  # pyright: ignore[reportArgumentType]


RING = ((0, 1), (1, 2), (2, 0))


def statistics(pairs, **said):
    """What is said of a table of penalties over these pairs."""
    expected = stitch_frames.expected_runs(pairs=pairs)
    rows = stitch_frames.finished(expected, lambda run: 0.01 * run["front_seed"] + 0.001 * run["end_seed"] * len(run["case"]))
    return " ".join(statwords.statistics([numbers.entry(tables.build(TableDefinition(**said), rows, expected), "penalty")]))


def test_methods_speak_of_pairs_that_share_networks_only_where_some_do():
    assert "disjoint pairs" in statistics(stitch_frames.DISJOINT) and "share" not in statistics(stitch_frames.DISJOINT)
    assert "jackknife over 3 networks" in statistics(RING)
    assert "[@arvesen1969,efron1993]: pairs that share a network are not independent." in statistics(RING)


def test_methods_name_the_spread_that_tables_show_with_its_own_sources():
    said = statistics(RING, spread="bootstrap")
    assert "bootstrap draws of 3 networks" in said and "[@snijders1999,owen2012,hesterberg2015]" in said and "arvesen" not in said
    said = statistics(RING, spread="std")
    assert "with their standard deviation." in said and "interval" not in said


def test_methods_tell_the_test_of_a_comparison_its_adjustment_and_its_effect_size():
    said = statistics(RING, compare=["linear", "birkhoff"])
    assert "Compared are linear with birkhoff" in said and "sign flips" not in said
    assert all(f"[@{key}]" in said for key in ("arvesen1969", "holm1979", "hedges1981"))
    assert "an exact p over all sign flips" in statistics(stitch_frames.DISJOINT, compare=["linear", "birkhoff"])
    assert "Compared" not in statistics(RING)


def test_every_work_that_can_be_cited_has_an_entry():
    assert citations.SHORT.keys() == citations.entries().keys()


def test_what_a_stitching_job_of_another_project_does_not_say_is_not_told():
    configs = [{"stitcher": "linear", "init": "random", "epochs": 1, "lr": 0.1, "front_layer": "a", "end_layer": "a"}]
    said = [*stitchwords.stitched(configs, 1, ["a"]), *stitchwords.training({"lin": configs})]
    assert len(said) == 2 and said[1] == "Trained stitchers: 1 epoch; lr 0.1."
    other = [{**configs[0], "batchnorm": "renewed", "target": "hard", "select": "first"}]
    said = " ".join([*stitchwords.stitched(other, 1, ["a"]), *stitchwords.training({"lin": other})])
    assert "Renewed." in said and "They learn from the cross-entropy of the labels. first." in said
