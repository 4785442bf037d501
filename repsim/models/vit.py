"""Owns the small vision transformer for small images (Dosovitskiy et al. 2021; Touvron et al. 2021), as timm has it."""

from torch import nn

PATCH = 4  # pixels: an 8×8 grid of tokens at 32 pixels
HEAD = 64  # channels
DEPTH = 12


def vit_tiny(classes: int, channels: int, size: int, width: int = 3) -> nn.Module:
    """patch_embed, then blocks.0 … blocks.11 of norm1, attn, norm2, mlp, then norm and head; `width` heads of 64 channels.

    A layer's value is (t, d): a class token and the patches row by row, t = 1 + (size/4)², d = 64·`width`; `patch_embed`
    comes before the class token is put in front. The head reads the class token.
    """
    from timm.models.vision_transformer import VisionTransformer  # seconds to import, and only here of use

    return VisionTransformer(
        img_size=size,
        patch_size=PATCH,
        in_chans=channels,
        num_classes=classes,
        embed_dim=HEAD * width,
        depth=DEPTH,
        num_heads=width,
        weight_init="skip",
    )
