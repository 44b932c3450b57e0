"""One look for all figures: a colour for each library, a shape for each of its contenders."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass

from vicinal.bench.records import Contender

__all__ = ["DARK", "LIGHT", "SHAPES", "WHERE_COLOURS", "Mark", "Palette", "Theme"]

# (on white, on black). One strong warm hue for vicinal; the others are cooler or duller, and far
# enough apart for the common kinds of colour blindness, for which shapes tell the rest.
_OURS = ("#d0204f", "#ff6f91")
_LIBRARIES = {
    "hnswlib": ("#566274", "#a9b4c2"),
    "faiss": ("#1f6fd1", "#6cabff"),
    "usearch": ("#0e8a5f", "#41cf9b"),
    "scann": ("#a86200", "#e6a23c"),
    "svs": ("#7548cf", "#b596ff"),
    "vsag": ("#0a8496", "#48c9dc"),
    "rabitqlib": ("#74761c", "#c5c64c"),
}
# Names under which the same library is installed.
_ALIASES = {"scalable": "svs", "pyvsag": "vsag", "rabitq": "rabitqlib", "pysvs": "svs"}
_OTHERS = (("#8d4a7b", "#dd9acb"), ("#85593f", "#d3a387"), ("#3d7a2f", "#8fd07c"))

#: SVG paths of the shapes within 16 x 16, for the legend of the page.
SHAPES = {
    "circle": "M8 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10z",
    "square": "M3.5 3.5h9v9h-9z",
    "triangle-up": "M8 3l5.5 9.5h-11z",
    "diamond": "M8 2l5 6l-5 6l-5-6z",
    "triangle-down": "M8 13l5.5-9.5h-11z",
    "cross": "M6 2.5h4v3.5h3.5v4h-3.5v3.5h-4v-3.5h-3.5v-4h3.5z",
    "triangle-right": "M13 8l-9.5 5.5v-11z",
    "triangle-left": "M3 8l9.5 5.5v-11z",
}
_DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4], [12, 3], [1, 3], [6, 2, 1, 2])
# Lightness added for the second, third, ... contender of a library.
_SHADES = (0.0, -0.13, 0.11, -0.07, 0.06, -0.19, 0.16, -0.1)

#: Where the rows of a kernel lie; vicinal alone is shown there, so these are not library colours.
WHERE_COLOURS = (
    ("#3f4f9f", "#9daeff"),
    ("#c26a00", "#f0a94a"),
    ("#1c8a7a", "#5bd0bf"),
    ("#8a3f8f", "#d895dd"),
    ("#6a6a6a", "#b9b9b9"),
)


@dataclass(frozen=True)
class Theme:
    """Colours of what is not data."""

    paper: str
    ink: str
    faint: str
    grid: str


LIGHT = Theme("#ffffff", "#1b1f24", "#57606a", "#e3e6ea")
DARK = Theme("#14171b", "#e8eaed", "#a0a8b2", "#2c3138")


@dataclass(frozen=True)
class Mark:
    """How a contender is drawn, in every figure."""

    light: str
    dark: str
    shape: str
    dash: tuple[int, ...]
    ours: bool


class Palette:
    """Marks for contenders, the same for the same list of them.

    Parameters
    ----------
    contenders : iterable of Contender
        All that will be drawn, in the order of the results.
    """

    def __init__(self, contenders: Iterable[Contender]) -> None:
        self._marks: dict[str, Mark] = {}
        colours: dict[str, tuple[str, str]] = {}
        members: dict[str, int] = {}
        for contender in contenders:
            if contender.name in self._marks:
                continue
            library = _library(contender.library)
            if library not in colours:
                free = [pair for pair in _OTHERS if pair not in colours.values()] or _OTHERS
                known = _OURS if contender.ours else _LIBRARIES.get(library)
                colours[library] = known or free[0]
            number = members.get(library, 0)
            members[library] = number + 1
            light, dark = (_shade(colour, number) for colour in colours[library])
            self._marks[contender.name] = Mark(
                light,
                dark,
                tuple(SHAPES)[number % len(SHAPES)],
                tuple(_DASHES[number % len(_DASHES)]),
                contender.ours,
            )

    def __getitem__(self, name: str) -> Mark:
        return self._marks[name]

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order in which they came."""
        return tuple(self._marks)

    def variable(self, name: str) -> str:
        """Return the CSS variable that holds the colour of a contender on the page."""
        return f"--mark-{self.names.index(name)}"


def _library(name: str) -> str:
    """Say which library a package is: faiss-cpu and faiss-gpu are faiss."""
    plain = name.lower().replace("_", "-").partition("-")[0]
    return _ALIASES.get(plain, plain)


def _shade(colour: str, number: int) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    lightness = min(0.82, max(0.22, lightness + _SHADES[number % len(_SHADES)]))
    shaded = colorsys.hls_to_rgb(hue, lightness, saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in shaded)
