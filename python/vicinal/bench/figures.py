"""What every figure is made of: look, axes, encodings. Figures are Vega-Lite specifications."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from vicinal.bench.results import Study
from vicinal.bench.style import LIGHT, Palette, Theme

__all__ = [
    "Figure",
    "Look",
    "Spec",
    "bar_height",
    "dot",
    "label",
    "linear_axis",
    "log_axis",
    "log_ticks",
    "recall_axis",
    "stretched",
    "tooltip",
]

Spec: TypeAlias = dict[str, Any]

#: Recalls that may be marked on an axis.
_RECALLS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
#: Height of one bar with what is between it and the next.
BAR_STEP = 26
_FILE_WIDTH = 640
_PAGE_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif'
_FILE_FONT = "Helvetica, Arial, Liberation Sans, sans-serif"


@dataclass(frozen=True)
class Figure:
    """One figure; ``name`` is that of its file and of its element on the page.

    ``points`` counts the marks that stand for measurements.
    """

    name: str
    title: str
    caption: str
    spec: Spec
    points: int
    wide: bool = False


@dataclass(frozen=True)
class Look:
    """Where a figure will stand.

    On the page it takes the width there is, and its colours are CSS variables, so that light, dark
    and paper need no second drawing. In a file it has a width, a title and a legend.
    """

    palette: Palette
    page: bool
    theme: Theme = LIGHT

    def colour(self, contender: str) -> str:
        """Return the colour of a contender."""
        if self.page:
            return f"var({self.palette.variable(contender)})"
        return self.palette[contender].light

    def tone(self, name: str) -> str:
        """Return the colour of what is not data: paper, ink, faint or grid."""
        return f"var(--{name})" if self.page else str(getattr(self.theme, name))

    def names(self, contenders: Sequence[str]) -> list[str]:
        """Return these contenders in the order of the palette."""
        return [name for name in self.palette.names if name in contenders]

    def colours(self, contenders: Sequence[str], *, legend: bool) -> Spec:
        """Encode the colour of contenders."""
        names = self.names(contenders)
        return self._nominal(names, [self.colour(name) for name in names], legend)

    def shapes(self, contenders: Sequence[str], *, legend: bool) -> Spec:
        """Encode the shape of contenders."""
        names = self.names(contenders)
        return self._nominal(names, [self.palette[name].shape for name in names], legend)

    def dashes(self, contenders: Sequence[str]) -> Spec:
        """Encode the dashes of contenders."""
        names = self.names(contenders)
        return self._nominal(names, [list(self.palette[name].dash) for name in names], False)

    def _nominal(self, names: list[str], values: list[Any], legend: bool) -> Spec:
        shown = {"title": None} if legend and not self.page else None
        if shown is None:
            # Legends of one domain become one, and that is hidden if one of them is: what has no
            # legend gets its domain in another order.
            names, values = names[::-1], values[::-1]
        scale = {"domain": names, "range": values}
        return {"field": "contender", "type": "nominal", "scale": scale, "legend": shown}

    def title(self, what: str, study: Study) -> str:
        """Make the title of a figure; on the page the section says which data it is of."""
        return what if self.page else f"{what}, {study.title}"

    def dimmed(self) -> Spec:
        """Encode opacity: on the page, all but the contender chosen in the legend are dimmed."""
        if not self.page:
            return {}
        test = "chosen === null || datum.contender === chosen"
        return {"opacity": {"condition": {"test": test, "value": 1}, "value": 0.12}}

    def contender_axis(self, order: Sequence[str]) -> Spec:
        """Encode contenders one below the other, those of vicinal in bold."""
        bold = {
            "condition": {"test": "indexof(ours, datum.value) >= 0", "value": "bold"},
            "value": "normal",
        }
        axis = {
            "title": None,
            "ticks": False,
            "domain": False,
            "labelLimit": 170,
            "labelPadding": 6,
            "labelFontWeight": bold,
            "labelColor": self.tone("ink"),
        }
        return {"field": "contender", "type": "nominal", "sort": list(order), "axis": axis}

    def spec(
        self, title: str, caption: str, rows: list[Spec], layer: list[Spec], height: int
    ) -> Spec:
        """Put a specification together; the height is that between the axes."""
        ours = [name for name in self.palette.names if self.palette[name].ours]
        spec: Spec = {
            "width": "container" if self.page else _FILE_WIDTH,
            "autosize": {"type": "fit-x" if self.page else "pad", "contains": "padding"},
            "background": "transparent" if self.page else self.theme.paper,
            "padding": 2 if self.page else 16,
            "params": [{"name": "chosen", "value": None}, {"name": "ours", "value": ours}],
            "data": {"values": rows},
            "layer": layer,
            "config": self._config(),
            "height": height,
        }
        if not self.page:
            spec["title"] = {"text": title, "subtitle": caption}
        return spec

    def _config(self) -> Spec:
        ink, faint, grid = self.tone("ink"), self.tone("faint"), self.tone("grid")
        return {
            "font": _PAGE_FONT if self.page else _FILE_FONT,
            "view": {"stroke": None},
            "axis": {
                "labelColor": faint,
                "titleColor": faint,
                "gridColor": grid,
                "tickColor": grid,
                "domainColor": grid,
                "labelFontSize": 12,
                "titleFontSize": 12,
                "titleFontWeight": "normal",
                "titlePadding": 8,
            },
            "legend": {"labelColor": ink, "labelFontSize": 12, "labelLimit": 0, "symbolSize": 90},
            "title": {
                "anchor": "start",
                "frame": "group",
                "color": ink,
                "subtitleColor": faint,
                "fontSize": 17,
                "subtitleFontSize": 12,
                "subtitlePadding": 6,
                "offset": 16,
            },
        }


def bar_height(rows: Sequence[Spec]) -> int:
    """Return the height of a figure that has a place for each contender."""
    return BAR_STEP * len({row["contender"] for row in rows})


def tooltip(**titles: str) -> list[Spec]:
    """Encode what hovering shows: field and its title."""
    return [{"field": field, "type": "nominal", "title": title} for field, title in titles.items()]


def stretched(recall: float) -> float:
    """Place a recall on an axis that gives more room the nearer to 1."""
    return 1 - math.sqrt(1 - recall)


def recall_axis(recalls: Sequence[float], title: str, *, tight: bool = False) -> Spec:
    """Encode values placed by `stretched`, marked with the recalls they stand for.

    It begins at 0.85 or below; if it is tight, a little below the lowest recall.
    """
    low = min(0.85, math.floor(min(recalls) * 20) / 20)
    if tight:
        low = max(0.0, 1 - 1.4 * (1 - min(recalls)) - 0.002)
    marked = [stretched(recall) for recall in _RECALLS if recall >= low]
    axis = {
        "title": title,
        "values": marked,
        "labelExpr": "format(1 - pow(1 - datum.value, 2), '.3~f')",
        "labelOverlap": "greedy",
        "ticks": False,
    }
    return {
        "type": "quantitative",
        "scale": {"domain": [stretched(low), 1.012], "nice": False, "zero": False},
        "axis": axis,
    }


def log_axis(
    values: Sequence[float],
    title: str,
    form: str = "~s",
    room: float = 1.12,
    above: float | None = None,
) -> Spec:
    """Encode a quantity on a logarithmic axis with round numbers on it.

    ``room`` is the factor to the ends of the axis, ``above`` that to the upper one if it differs.
    """
    low, high = min(values) / room, max(values) * (above or room)
    axis = {
        "title": title,
        "values": log_ticks(low, high),
        "format": form,
        "labelOverlap": "greedy",
        "ticks": False,
    }
    scale = {"type": "log", "domain": [low, high], "nice": False}
    return {"type": "quantitative", "scale": scale, "axis": axis}


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two bounds, some three to ten of them.

    Examples
    --------
    >>> log_ticks(80, 2500)
    [100.0, 200.0, 500.0, 1000.0, 2000.0]
    >>> log_ticks(0.9, 1.6)
    [0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
    """
    decades = math.log10(high / low)
    if decades < 0.5:
        step = 10.0 ** math.floor(math.log10(high - low))
        if (high - low) / step < 3:
            step /= 5 if (high - low) / step < 1.5 else 2
        if (high - low) / step > 8:
            step *= 2
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return [float(f"{i * step:.10g}") for i in range(first, last + 1)]
    coarse = (1, 2, 5) if decades < 2.5 else (1, 3) if decades < 4 else (1,)
    mantissas = (1, 1.5, 2, 3, 5, 7) if decades < 1 else coarse
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{m * 10.0**p:.10g}") for p in powers for m in mantissas]
    return [tick for tick in ticks if low <= tick <= high]


def dot(look: Look) -> Spec:
    """Make the mark of a measurement, with a thin edge of paper against its neighbours."""
    paper = look.tone("paper")
    return {"type": "point", "filled": True, "opacity": 1, "stroke": paper, "strokeWidth": 0.8}


def label(look: Look, field: str, where: Spec) -> list[Spec]:
    """Make layers of text to the right of marks: paper around it first, then the text."""
    shared = {"type": "text", "align": "left", "baseline": "middle", "dx": 7, "fontSize": 12}
    paper, ink = look.tone("paper"), look.tone("ink")
    halo = {**shared, "fill": paper, "stroke": paper, "strokeWidth": 6, "strokeJoin": "round"}
    encoding = {**where, "text": {"field": field}}
    return [
        {"mark": {**halo, "aria": False}, "encoding": encoding},
        {"mark": {**shared, "color": ink}, "encoding": encoding},
    ]


def linear_axis(values: Sequence[float], title: str, room: float = 1.2) -> Spec:
    """Encode a quantity on an axis from 0, with room for labels beyond the last mark."""
    axis = {
        "title": title,
        "ticks": False,
        "tickCount": 5,
        "format": "~s",
        "labelOverlap": "greedy",
    }
    scale = {"domain": [0, (max(values) or 1) * room], "nice": False}
    return {"type": "quantitative", "scale": scale, "axis": axis}
