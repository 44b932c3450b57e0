"""The figures of compression: bytes for each vector against throughput and recall."""

from __future__ import annotations

from collections.abc import Sequence

from vicinal.bench import wording
from vicinal.bench.figures import Figure, Look, Spec, dot, log_axis, recall_axis, stretched, tooltip
from vicinal.bench.records import Build, Contender
from vicinal.bench.results import Study

__all__ = ["TARGET", "size_recall", "size_speed"]

#: The recall at which figures compare throughput.
TARGET = "0.95"


def size_speed(study: Study, look: Look) -> Figure | None:
    """Bytes for each vector against throughput at one recall."""
    chosen = [c for c in study.curved if _size(c, study) and TARGET in c.at_recall]
    if not chosen:
        return None
    rates = [contender.at_recall[TARGET].rate for contender in chosen]
    y = {"field": "y", **log_axis(rates, f"queries/s at recall {TARGET} (log)")}
    said = [wording.matched(contender.at_recall[TARGET]) for contender in chosen]
    title = look.title("Size and throughput", study)
    hover = f"queries/s at recall {TARGET}"
    return _by_size("size-speed", title, study, look, chosen, y, rates, said, hover)


def size_recall(study: Study, look: Look) -> Figure | None:
    """Bytes for each vector against the best recall."""
    chosen = [c for c in study.curved if _size(c, study)]
    if not chosen:
        return None
    recalls = [contender.best_recall or 0.0 for contender in chosen]
    title = look.title("Size and best recall", study)
    named = f"best recall@{study.settings.k}"
    y = {"field": "y", **recall_axis(recalls, f"{named} (stretched)", tight=True)}
    said = [wording.recall(recall) for recall in recalls]
    heights = [stretched(recall) for recall in recalls]
    return _by_size("size-recall", title, study, look, chosen, y, heights, said, named)


def _by_size(
    name: str,
    title: str,
    study: Study,
    look: Look,
    chosen: Sequence[Contender],
    y: Spec,
    heights: Sequence[float],
    said: Sequence[str],
    hover: str,
) -> Figure:
    raw = 4.0 * study.dataset.dim
    rows = [
        {
            "contender": contender.name,
            "bytes": _size(contender, study),
            "y": height,
            "said": text,
            "size": f"{_size(contender, study):,.0f}",
            "source": _size_source(contender.build),
            "version": wording.version(contender),
        }
        for contender, height, text in zip(chosen, heights, said, strict=True)
    ]
    rows.sort(key=lambda row: look.palette[str(row["contender"])].ours)
    sizes = [raw, *(_size(contender, study) for contender in chosen)]
    names = [contender.name for contender in chosen]
    x = log_axis(sizes, "bytes per vector (log)", "~r", room=1.2)
    floats = {"x": raw, "text": "float32 rows"}
    rule = {
        "data": {"values": [floats]},
        "mark": {"type": "rule", "color": look.tone("faint"), "strokeDash": [3, 3]},
        "encoding": {"x": {"field": "x", **x}},
    }
    note = {
        "data": {"values": [floats]},
        "mark": {
            "type": "text",
            "align": "right",
            "baseline": "bottom",
            "dx": -5,
            "color": look.tone("faint"),
            "fontSize": 11,
            "y": 276,
        },
        "encoding": {"x": {"field": "x", **x}, "text": {"field": "text"}},
    }
    dots = {
        "mark": dot(look),
        "encoding": {
            "x": {"field": "bytes", **x},
            "y": y,
            "fill": look.colours(names, legend=True),
            "shape": look.shapes(names, legend=True),
            "size": {
                "condition": {"test": "indexof(ours, datum.contender) >= 0", "value": 170},
                "value": 100,
            },
            "tooltip": tooltip(
                contender="contender",
                size="bytes per vector",
                source="size of",
                said=hover,
                version="version",
            ),
            **look.dimmed(),
        },
    }
    caption = f"One vector is {study.dataset.dim:,} dimensions. Up and left is better"
    spec = look.spec(title, caption, rows, [rule, note, dots], 280)
    return Figure(f"{name}-{study.key}", title, caption, spec, len(rows))


def _size(contender: Contender, study: Study) -> float:
    own = contender.build.own_bytes if contender.build is not None else None
    return (own or 0) / study.dataset.rows


def _size_source(build: Build | None) -> str:
    return "its file" if build is not None and build.file_bytes else "what it says itself"
