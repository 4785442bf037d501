"""Owns which objective a recipe means."""

from repsim.models.recipes import Recipe
from repsim.robustness import objectives
from repsim.robustness.linf import Linf
from repsim.robustness.objectives import Objective


def objective(recipe: Recipe) -> Objective | None:
    """The loss against the attacks that the recipe names; None: the plain loss."""
    attack = Linf(recipe.epsilon, recipe.attack_step, recipe.attack_steps)
    if recipe.adversary == "madry":
        return objectives.madry(attack, recipe.attack_ratio, recipe.label_smoothing)
    if recipe.adversary == "trades":
        return objectives.trades(attack, recipe.beta, recipe.label_smoothing)
    return None
