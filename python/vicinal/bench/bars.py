"""The figures of building, and of kernels against their bounds."""

from __future__ import annotations

from collections.abc import Sequence

from vicinal.bench import wording
from vicinal.bench.figures import Figure, Look, Spec, bar_height, dot, label, linear_axis, tooltip
from vicinal.bench.records import Build, Kernel
from vicinal.bench.results import Study
from vicinal.bench.style import SHAPES, WHERE_COLOURS

__all__ = ["build_memory", "build_time", "exact_speed", "roofline"]


def build_time(study: Study, look: Look) -> Figure | None:
    """Seconds of building."""
    built = [(c, c.build) for c in study.contenders if c.build is not None]
    if not built:
        return None
    built.sort(key=lambda pair: pair[1].seconds)
    rows: list[Spec] = [
        {
            "contender": contender.name,
            "x": build.seconds,
            "label": wording.seconds(build.seconds) + (" (kept)" if build.from_cache else ""),
            "said": f"{wording.seconds(build.seconds)} s",
            "cpu": "–" if build.cpu_seconds is None else f"{wording.seconds(build.cpu_seconds)} s",
            "threads": str(build.threads or study.settings.build_threads),
            "version": wording.version(contender),
        }
        for contender, build in built
    ]
    names = [contender.name for contender, _ in built]
    hover = tooltip(
        contender="contender", said="build", cpu="processor time", threads="threads",
        version="version",
    )  # fmt: skip
    x = linear_axis([build.seconds for _, build in built], "seconds")
    y = look.contender_axis(names)
    bars = _bars(look, names, x, y, hover)
    labels = label(look, "label", {"x": {"field": "x", **x}, "y": y})
    title = look.title("Build time", study)
    caption = f"Seconds with {study.settings.build_threads} threads. Less is better"
    spec = look.spec(title, caption, rows, [bars, *labels], bar_height(rows))
    return Figure(f"build-{study.key}", title, caption, spec, len(rows))


def build_memory(study: Study, look: Look) -> Figure | None:
    """Memory of building at its peak, what was kept, and the index itself."""
    built = [
        (contender, contender.build)
        for contender in study.contenders
        if contender.build is not None and _memories(contender.build)
    ]
    if not built:
        return None
    built.sort(key=lambda pair: max(_memories(pair[1])))
    rows: list[Spec] = [
        {
            "contender": contender.name,
            "peak": (build.peak_growth_bytes or 0) / 1e6,
            "kept": max(build.kept_growth_bytes or 0, 0) / 1e6,
            "own": None if build.own_bytes is None else build.own_bytes / 1e6,
            "end": max(_memories(build)) / 1e6,
            "label": wording.megabytes(max(_memories(build))),
            "peak_said": wording.megabytes(build.peak_growth_bytes),
            "kept_said": wording.megabytes(build.kept_growth_bytes),
            "own_said": wording.megabytes(build.own_bytes),
        }
        for contender, build in built
    ]
    names = [contender.name for contender, _ in built]
    y = look.contender_axis(names)
    x = linear_axis([row["end"] for row in rows], "megabytes")
    hover = tooltip(
        contender="contender", peak_said="peak, MB", kept_said="kept, MB", own_said="index, MB"
    )
    shared: Spec = {"y": y, "tooltip": hover}
    colour = look.colours(names, legend=False)

    def bar(field: str, strength: float) -> Spec:
        return {
            "mark": {
                "type": "bar",
                "cornerRadiusEnd": 2,
                "height": {"band": 0.68},
                "fillOpacity": strength,
            },
            "encoding": {"x": {"field": field, **x}, "color": colour, **shared, **look.dimmed()},
        }

    own = {
        "mark": {
            "type": "tick",
            "color": look.tone("ink"),
            "thickness": 2,
            "height": {"band": 0.86},
            "opacity": 1,
        },
        "encoding": {"x": {"field": "own", **x}, **shared},
    }
    labels = label(look, "label", {"x": {"field": "end", **x}, "y": y})
    title = look.title("Memory to build", study)
    caption = "Growth of the process: peak pale, kept solid; the tick is the index. Less is better"
    layers = [bar("peak", 0.38), bar("kept", 1), own, *labels]
    spec = look.spec(title, caption, rows, layers, bar_height(rows))
    return Figure(f"memory-{study.key}", title, caption, spec, len(rows))


def exact_speed(study: Study, look: Look) -> Figure | None:
    """Show queries per second of exact search, which has no curve: its recall is 1."""
    found = sorted(study.exact, key=lambda contender: -contender.points[0].rate)
    if not found:
        return None
    rows: list[Spec] = [
        {
            "contender": contender.name,
            "x": contender.points[0].rate,
            "label": wording.rate(contender.points[0].rate),
            "single": _rate(contender.points[0].single_rate),
            "rounds": wording.rounds(contender.points[0]),
            "recall": wording.recall(contender.points[0].recall),
            "version": wording.version(contender),
        }
        for contender in found
    ]
    names = [contender.name for contender in found]
    x = linear_axis([row["x"] for row in rows], "queries per second")
    y = look.contender_axis(names)
    hover = tooltip(
        contender="contender",
        label="queries/s",
        rounds="rounds",
        single="one call per query",
        recall=f"recall@{study.settings.k}",
        version="version",
    )
    bars = _bars(look, names, x, y, hover)
    labels = label(look, "label", {"x": {"field": "x", **x}, "y": y})
    title = look.title("Exact search", study)
    caption = "Every row is compared, so recall is 1. More is better"
    spec = look.spec(title, caption, rows, [bars, *labels], bar_height(rows))
    return Figure(f"exact-{study.key}", title, caption, spec, len(rows), wide=True)


def _bars(look: Look, names: Sequence[str], x: Spec, y: Spec, hover: list[Spec]) -> Spec:
    """Draw a bar for each contender, as long as its field ``x``."""
    return {
        "mark": {"type": "bar", "cornerRadiusEnd": 2, "height": {"band": 0.68}},
        "encoding": {
            "x": {"field": "x", **x},
            "y": y,
            "color": look.colours(names, legend=False),
            "tooltip": hover,
            **look.dimmed(),
        },
    }


def _rate(value: float | None) -> str:
    return wording.DASH if value is None else wording.rate(value)


def roofline(kernels: Sequence[Kernel], look: Look) -> Figure | None:
    """Share that each kernel reaches of what the machine allows."""
    if not kernels:
        return None
    levels = sorted({kernel.level for kernel in kernels})
    rows: list[Spec] = [
        {
            "contender": kernel.name if len(levels) == 1 else f"{kernel.name}, {kernel.level}",
            "where": kernel.where or "anywhere",
            "x": 100 * kernel.reached / kernel.bound,
            "said": f"{100 * kernel.reached / kernel.bound:.0f}%",
            "reached": f"{kernel.reached:,.1f} {kernel.unit}",
            "bound": f"{kernel.bound:,.1f} {kernel.unit}",
            "by": kernel.bound_by,
        }
        for kernel in kernels
    ]
    places = list(dict.fromkeys(str(row["where"]) for row in rows))
    colours = [
        f"var(--where-{i % len(WHERE_COLOURS)})" if look.page else WHERE_COLOURS[i % 5][0]
        for i in range(len(places))
    ]
    shapes = [tuple(SHAPES)[i % len(SHAPES)] for i in range(len(places))]
    legend = {"title": None, "orient": "top", "columns": 2 if look.page else 4}

    def by_place(values: list[str]) -> Spec:
        scale = {"domain": places, "range": values}
        return {"field": "where", "type": "nominal", "scale": scale, "legend": legend}

    x = linear_axis([100, *(row["x"] for row in rows)], "% of the bound", room=1.06)
    y = look.contender_axis(list(dict.fromkeys(str(row["contender"]) for row in rows)))
    y["axis"] = {**y["axis"], "grid": True}
    full = {
        "mark": {"type": "rule", "color": look.tone("faint"), "strokeDash": [3, 3]},
        "encoding": {"x": {"datum": 100, **x}},
    }
    dots = {
        "mark": dot(look),
        "encoding": {
            "x": {"field": "x", **x},
            "y": y,
            "fill": by_place(colours),
            "shape": by_place(shapes),
            "size": {"value": 90},
            "tooltip": tooltip(
                contender="kernel",
                where="rows in",
                said="of the bound",
                reached="reached",
                bound="bound",
                by="bound set by",
            ),
        },
    }
    title = "Kernels against what the machine allows"
    level = f", {levels[0]}" if len(levels) == 1 and levels[0] else ""
    caption = f"One thread{level}; bound: the slower of memory and arithmetic. Right is better"
    spec = look.spec(title, caption, rows, [full, dots], bar_height(rows))
    return Figure("roofline", title, caption, spec, len(rows), wide=True)


def _memories(build: Build) -> list[int]:
    """All counts of bytes that are known and more than none."""
    counts = (build.peak_growth_bytes, build.kept_growth_bytes, build.own_bytes)
    return [count for count in counts if count is not None and count > 0]
