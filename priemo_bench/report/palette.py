"""One colour and one marker for each method, in every figure, page and chart.

A family has a hue, a method of it a shade. The hues (blue, vermilion to yellow, bluish green,
purple, grey) are told apart with red-green blindness, after Okabe & Ito 2008; methods that share a
shade differ in their marker. Imports nothing heavy.
"""

from __future__ import annotations

from zlib import crc32

SHADES: dict[str, tuple[str, ...]] = {
    "per-image": (
        "#08306b", "#56b4e9", "#5d7a96", "#1f4fff", "#93aee6", "#6a5be0", "#0086d1", "#2c9bb8",
    ),
    "universal": (
        "#d55e00", "#e69f00", "#8c2d04", "#f0803c", "#b8860b", "#c0392b", "#a65628", "#f2b134",
    ),
    "cryptographic": ("#009e73", "#00664b", "#5fc7a8", "#3c8d7a"),
    "transform": (
        "#7b3294", "#cc79a7", "#4a1466", "#a066c9", "#9c4f96", "#e08fc0",
    ),
    "control": ("#5f5f5f", "#9a9a9a", "#2b2b2b"),
    "": ("#a9745b", "#6d4c41", "#c49a84", "#4e342e"),
}  # fmt: skip
"""By family; "" for any other."""
METHODS = {
    "per-image": (
        "priemo-image", "pgd", "mifgsm", "priemo-transfer", "fgsm", "priemo-logit",
        "priemo-survive", "ddn", "difgsm", "apgd", "tifgsm", "sinifgsm", "vmifgsm", "fawkes",
        "tip-im", "pgd-torchattacks", "sia", "pgn", "mef", "ops", "svre", "adaea", "cwa", "ssa-cwa",
        "smer",
    ),
    "universal": (
        "priemo-class", "priemo-universal", "sga", "uap-pgd", "priemo-generator", "uap", "opom",
        "priemo-pool", "uap-targeted", "sga-class", "fi-uap", "fi-uap-class", "cos-uap", "df-uap",
        "gd-uap", "sgd-uap", "uap-fgsm", "uap-rarest", "gap",
    ),
    "cryptographic": ("aes-ctr", "cat-map", "etc"),
    "transform": ("blur", "pixelate", "jpeg", "down-up", "brightness-contrast", "occlude"),
    "control": ("noise", "nothing"),
}  # fmt: skip
"""Those that come with the project have the shade of their place; others one by their name."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
"""In matplotlib's letters."""
SHAPES = (
    "circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "stroke",
    "triangle-left", "triangle-right", "arrow",
)  # fmt: skip
"""The same in Vega's words."""
ORDER = tuple(family for family in SHADES if family)


def family_of(name: str) -> str:
    """The family of a method that comes with the project, "" for another.

    Example:
        >>> family_of("sga"), family_of("mine")
        ('universal', '')
    """
    return next((family for family, names in METHODS.items() if name in names), "")


def colour(name: str, family: str = "") -> str:
    """The colour of a method, as hex.

    Args:
        name: of the attack, as in the tables. family: its family, where it is not one of ours.

    Example:
        >>> colour("priemo-image"), colour("mine", "universal") in SHADES["universal"]
        ('#08306b', True)
    """
    shades = SHADES.get(family_of(name) or family, SHADES[""])
    return shades[_place(name) % len(shades)]


def marker(name: str) -> str:
    """The marker of a method, one of MARKERS.

    Example:
        >>> marker("priemo-image"), marker("pgd")
        ('o', 's')
    """
    return MARKERS[_place(name) % len(MARKERS)]


def shape(name: str) -> str:
    """The same marker, as Vega calls it.

    Example:
        >>> shape("priemo-image")
        'circle'
    """
    return SHAPES[_place(name) % len(SHAPES)]


def _place(name: str) -> int:
    """Place of a method in METHODS; of another one a number that its name decides."""
    own = METHODS.get(family_of(name), ())
    return own.index(name) if name in own else crc32(name.encode())
