"""Owns the changes of a batch of images as pure functions of the pixels and of what was drawn for each image; any device.

Pixels are (n, c, h, w). Integer operations keep uint8; those that interpolate give float32 in the range of the pixels. Each does
what torchvision's functional transform of the same name does to one image, without a loop over the images on a GPU.
"""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Fill = Literal["black", "reflect"]


def shift(pixels: Tensor, top: Tensor, left: Tensor, mirror: Tensor, pad: int, fill: Fill = "black") -> Tensor:
    """Pad by `pad` on each side, cut (h, w) at (top, left), then mirror where asked.

    `top`, `left` (n,) int64 in 0…2·pad, `mirror` (n,) bool; `fill`: black pixels, or the image mirrored at its edges.
    """
    padded = _padded(pixels, pad, fill) if pad else pixels
    if pixels.device.type == "cpu":
        return _windows_copied(padded, top, left, mirror, pixels.shape[2:])
    return flip(_windows_gathered(padded, top, left, pixels.shape[2:]), mirror)


def flip(pixels: Tensor, mirror: Tensor) -> Tensor:
    """Left and right exchanged where `mirror` (n,) bool says so."""
    return torch.where(mirror[:, None, None, None], pixels.flip(3), pixels)


def erase(pixels: Tensor, top: Tensor, left: Tensor, side: int) -> Tensor:
    """A black square of `side` pixels with its corner at (top, left), (n,) int64, which may lie outside (DeVries & Taylor 2017)."""
    rows, columns = (torch.arange(length, device=pixels.device) for length in pixels.shape[2:])
    high = (rows >= top[:, None]) & (rows < top[:, None] + side)
    wide = (columns >= left[:, None]) & (columns < left[:, None] + side)
    return pixels.masked_fill((high[:, :, None] & wide[:, None, :])[:, None], 0)


def affine(
    pixels: Tensor,
    angle: Tensor,
    move: Tensor,
    scale: Tensor,
    shear: Tensor,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    outside: Literal["zeros", "border"] = "zeros",
) -> Tensor:
    """Rotate, shear and scale about the centre, then move; float32. One grid_sample.

    x' = move + R(angle) · Shear · scale · x, with x in pixels from the centre. `angle` (n,) and `shear` (n, 2) in degrees,
    `move` (n, 2) in pixels to the right and down, `scale` (n,).
    """
    h, w = pixels.shape[2:]
    matrix = _inverse_affine(angle, move, scale, shear)
    to_unit = torch.tensor([w / 2, h / 2], device=pixels.device)
    theta = torch.cat([matrix[:, :, :2] * to_unit / to_unit[:, None], matrix[:, :, 2:] / to_unit[:, None]], 2)
    grid = F.affine_grid(theta.float(), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels.float(), grid, mode=mode, padding_mode=outside, align_corners=False)


def resize(pixels: Tensor, size: int) -> Tensor:
    """(n, c, size, size), antialiased bilinear; float32."""
    return F.interpolate(pixels.float(), (size, size), mode="bilinear", align_corners=False, antialias=True)


def resized_crop(
    pixels: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor, mirror: Tensor, size: int | None = None
) -> Tensor:
    """Cut (height, width) at (top, left), all (n,), enlarge to (size, size), then mirror where asked; float32, bilinear.

    Pixels outside the cut do not enter. `size` (None: the images' own) is meant to be no smaller: nothing is smoothed.
    """
    size = size or pixels.shape[2]
    down = _centres(top, height, size, pixels.shape[2])
    across = _centres(left, width, size, pixels.shape[3])
    across = torch.where(mirror[:, None], across.flip(1), across)
    grid = torch.stack([across[:, None, :].expand(-1, size, -1), down[:, :, None].expand(-1, -1, size)], 3)
    return F.grid_sample(pixels.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


def normalise(x: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(x − mean) / std per channel."""
    shape = (1, len(mean), 1, 1)
    return (x - x.new_tensor(mean).view(shape)) / x.new_tensor(std).view(shape)


def unit(pixels: Tensor) -> Tensor:
    """[0, 255] → float32 in [0, 1]: pixel / 255, in one pass."""
    return pixels / 255


def _padded(pixels: Tensor, pad: int, fill: Fill) -> Tensor:
    """torch's own reflection knows no uint8."""
    padded = F.pad(pixels, (pad, pad, pad, pad))
    if fill == "reflect":
        h, w = pixels.shape[2:]
        padded[:, :, :, :pad] = padded[:, :, :, pad + 1 : 2 * pad + 1].flip(3)
        padded[:, :, :, w + pad :] = padded[:, :, :, w - 1 : w + pad - 1].flip(3)
        padded[:, :, :pad] = padded[:, :, pad + 1 : 2 * pad + 1].flip(2)
        padded[:, :, h + pad :] = padded[:, :, h - 1 : h + pad - 1].flip(2)
    return padded


def _windows_gathered(padded: Tensor, top: Tensor, left: Tensor, size: torch.Size) -> Tensor:
    """All windows are one view of the batch, of which one per image is copied."""
    views = padded.unfold(2, size[0], 1).unfold(3, size[1], 1)
    return views[torch.arange(len(padded), device=padded.device), :, top, left]


def _windows_copied(padded: Tensor, top: Tensor, left: Tensor, mirror: Tensor, size: torch.Size) -> Tensor:
    """The same, mirrored where asked: on a CPU copying rows is several times faster than gathering pixels."""
    views, (h, w) = padded.numpy(), size
    out = np.empty((*views.shape[:2], h, w), views.dtype)
    for image, y, x, turned in zip(range(len(out)), top.tolist(), left.tolist(), mirror.tolist(), strict=True):
        window = views[image, :, y : y + h, x : x + w]
        out[image] = window[:, :, ::-1] if turned else window
    return torch.from_numpy(out)


def _inverse_affine(angle: Tensor, move: Tensor, scale: Tensor, shear: Tensor) -> Tensor:
    """(n, 2, 3), float64: where each pixel of the result comes from."""
    turn, (x, y) = angle.double().deg2rad(), shear.double().deg2rad().unbind(1)
    a, c = (turn - y).cos() / y.cos(), (turn - y).sin() / y.cos()
    b, d = -a * x.tan() - turn.sin(), -c * x.tan() + turn.cos()
    inverse = torch.stack([torch.stack([d, -b], 1), torch.stack([-c, a], 1)], 1) / scale.double()[:, None, None]
    return torch.cat([inverse, -(inverse @ move.double()[:, :, None])], 2)


def _centres(start: Tensor, length: Tensor, size: int, whole: int) -> Tensor:
    """(n, size) in grid_sample's units: centres of `size` equal parts of [start, start + length), within its pixels' centres."""
    step = torch.arange(size, device=start.device) + 0.5
    place = start[:, None] + step * (length / size)[:, None] - 0.5
    place = torch.maximum(torch.minimum(place, (start + length - 1)[:, None]), start[:, None])
    return (2 * place + 1) / whole - 1
