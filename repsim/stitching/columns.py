"""Owns the numbers of a row: what one measured stitcher says, by the name of its column."""

import math
from typing import Any

from repsim.stitching import matching, robust_columns, spectrum
from repsim.stitching.asked import REGULARISERS
from repsim.stitching.elsewhere import Told
from repsim.stitching.group import Control, Measured, Results
from repsim.stitching.scores import Score
from repsim.stitching.stitchers import Lasso


def columns(each: Measured, results: Results, told: tuple[Told, Told | None] | None = None) -> dict[str, Any]:
    """The numbers of one stitcher by name; those of the test images are left out where it diverged.

    `told`: what f and g score across tasks, here and on another data set.
    """
    here, other = told or (_of_one_task(results), None)
    return {
        **_learned(each, results),
        **_donors(results, here),
        **_controls(each, here),
        **_elsewhere(each, other),
        **({} if each.beside.attacked is None else robust_columns.columns(each.beside.attacked, each.asked)),
        **{f"accuracy_rank{share}": score.accuracy for share, score in each.beside.truncated.items()},
        **({} if each.outcome is None else {**_scores(each, here), **_versus(each), **_at_the_cut(each), **_of_the_map(each)}),
    }


def _learned(each: Measured, results: Results) -> dict[str, Any]:
    run = each.run
    name = REGULARISERS.get(each.asked.family.stitcher)
    return {
        "selected_epoch": run.selected_epoch,
        "epochs_run": run.epochs_run,
        "train_loss": _finite(run.train_loss),
        "validation_accuracy": run.validation and run.validation.accuracy,
        "stitcher_parameters": run.stitcher.parameter_count(),
        "regulariser": getattr(run.stitcher, name) if name else None,
    }


def _of_one_task(results: Results) -> Told:
    assert results.front is not None, "f answers in other classes, and nobody said what it scores"
    return Told(results.front.accuracy, results.end.accuracy, mapped=False)


def _donors(results: Results, here: Told) -> dict[str, Any]:
    found: dict[str, Any] = {"front_accuracy": here.front, "end_accuracy": here.end}
    if results.front is not None:
        versus = _compared(results.front)
        found |= {"front_agreement": versus.agreement, "logits_cka_before": versus.cka}
    return found


def _elsewhere(each: Measured, other: Told | None) -> dict[str, Any]:
    if other is None:
        return {}
    found: dict[str, Any] = {"eval_front_accuracy": other.front, "eval_end_accuracy": other.end, "eval_images": other.images}
    if each.beside.elsewhere is not None:
        own = each.beside.elsewhere.accuracy
        found |= {"eval_accuracy": own, "eval_penalty": _less(other.mean, own)}
    return found


def _controls(each: Measured, here: Told) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, control in (("matched", each.matched), ("null", each.shuffled)):
        found |= _control(name, control, here)
    return found


def _control(name: str, control: Control | None, here: Told) -> dict[str, Any]:
    if control is None:
        return {}
    return {
        f"{name}_accuracy": control.score.accuracy,
        f"{name}_penalty": _less(here.mean, control.score.accuracy),
        f"{name}_residual": _finite(control.residual),
    }


def _scores(each: Measured, here: Told) -> dict[str, Any]:
    assert each.outcome is not None
    selected, last, unrounded = each.outcome.selected, each.outcome.last, each.outcome.unrounded
    g = None if here.mapped else here.end
    return {
        "accuracy": selected.accuracy,
        "accuracy_last": last.accuracy,
        "accuracy_unrounded": unrounded and unrounded.accuracy,
        "rounding_loss": unrounded and unrounded.accuracy - selected.accuracy,
        "loss": _finite(selected.loss),
        "loss_last": _finite(last.loss),
        "penalty": _less(here.mean, selected.accuracy),
        "penalty_end": _less(g, selected.accuracy),
        "relative_accuracy": selected.accuracy / g if g else None,
    }


def _versus(each: Measured) -> dict[str, Any]:
    assert each.outcome is not None
    versus = _compared(each.outcome.selected)
    return {
        "agreement": versus.agreement,
        **dict(zip(("hits_rr", "hits_rw", "hits_wr", "hits_ww"), versus.hits, strict=True)),
        "logits_cka_after": versus.cka,
    }


def _at_the_cut(each: Measured) -> dict[str, Any]:
    applied = each.run.selected.stitcher.rounded().applied()
    residual = _finite(matching.residual(each.moments, applied))
    centred, raw = float(each.moments.yy.trace()), float(each.moments.raw()[1].trace())
    return {
        "residual": residual,
        "residual_uncentred": None if residual is None else residual * centred / raw,
        "cut_cka_before": matching.cka(each.moments),
        "cut_cka_after": matching.cka(each.moments, applied),
    }


def _of_the_map(each: Measured) -> dict[str, Any]:
    stitcher = each.run.selected.stitcher.rounded()
    applied = stitcher.applied()
    values = spectrum.singular_values(applied)
    matrix = stitcher.affine().matrix
    return {
        "sparsity": float((matrix == 0).float().mean()) if isinstance(stitcher, Lasso) else None,
        "singular_values": None if values is None else values.tolist(),
        "matrix_rank": None if values is None else spectrum.rank(values, applied),
    }


def _compared(score: Score):
    assert score.versus is not None
    return score.versus


def _less(whole: float | None, part: float) -> float | None:
    """The difference; None where there is nothing to compare with."""
    return None if whole is None else whole - part


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
