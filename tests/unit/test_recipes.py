"""Recipes and the course of the learning rate."""

from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
import torch

from repsim.data import augmentations
from repsim.errors import InputError
from repsim.models import recipes, schedules
from repsim.models.recipes import FAST, RECIPES
from repsim.models.zoo import ARCHITECTURES


def test_a_misspelt_recipe_is_answered_with_the_nearest_name():
    with pytest.raises(InputError) as error:
        recipes.choose("modelsim")
    assert error.value.do == "did you mean 'modelsym'?"


def test_a_recipe_keeps_its_own_values_where_none_is_given():
    chosen = recipes.choose("frankenstein", epochs=3, lr=0.5, ema=None)
    assert chosen == replace(RECIPES["frankenstein"], epochs=3, lr=0.5)
    assert recipes.choose("frankenstein", "resnet20") == RECIPES["frankenstein"]


def test_a_value_of_zero_takes_a_part_of_a_recipe_away():
    chosen = recipes.choose("fast", ema=0.0, label_smoothing=0.0)
    assert (chosen.ema, chosen.label_smoothing) == (0, 0)


@pytest.mark.parametrize(
    ("archs", "changes"),
    [
        (("resnet20", "resnet56_b"), recipes.SMALL_RESIDUAL),
        (("mcnn", "tiny10"), recipes.SMALL_PLAIN),
        (("mcnn_nobn", "mcnn_sigmoid", "vgg16", "tv_vgg11", "lenet"), recipes.WITHOUT_NORMS),
        (("vit_tiny", "robust_vit", "cct_7_3x1"), recipes.TRANSFORMER),
        (("resnet18", "vgg16_bn", "preactresnet18", "wide_resnet_28_10", "allcnn_v2"), {}),
    ],
)
def test_fast_is_made_for_the_family_of_the_architecture_and_what_is_given_stands_above(archs, changes):
    for arch in archs:
        assert recipes.choose("fast", arch, epochs=7) == replace(RECIPES["fast"], **{**changes, "epochs": 7})
        assert recipes.choose("quick", arch) == RECIPES["quick"]


def test_every_pattern_of_fast_is_that_of_an_architecture():
    for pattern, changes in FAST.items():
        archs = [arch for arch in ARCHITECTURES if fnmatchcase(arch, pattern)]
        assert archs and any(recipes.choose("fast", arch) == replace(RECIPES["fast"], **changes) for arch in archs), pattern


@pytest.mark.parametrize("recipe", [*RECIPES.values(), *(replace(RECIPES["fast"], **changes) for changes in FAST.values())])
def test_every_recipe_names_what_there_is(recipe):
    assert recipe.augment in augmentations.NAMES
    assert recipe.schedule in schedules.SCHEDULES


def test_the_published_settings_are_those_of_the_systems():
    a, b, c, d, e = (RECIPES[name] for name in ("frankenstein", "madry", "modelsym", "stitching_ood", "allcnn"))
    assert (a.epochs, a.batch_size, a.lr, a.momentum, a.weight_decay, a.schedule) == (300, 128, 0.1, 0.9, 1e-4, "thirds")
    assert b == replace(a, adversary="madry")
    assert (b.epsilon, b.attack_step, b.attack_steps, b.attack_ratio) == (8 / 255, 2 / 255, 10, 1.0)
    assert (c.epochs, c.batch_size, c.optimizer, c.lr, c.weight_decay, c.decays) == (50, 32, "adam", 1e-3, 1e-4, "weights")
    assert (d.epochs, d.batch_size, d.optimizer, d.lr, d.weight_decay, d.schedule) == (100, 64, "adam", 1e-3, 1e-5, "constant")
    assert (e.epochs, e.batch_size, e.lr, e.augment, e.clip) == (350, 128, 0.1, "crop_flip_cutout", 2.0)


def test_an_attack_counts_as_so_many_passes():
    assert recipes.passes(RECIPES["frankenstein"]) == 1
    assert recipes.passes(RECIPES["madry"]) == 11
    assert recipes.passes(replace(RECIPES["madry"], attack_ratio=0.5)) == 6
    assert recipes.passes(replace(RECIPES["madry"], adversary="trades")) == 12


@pytest.mark.parametrize(
    ("recipe", "asked", "said"),
    [
        ("frankenstein", "epsilon", "has no meaning without an adversary"),
        ("madry", "beta", "is of adversary 'trades'"),
        ("modelsym", "momentum", "is of optimizer 'sgd'"),
    ],
)
def test_a_value_that_changes_nothing_is_refused(recipe, asked, said):
    with pytest.raises(InputError, match=said):
        recipes.refuse_idle(RECIPES[recipe], ["epochs", asked])
    recipes.refuse_idle(RECIPES[recipe], ["epochs", "lr"])


def test_share_to_attack_of_less_than_one_image_is_refused():
    few = recipes.choose("madry", attack_ratio=0.003, batch_size=100)
    with pytest.raises(InputError, match=r"attack_ratio 0.003 of a batch of 100 attacks no image"):
        recipes.refuse_idle(few, ["attack_ratio"])
    recipes.refuse_idle(recipes.choose("madry", attack_ratio=0.01, batch_size=100), ["attack_ratio"])


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 50, 51])
def test_quarters_is_pytorchs_step_schedule_of_the_published_code(epochs):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=max(1, int(epochs / 4)), gamma=0.5)
    for epoch in range(epochs):
        assert schedules.quarters(epoch + 0.99, epochs) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


def test_thirds_divides_by_ten_at_one_third_and_two_thirds():
    recipe = RECIPES["frankenstein"]
    rates = [recipes.rate(recipe, epoch + 0.5) for epoch in range(300)]
    assert rates == pytest.approx([0.1] * 100 + [0.01] * 100 + [0.001] * 100)


def test_one_cycle_rises_for_a_quarter_and_falls_to_zero():
    assert [schedules.one_cycle(t, 8) for t in (0, 1, 2, 5, 8)] == pytest.approx([0, 0.5, 1, 0.5, 0])


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_no_rate_is_negative_or_above_the_recipes(recipe):
    rates = [recipes.rate(recipe, step * recipe.epochs / 500) for step in range(500)]
    assert min(rates) >= 0 and max(rates) <= recipe.lr * (1 + 1e-12)


def test_late_divides_by_ten_after_200_250_and_300_of_350_epochs():
    rates = [recipes.rate(RECIPES["allcnn"], epoch + 0.5) for epoch in range(350)]
    assert rates == pytest.approx([0.1] * 200 + [0.01] * 50 + [0.001] * 50 + [0.0001] * 50)


def test_the_triangle_has_the_published_corners():
    assert [schedules.triangle(t, 100) for t in (0, 23, 100)] == pytest.approx([0.2, 1, 0.07])
    assert schedules.triangle(11.5, 100) == pytest.approx(0.6) and schedules.triangle(61.5, 100) == pytest.approx(0.535)


@pytest.mark.parametrize("epochs", [1, 7])
def test_cosine_is_pytorchs_annealing(epochs):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for epoch in range(epochs + 1):
        assert schedules.cosine(epoch, epochs) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        scheduler.step()


def test_a_warm_up_rises_linearly_to_the_schedule():
    recipe = replace(RECIPES["stitching_ood"], warmup=4.0, lr=1.0)
    assert [recipes.rate(recipe, t) for t in (0, 1, 2, 4, 50)] == pytest.approx([0, 0.25, 0.5, 1, 1])
