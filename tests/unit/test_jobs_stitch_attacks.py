"""Attacks as the stitch job has them: what is refused, what it costs, and rows that do not depend on their company."""

import re
from dataclasses import replace

import pytest
from pydantic import ValidationError
from test_jobs_stitch import JOB, SMALL, Sheets, config, context, folder  # noqa: F401

from repsim.errors import UserError
from repsim.robustness.linf import Adversary, Linf
from repsim.stitching import attack_rules

MADRY = {**SMALL, "epochs": 1, "init": "ps_inv", "adversary": "madry", "attack_steps": 2}
PGD = {"attack": "pgd", "test_steps": 3, "test_epsilon": 0.01, "attacked_images": 20}


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"adversary": "pgd"}, "adversary"),
        ({"adversary": "madry"}, "adversary: nothing is trained against it, epochs is 0"),
        ({**MADRY, "target": "soft_2"}, "adversary: .* choose target: hard"),
        ({**MADRY, "cka_reg": 0.1}, "cka_reg: .* leave it out"),
        ({**MADRY, "batchnorm": "train"}, "batchnorm: .* choose frozen or reestimate"),
        ({**MADRY, "precision": "bf16"}, "precision: attacks are made in fp32"),
        ({**MADRY, "attack_ratio": 0.01}, r"attack_ratio: .* at least 0\.03125"),
        ({**MADRY, "beta": 2.0}, "beta: with adversary madry it has no meaning"),
        ({**MADRY, "adversary": "trades", "attack_ratio": 0.5}, "attack_ratio: with adversary trades"),
        ({"attack_steps": 3}, "attack_steps: with adversary none"),
        ({"epsilon": 0.1}, "epsilon: nothing is attacked, give an adversary or an attack"),
        ({"epsilon": "8/0", "attack": "pgd"}, "epsilon"),
        ({"test_steps": 3}, "test_steps: with attack none"),
        ({"attacked_images": 3}, "attacked_images: with attack none"),
        ({"attack": "autoattack", "test_steps": 3}, "test_steps: with attack autoattack"),
        ({"attack": "fgsm"}, "attack"),
        ({"attack": "pgd", "control": "untrained"}, "control: attacks go through f"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_field(fields, named):
    with pytest.raises(ValidationError) as caught:
        config(**fields)
    assert re.search(named, str(caught.value)), str(caught.value)


def test_lengths_are_read_as_people_write_them_and_have_their_defaults():
    plain = config(**SMALL, attack="pgd", epsilon="4/255")
    assert attack_rules.tested(plain) == Linf(4 / 255, 1 / 255, 20)
    assert attack_rules.adversary(plain) is None
    trained = config(**{**MADRY, "attack_step": "3/255", "data_seed": 7})
    assert attack_rules.adversary(trained) == Adversary("madry", Linf(8 / 255, 3 / 255, 2), 1.0, 1.0, 7)
    assert attack_rules.tested(config(**PGD)) == Linf(0.01, 0.0025, 3)


def test_more_images_than_are_scored_are_not_attacked():
    with pytest.raises(UserError, match="attacked_images: 51 of 50 test images of 'digits32'"):
        JOB.hook("check")(config(**{**SMALL, **PGD, "attacked_images": 51}), Sheets())
    with pytest.raises(UserError, match="AutoAttack is not installed"):
        JOB.hook("check")(config(**SMALL, attack="autoattack"), Sheets())


def test_every_step_of_an_attack_counts_as_work():
    work = JOB.hook("work")
    assert work(config(**MADRY)) == 64 * 3 + 32 + 50
    assert work(config(**{**MADRY, "attack_ratio": 0.5})) == 64 * 2 + 32 + 50
    assert work(config(**{**MADRY, "adversary": "trades"})) == 64 * 4 + 32 + 50
    assert work(config(**SMALL, **PGD)) == 50 + 20 * 4


def test_a_row_under_attack_does_not_depend_on_its_company(context):  # noqa: F811
    asked = config(**MADRY, **PGD)
    company = [config(**{**MADRY, "adversary": "trades"}), config(**MADRY, **{**PGD, "test_seed": 3}), config(**SMALL)]
    (alone,) = JOB.run([asked], context)
    bare, other, plain, among = [*JOB.run([*company, asked], context)]
    for name in ("accuracy", "robust_accuracy", "front_robust_accuracy", "stitched_on_front", "end_on_stitched", "robust_curve"):
        assert getattr(alone, name) == getattr(among, name), name
    assert alone.attacked_images == 20 and len(alone.robust_curve) == 4
    assert other.robust_accuracy is not None and bare.robust_accuracy is None and plain.attacked_images is None
    assert alone.robust_penalty == pytest.approx(
        (alone.front_robust_accuracy + alone.end_robust_accuracy) / 2 - alone.robust_accuracy
    )


def test_a_stitch_under_attack_can_be_stopped_between_two_steps(context):  # noqa: F811
    seen = []
    list(JOB.run([config(**SMALL, **PGD)], replace(context, report=lambda fraction, text: seen.append(text))))
    assert seen.count("attacking") == 1 + 3 * (3 + 1)
