"""Owns the classical way of feeding: pictures through Pillow and torchvision transforms, one at a time, in a DataLoader."""

from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from torchvision import transforms

from repsim.data.images import Images

WORKERS = 2


class Pictures(Dataset):
    """Arrays (h, w, c) uint8 in memory, given as transformed pictures, as torchvision's CIFAR10 gives them."""

    def __init__(self, images: Images, transform: transforms.Compose):
        self._arrays = images.images.permute(0, 2, 3, 1).contiguous().numpy()
        self._labels = images.labels.tolist()
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._arrays[index])), self._labels[index]


class Order(Sampler):
    """A new order each epoch, all from one generator: the order in which repsim takes the images."""

    def __init__(self, length: int, seed: int):
        self._length, self._generator = length, torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self._length, generator=self._generator).tolist())
