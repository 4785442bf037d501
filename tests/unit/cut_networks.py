"""Owns the networks that architectures and cutting are tested on: all in small, and bodies with one oddity each."""

from collections import Counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repsim.models.cut import Cuts
from repsim.models.graph import GraphCuts
from repsim.models.hooks import HookCuts
from repsim.models.network import Facts, Network
from repsim.models.tracing import trace
from repsim.models.zoo import ARCHITECTURES, build

SMALL = {
    "lenet": Facts("lenet", 1, 10, 1, 20),
    "dense": Facts("dense", 16, 5, 1, 4, 2),
    "tiny10": Facts("tiny10", None, 10, 3, 32),
    "mcnn": Facts("mcnn", 4, 10, 1, 8),
    "mcnn_sigmoid": Facts("mcnn_sigmoid", 4, 10, 1, 8),
    "allcnn_v1": Facts("allcnn_v1", 4, 5, 1, 12, 1),
    "resnet20": Facts("resnet20", 1, 10, 3, 16),
    "resnet20_b": Facts("resnet20_b", 1, 10, 3, 16),
    "resnet50": Facts("resnet50", 2, 5, 3, 8),
    "tv_resnet18": Facts("tv_resnet18", 4, 5, 3, 32),
    "preactresnet18": Facts("preactresnet18", 4, 5, 3, 8),
    "wide_resnet_28_10": Facts("wide_resnet_28_10", 2, 5, 3, 8),
    "vgg11_bn": Facts("vgg11_bn", 4, 5, 3, 32),
    "tv_vgg11": Facts("tv_vgg11", 2, 5, 3, 32),
    "inception_v1": Facts("inception_v1", None, 40, 3, 32),
    "vit_tiny": Facts("vit_tiny", 1, 10, 3, 8, 4),
    "robust_vit": Facts("robust_vit", 1, 5, 3, 32),
    "cct_7_3x2": Facts("cct_7_3x2", 1, 5, 3, 8, 2),
}
FORMS = {"graph": lambda network: GraphCuts(network, trace(network)), "hooks": HookCuts}


def smallest(arch: str, classes: int = 3, channels: int = 1) -> Facts:
    """The least of everything that this architecture can have."""
    one = ARCHITECTURES[arch]
    width, depth = (choice.numbers.start if choice else None for choice in (one.width, one.depth))
    return Facts(arch, width, classes, channels, one.min_size, depth)


def network_of(arch: str | Facts, seed: int = 3) -> Network:
    """An eval-mode network whose BatchNorms do something, with a normalisation."""
    facts, generator = SMALL[arch] if isinstance(arch, str) else arch, torch.Generator().manual_seed(seed)
    network = build(facts, [0.4] * facts.channels, [0.3] * facts.channels, generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2, generator=generator)
            nn.init.uniform_(module.running_var, 0.5, 2.0, generator=generator)
    return network.eval()


def around(body: nn.Module, channels: int = 2, size: int = 4) -> Network:
    """A network in eval mode with this body, whose weights are set here."""
    generator = torch.Generator().manual_seed(0)
    for parameter in body.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return Network(Facts("odd", None, 3, channels, size), body, [0.5] * channels, [0.25] * channels).eval()


def images_for(network: Network, n: int = 4) -> Tensor:
    facts = network.facts
    return torch.rand(n, facts.channels, facts.size, facts.size, generator=torch.Generator().manual_seed(4))


def joined(cuts: Cuts, layer: str, x: Tensor) -> Tensor:
    read = cuts.reader([layer], [layer])(x)
    return cuts.suffix(layer)(read.values[layer], *read.carried[layer])


def called(network: Network) -> Counter:
    """Counts the calls of each module without parts from now on."""
    calls = Counter()
    for name, module in network.body.named_modules():
        if not any(module.children()):
            module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    return calls


class Odd(nn.Module):
    """A reused module, an empty container, sizes read across the cut, and a layer that nothing reads."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.nothing = nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Sequential()
        self.unread, self.fc = nn.Conv2d(2, 2, 1), nn.Linear(8, 3)

    def forward(self, x):
        y = self.relu(self.conv(self.nothing(x)))
        self.unread(y)
        z = self.relu(self.conv(y) - 0.1)
        pooled = z.reshape(y.size(0), y.shape[1], 4, -1).mean(3)
        return self.fc(pooled.flatten(1)) + y.mean((1, 2, 3)).unsqueeze(1)


class Moody(nn.Module):
    """Takes a turn that depends on the images; calls a module twice; hides what goes wrong inside."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(inplace=True)
        self.bright, self.pool, self.fc = nn.Conv2d(2, 2, 1), nn.AdaptiveAvgPool2d(2), nn.Linear(8, 3)

    def forward(self, x, *, strict=False):
        try:
            y = self.relu(self.norm(self.conv(x)))
            if x.mean() > 0:
                y = self.bright(y) + y
            return self.fc(self.pool(self.relu(self.conv(y))).flatten(1))
        except Exception:
            return self.fc(torch.zeros(len(x), 8))


class InPlace(nn.Module):
    """A residual block whose every sum and ReLU is written in place."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(inplace=True)
        self.conv2, self.down, self.fc = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1), nn.Linear(32, 3)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        y = self.conv2(x)
        y += self.down(x)
        return self.fc(self.relu(y).flatten(1))


class HiddenWrite(nn.Module):
    """Writes over a value that is read again: no graph of readers knows."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(inplace=True), nn.Linear(32, 3)

    def forward(self, x):
        y = self.conv(x)
        self.relu(y)
        return self.fc(y.flatten(1))


class ModeInside(nn.Module):
    """Asks for its mode itself, where a graph would keep the answer."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(32, 3)

    def forward(self, x):
        return self.fc(F.dropout(self.conv(x), 0.5, self.training).flatten(1))


class MakesTensors(nn.Module):
    """Makes a number from nothing, and draws another."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(32, 3)

    def forward(self, x):
        half, noise = torch.tensor(0.5), torch.rand(())
        return self.fc(self.conv(x).flatten(1) * half) + 0 * noise


class Greedy(nn.Module):
    """Takes whatever it is given."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(32, 3)

    def forward(self, *images, scale=None, **more):
        y = self.conv(images[0])
        y = y if scale is None else y * scale
        return self.fc(y.flatten(1))


class Idle(nn.Module):
    """Identities, dropouts and a container that ends with one: what they hand on is no value of theirs."""

    def __init__(self):
        super().__init__()
        self.same, self.drop = nn.Identity(), nn.Dropout(0.5)
        self.block = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Dropout(0.5), nn.Identity())
        self.pick, self.split, self.fc = Pick(), Split(), nn.Linear(32, 3)

    def forward(self, x):
        y = self.block(self.drop(self.same(x)))
        one, two = self.split(self.pick([y, x]))
        return self.fc(torch.cat([one, two], 1).flatten(1))


class Pick(nn.Module):
    """Hands on one of many."""

    def forward(self, many):
        return many[0]


class Split(nn.Module):
    """Gives two tensors, so it has no value."""

    def forward(self, x):
        return x[:, :1], x[:, 1:]
