"""The networks published by Csiszárik et al. (2021) load, and compute what their plain definition computes."""

import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from repsim.models.checkpoint import read_foreign
from repsim.models.network import Facts
from repsim.models.zoo import build

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def published(pattern: str) -> list[Path]:
    """Files of the published zoo, from the folders of REPSIM_DATA or beside the repository."""
    folders = [Path(p) for p in os.environ.get("REPSIM_DATA", "").split(os.pathsep) if p] + [BESIDE]
    found = next((files for folder in folders if (files := sorted((folder / "zoo").glob(pattern)))), [])
    if not found:
        pytest.skip(f"the published networks (zoo/{pattern}) are in none of: {', '.join(map(str, folders))}")
    return found


def loaded(path: Path, arch: str) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    facts = Facts(arch, None, 10, 3, 32)
    network, state = build(facts, MEAN, STD), read_foreign(path, facts).state
    network.body.load_state_dict(state)
    return network.eval(), state


def some_images() -> torch.Tensor:
    return torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def normalised(x: torch.Tensor) -> torch.Tensor:
    return (x - torch.tensor(MEAN).reshape(3, 1, 1)) / torch.tensor(STD).reshape(3, 1, 1)


def bn(x: torch.Tensor, s: dict, name: str) -> torch.Tensor:
    return F.batch_norm(x, s[f"{name}.running_mean"], s[f"{name}.running_var"], s[f"{name}.weight"], s[f"{name}.bias"])


def test_every_published_tiny10_is_its_plain_definition():
    for path in published("Tiny10/CIFAR10/in*-gn*/110000.pt"):
        network, s = loaded(path, "tiny10")
        x = normalised(some_images())
        for i in range(1, 9):
            x = F.conv2d(x, s[f"conv{i}.weight"], s[f"conv{i}.bias"], stride=2 if i in (3, 6) else 1)
            x = F.relu(bn(x, s, f"bn{i}"))
        expected = F.linear(x.mean((2, 3)), s["fc.weight"], s["fc.bias"])
        assert torch.allclose(network(some_images()), expected, atol=1e-4), path


def test_the_published_resnet20_is_its_plain_definition():
    (path,) = published("ResNet20_w1/in0-gn0/110000.pt")
    network, s = loaded(path, "resnet20_b")
    x = F.relu(bn(F.conv2d(normalised(some_images()), s["conv1.weight"], padding=1), s, "bn1"))
    for block in (f"layer{stage}.{i}" for stage in (1, 2, 3) for i in range(3)):
        stride = 2 if f"{block}.downsample.0.weight" in s else 1
        y = F.relu(bn(F.conv2d(x, s[f"{block}.conv1.weight"], stride=stride, padding=1), s, f"{block}.bn1"))
        y = bn(F.conv2d(y, s[f"{block}.conv2.weight"], padding=1), s, f"{block}.bn2")
        if stride == 2:
            x = bn(F.conv2d(x, s[f"{block}.downsample.0.weight"], stride=2), s, f"{block}.downsample.1")
        x = F.relu(x + y)
    expected = F.linear(x.mean((2, 3)), s["fc.weight"], s["fc.bias"])
    assert torch.allclose(network(some_images()), expected, atol=1e-4)
