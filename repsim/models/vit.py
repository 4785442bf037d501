"""Owns the vision transformers (Dosovitskiy et al. 2021; Touvron et al. 2021), as timm has them."""

from functools import partial

from torch import nn

from repsim.models.architecture import Architecture, Choice
from repsim.models.initial import transformer

HEAD = 64  # channels


def vit(classes: int, channels: int, size: int, width: int, depth: int, patch: int) -> nn.Module:
    """patch_embed, then blocks.0 … of norm1, attn, norm2, mlp, then norm and head; `width` heads of 64 channels.

    A layer's value is (t, d): a class token and the patches row by row, t = 1 + (size/patch)², d = 64·`width`; `patch_embed`
    comes before the class token is put in front. The head reads the class token.
    """
    from timm.models.vision_transformer import VisionTransformer  # seconds to import, and only here of use

    return VisionTransformer(
        img_size=size,
        patch_size=patch,
        in_chans=channels,
        num_classes=classes,
        embed_dim=HEAD * width,
        depth=depth,
        num_heads=width,
        weight_init="skip",
    )


# name → (heads, parameters of timm's vit_NAME_patch16_224)
SIZES = {"tiny": (3, 5_717_416), "small": (6, 22_050_664), "base": (12, 86_567_656)}
DEPTH = Choice(12, range(1, 25), "blocks")


def _heads(name: str) -> Choice:
    return Choice(SIZES[name][0], range(1, 17), f"heads of {HEAD} channels")


def _small_images(name: str) -> Architecture:
    source = f"timm VisionTransformer, the size of vit_{name}_patch16_224 with patches of 4 pixels"
    return Architecture(partial(vit, patch=4), transformer, 8, source, width=_heads(name), depth=DEPTH, multiple=4)


def _large_images(name: str) -> Architecture:
    published = SIZES[name][1]
    return Architecture(
        partial(vit, patch=16),
        transformer,
        16,
        f"timm vit_{name}_patch16_224: {published:,}",
        published,
        width=_heads(name),
        depth=DEPTH,
        multiple=16,
        classes=1000,
        size=224,
    )


VITS = {f"vit_{name}": _small_images(name) for name in SIZES} | {f"vit_{name}_16": _large_images(name) for name in SIZES}
