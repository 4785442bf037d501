"""Owns the classical way of stitching: one stitcher per process, both networks in full, one hook on each.

f runs, a hook keeps the value of its layer; g runs, a hook puts S of that value in the place of its own. Images are decoded
arrays that pass through Pillow and torchvision transforms in a DataLoader, as torchvision's CIFAR10 gives them.
"""

import argparse
import json
from pathlib import Path
from time import perf_counter

STARTED = perf_counter()  # before the imports, whose time is part of every process

import subjects  # noqa: E402
import torch  # noqa: E402
from pictures import WORKERS, Order, Pictures  # noqa: E402
from processes import memory_mb  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402
from torchvision import transforms  # noqa: E402

from repsim.data import sources, splits  # noqa: E402


class Stitched(nn.Module):
    """g with S(f's value) in the place of its own."""

    def __init__(self, front: nn.Module, end: nn.Module, layer: str, stitcher: nn.Module):
        super().__init__()
        self.front, self.end, self.stitcher = front, end, stitcher
        self._value: Tensor | None = None
        front.get_submodule(layer).register_forward_hook(self._capture)
        end.get_submodule(layer).register_forward_hook(self._override)

    def _capture(self, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        self._value = output

    def _override(self, module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        return self.stitcher(self._value)

    def forward(self, x: Tensor) -> Tensor:
        self.front(x)
        return self.end(x)


def convolution(channels: int, seed: int) -> nn.Conv2d:
    """A 1×1 convolution with torch's default start, U(−1/√p, 1/√p), drawn from a generator of its own."""
    generator, bound = torch.Generator().manual_seed(seed), channels**-0.5
    stitcher = nn.Conv2d(channels, channels, 1)
    with torch.no_grad():
        stitcher.weight.copy_(torch.empty(channels, channels).uniform_(-bound, bound, generator=generator)[:, :, None, None])
        assert stitcher.bias is not None
        stitcher.bias.copy_(torch.empty(channels).uniform_(-bound, bound, generator=generator))
    return stitcher


def train(stitched: Stitched, loader: DataLoader, device: str) -> None:
    """Adam on the cross-entropy; f and g are frozen and in eval mode."""
    stitched.requires_grad_(False).eval()
    stitched.stitcher.requires_grad_(True)
    optimizer = torch.optim.Adam(stitched.stitcher.parameters(), lr=subjects.LR)
    for _ in range(subjects.EPOCHS):
        for x, y in loader:
            loss = nn.functional.cross_entropy(stitched(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@torch.no_grad()
def accuracy(stitched: Stitched, loader: DataLoader, device: str) -> float:
    """Share of the images put into the right class."""
    right = sum(int((stitched(x.to(device)).argmax(-1) == y.to(device)).sum()) for x, y in loader)
    return right / len(loader.dataset)  # type: ignore[arg-type]


def main() -> None:
    """Train and test one stitcher; one JSON line on stdout."""
    args, marks = _arguments(), {"import": perf_counter() - STARTED}
    subject, device = subjects.SUBJECTS[args.arch], args.device
    front, end = (subjects.read(subject.arch, args.zoo / file).to(device) for file in (subject.front, subject.end))
    shuffled, test = _loaders(args)
    channels = _channels(front.body, args.layer, device)
    stitched = Stitched(front.body, end.body, args.layer, convolution(channels, args.seed).to(device))
    marks["load"] = perf_counter() - STARTED - sum(marks.values())
    train(stitched, shuffled, device)
    marks["train"] = perf_counter() - STARTED - sum(marks.values())
    found = accuracy(stitched, test, device)
    marks["test"] = perf_counter() - STARTED - sum(marks.values())
    print(json.dumps({"accuracy": {f"{args.layer} {args.seed}": found}, "seconds": marks, "memory_mb": memory_mb(device)}))


def _loaders(args: argparse.Namespace) -> tuple[DataLoader, DataLoader]:
    source = sources.get(subjects.DATASET)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(source.mean, source.std)])
    parts = splits.divide(
        subjects.DATASET, args.data, args.cache, "cpu", train=subjects.TRAIN_IMAGES, match=None, validation=0, test=None
    )
    order, pinned = Order(len(parts.train), subjects.DATA_SEED), args.device == "cuda"
    shuffled = DataLoader(Pictures(parts.train, transform), subjects.BATCH, sampler=order, num_workers=WORKERS, pin_memory=pinned)
    return shuffled, DataLoader(Pictures(parts.test, transform), subjects.BATCH, num_workers=WORKERS, pin_memory=pinned)


def _channels(body: nn.Module, layer: str, device: str) -> int:
    """Channels of a layer's value, seen on one empty picture."""
    seen: list[int] = []
    handle = body.get_submodule(layer).register_forward_hook(lambda module, inputs, output: seen.append(output.shape[1]))
    size = sources.get(subjects.DATASET).size
    with torch.no_grad():
        body(torch.zeros(1, sources.get(subjects.DATASET).channels, size, size, device=device))
    handle.remove()
    return seen[0]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", choices=subjects.SUBJECTS, default="tiny10")
    parser.add_argument("--zoo", type=Path, required=True, help="folder of the published networks")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder that holds the data set")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the decoded data set")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layer", required=True)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
