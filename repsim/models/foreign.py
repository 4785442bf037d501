"""Owns the names that others give to our parameters: tried, one collection after the other, where ours do not fit.

Not mapped, though the weights may have our shapes: the networks of DeepMind's adversarial training and their kin
(`conv_2d_1`, `batchnorm_0`, `logits`), which use Swish and pad otherwise, so they are other functions.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

COUNTER = "num_batches_tracked"  # PyTorch before 0.4.1 did not count batches


@dataclass(frozen=True)
class Names:
    """Regular expressions and what takes their place, all applied in order; `unused` parameters no forward pass reads."""

    source: str
    renames: tuple[tuple[str, str], ...] = ()
    unused: str | None = None

    def ours(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """`state` under our names; empty where two names would become one."""
        kept = [key for key in state if not (self.unused and re.match(self.unused, key))]
        found = {self._rename(key): state[key] for key in kept}
        return found if len(found) == len(kept) else {}

    def _rename(self, key: str) -> str:
        for pattern, ours in self.renames:
            key = re.sub(pattern, ours, key)
        return key


def renamed(state: Mapping[str, Any], wanted: Collection[str]) -> tuple[str | None, dict[str, Any]]:
    """`state` under the names `wanted`, and whose names it had: None where they are ours, or nobody's that is known."""
    if not fits(state, wanted):
        for whose, names in FOREIGN.items():
            found = names.ours(state)
            if found and fits(found, wanted):
                return whose, found
    return None, dict(state)


def fits(state: Collection[str], wanted: Collection[str]) -> bool:
    """Whether all wanted names are there and no others; counters of batches may be missing."""
    missing = {key for key in set(wanted) - set(state) if not key.endswith(COUNTER)}
    return not missing and set(state) <= set(wanted)


def _in_a_row(stages: Sequence[int]) -> tuple[tuple[str, str], ...]:
    """block_seq.4 → layer2.1, where all blocks of all stages stand in one sequence."""
    starts = [0, *accumulate(stages)]
    blocks = [(stage, start, i) for stage, start in enumerate(starts[:-1], start=1) for i in range(stages[stage - 1])]
    return tuple((rf"^block_seq\.{start + i}\.", f"layer{stage}.{i}.") for stage, start, i in blocks)


def _numbered(modules: str) -> tuple[tuple[str, str], ...]:
    """0 → conv1, 1 → bn1 …, where modules stand unnamed in one sequence; a dash has no parameters."""
    return tuple((rf"^{i}\.", f"{name}.") for i, name in enumerate(modules.split()) if name != "-")


KUANGLIU = ((r"^linear\.", "fc."), (r"\.shortcut\.([01])\.", r".downsample.\1."))
"""The ResNets of kuangliu/pytorch-cifar and all that descend from them."""
STAGES = {"resnet20": (3, 3, 3), "resnet32": (5, 5, 5), "resnet44": (7, 7, 7), "resnet56": (9, 9, 9), "resnet18": (2, 2, 2, 2)}

FOREIGN: dict[str, Names] = {
    "pytorch-cifar": Names("kuangliu/pytorch-cifar models/resnet.py; akamaster/pytorch_resnet_cifar10; RobustBench", KUANGLIU),
    "pytorch-cifar preact": Names(
        "kuangliu/pytorch-cifar models/preact_resnet.py, with the last norm of RobustBench's `bn_before_fc`",
        ((r"^linear\.", "fc."), (r"\.shortcut\.0\.", ".downsample.")),
    ),
    "TRADES": Names(
        "yaodongyu/TRADES models/wideresnet.py, xternalz/WideResNet-pytorch, RobustBench; `sub_block1` is never called there",
        (
            (r"^bn1\.", "bn."),
            (r"^block(\d)\.layer\.(\d+)\.", r"layer\1.\2."),
            (r"\.convShortcut\.", ".downsample."),
        ),
        unused=r"sub_block1\.",
    ),
    "modelsym mCNN": Names(
        "pnnl/modelsym model_symmetries/models.py mCNN_bn_k, cwCNN_bn_k",
        _numbered("conv1 bn1 - conv2 bn2 - - conv3 bn3 - - conv4 bn4 - - - - fc"),
    ),
    "modelsym mCNN without norm": Names(
        "pnnl/modelsym model_symmetries/models.py mCNN_k, mCNN_k_sigmoid",
        _numbered("conv1 - conv2 - - conv3 - - conv4 - - - - fc"),
    ),
    **{
        f"modelsym {name}": Names("pnnl/modelsym model_symmetries/models.py", (*_in_a_row(stages), *KUANGLIU))
        for name, stages in STAGES.items()
    },
    "torchvision googlenet": Names(
        "torchvision.models.googlenet with its auxiliary heads, which only training reads; its published weights want "
        "(x − 0.5)/0.5 (`transform_input`)",
        unused=r"aux[12]\.",
    ),
}
