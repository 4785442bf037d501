"""Owns how the series of a picture look: each by a colour, and for grey prints by a mark, dash or hatch that no other one has."""

from typing import Literal, NamedTuple

from matplotlib.colors import to_rgb

# Okabe & Ito 2008, without their yellow, which is lost on white; told apart by marker and dash where printed in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*<>h"[:10]
DASHES = ("-", "--", "-.", ":")
Fill = Literal["full", "left", "top", "right"]
FILLS: tuple[Fill, ...] = ("full", "left", "top", "right")
HATCHES = ("", "////", "....", "xxxx", r"\\\\", "----", "||||", "oo", "++++", "**")
SHADES = ((1.0, "white"), (0.5, "black"), (0.2, "black"), (-0.5, "white"))
"""Of a bar: how much of its colour stands on white (below 0: on black), and the colour of its hatch."""
MOST = len(MARKERS) * len(DASHES)
"""So many series differ in more than colour."""


SANS = "DejaVu Sans"  # comes with matplotlib: Latin, Greek, Cyrillic, mathematics
OTHERS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Noto Sans", "Noto Sans Arabic", "Noto Sans Devanagari")
"""Fonts of other scripts, used where they are installed; a name in a script of none of them is drawn as boxes."""


def families() -> list[str]:
    """The fonts of a picture: the first that has a character draws it."""
    from matplotlib.font_manager import fontManager

    there = set(fontManager.get_font_names())
    return [SANS, *(name for name in OTHERS if name in there)]


class Look(NamedTuple):
    """Of one series, all with `colour`: `marker` and `dash` of a line, `hatch`, `face` and `ink` (of the hatch) of a bar.

    `fill`: of a marker that no line helps to tell apart.
    """

    colour: str
    marker: str
    dash: str
    hatch: str
    face: tuple[float, float, float]
    ink: str
    fill: Fill


def look(index: int) -> Look:
    """The look of series `index`; up to MOST of them no two have the same marker and dash or fill, nor the same hatch and shade."""
    second = (index + index // 20) % len(DASHES)  # 20 = lcm of 10 and 4: there the pairs would begin again
    colour = COLOURS[index % len(COLOURS)]
    share, ink = SHADES[second]
    ground, share = (1.0, share) if share > 0 else (0.0, -share)
    red, green, blue = (share * part + (1 - share) * ground for part in to_rgb(colour))
    return Look(
        colour, MARKERS[index % 10], DASHES[second], HATCHES[index % 10], (red, green, blue), ink, FILLS[index // 10 % len(FILLS)]
    )


def luminance(colour: str | tuple[float, float, float]) -> float:
    """How bright a colour prints in grey, 0 to 1 (ITU-R BT.601, as greyscale converters weigh it)."""
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue
