"""Owns the classical way of training a network: a DataLoader with Pillow transforms, fp32, one network per process.

Crop, flip, tensor and normalisation by torchvision, in worker processes that stay alive between epochs; SGD with Nesterov momentum.
"""

import argparse
import json
from time import perf_counter

STARTED = perf_counter()  # before the imports, whose time is part of every process

import torch  # noqa: E402
import trainings  # noqa: E402
from pictures import WORKERS, Order, Pictures  # noqa: E402
from processes import memory_mb  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402
from torchvision import transforms  # noqa: E402
from trainings import BATCH, DATASET, LR, MOMENTUM, SUBJECTS, WEIGHT_DECAY  # noqa: E402

from repsim.data import images, sources  # noqa: E402
from repsim.job import NetworkFacts  # noqa: E402
from repsim.models import zoo  # noqa: E402


def main() -> None:
    """Train and test one network; one JSON line on stdout."""
    args = _arguments()
    source, (arch, width) = sources.get(DATASET), SUBJECTS[args.subject]
    shuffled, test = _loaders(args)
    facts = NetworkFacts(arch, width, source.classes, source.channels, source.size)
    network = zoo.build(facts, generator=torch.Generator().manual_seed(args.seed)).to(args.device)
    began = perf_counter()
    train(network, shuffled, args.epochs, args.device)
    ended = perf_counter()
    found = accuracy(network, test, args.device)
    said = {
        "images": args.epochs * args.images,
        "train_s": ended - began,
        "whole_s": perf_counter() - STARTED,
        "accuracy": [found],
        "memory_mb": memory_mb(args.device),
    }
    print(json.dumps(said))


def train(network: nn.Module, loader: DataLoader, epochs: int, device: str) -> None:
    """Cross-entropy by SGD, at a constant learning rate."""
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY)
    network.train()
    for _ in range(epochs):
        for x, y in loader:
            loss = nn.functional.cross_entropy(network(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    if device == "cuda":
        torch.cuda.synchronize()


@torch.no_grad()
def accuracy(network: nn.Module, loader: DataLoader, device: str) -> float:
    """Share of the images put into the right class."""
    network.eval()
    right = sum(int((network(x.to(device)).argmax(-1) == y.to(device)).sum()) for x, y in loader)
    return right / len(loader.dataset)  # type: ignore[arg-type]


def _loaders(args: argparse.Namespace) -> tuple[DataLoader, DataLoader]:
    source, folders, pinned = sources.get(DATASET), args.data, args.device == "cuda"
    plain = [transforms.ToTensor(), transforms.Normalize(source.mean, source.std)]
    moved = [transforms.RandomCrop(source.size, padding=source.size // 8), transforms.RandomHorizontalFlip()]
    chosen = images.take(images.load(DATASET, "train", folders, args.cache), args.images, seed=0)
    pictures, test = Pictures(chosen, transforms.Compose([*moved, *plain])), images.load(DATASET, "test", folders, args.cache)
    shuffled = DataLoader(
        pictures, BATCH, sampler=Order(len(pictures), args.seed), num_workers=WORKERS, pin_memory=pinned, persistent_workers=True
    )
    return shuffled, DataLoader(Pictures(test, transforms.Compose(plain)), BATCH, num_workers=WORKERS, pin_memory=pinned)


def _arguments() -> argparse.Namespace:
    return trainings.arguments(__doc__).parse_args()


if __name__ == "__main__":
    main()
