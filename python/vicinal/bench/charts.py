"""The figures of recall and throughput, and the list of all figures."""

from __future__ import annotations

from collections.abc import Sequence

from vicinal.bench import wording
from vicinal.bench.bars import build_memory, build_time, exact_speed, roofline
from vicinal.bench.figures import (
    Figure,
    Look,
    Spec,
    bar_height,
    dot,
    label,
    log_axis,
    recall_axis,
    stretched,
    tooltip,
)
from vicinal.bench.records import Contender
from vicinal.bench.results import Results, Study
from vicinal.bench.sizes import TARGET, size_recall, size_speed

__all__ = ["figures_of"]


def figures_of(results: Results, look: Look) -> dict[str, list[Figure]]:
    """Make all figures: those of each study under its key, those of kernels under "kernels"."""
    out: dict[str, list[Figure]] = {}
    for study in results.studies():
        makers = (curves, ratios, size_speed, size_recall, build_time, build_memory, exact_speed)
        made = (make(study, look) for make in makers)
        out[study.key] = [figure for figure in made if figure is not None]
    kernels = roofline(results.newest_kernels(), look)
    if kernels is not None:
        out["kernels"] = [kernels]
    return out


def curves(study: Study, look: Look) -> Figure | None:
    """Throughput against recall, one curve for each contender."""
    rows: list[Spec] = [
        {
            "contender": contender.name,
            "x": stretched(point.recall),
            "y": point.rate,
            "recall": wording.recall(point.recall),
            "rate": wording.rate(point.rate),
            "rounds": wording.rounds(point),
            "params": wording.pairs(point.params),
            "version": wording.version(contender),
        }
        for contender in _ours_last(study.curved)
        for point in contender.points
    ]
    if not rows:
        return None
    k = study.settings.k
    names = [contender.name for contender in study.curved]
    recalls = [point.recall for contender in study.curved for point in contender.points]
    ours = "indexof(ours, datum.contender) >= 0"
    x = {"field": "x", **recall_axis(recalls, f"recall@{k} (stretched towards 1)")}
    y = {"field": "y", **log_axis([row["y"] for row in rows], "queries per second (log)")}
    where = {"x": x, "y": y, **look.dimmed()}
    line = {
        "mark": {"type": "line", "aria": False},
        "encoding": {
            **where,
            "color": look.colours(names, legend=False),
            "strokeDash": look.dashes(names),
            "strokeWidth": {"condition": {"test": ours, "value": 2.6}, "value": 1.4},
        },
    }
    dots = {
        "mark": dot(look),
        "encoding": {
            **where,
            "fill": look.colours(names, legend=True),
            "shape": look.shapes(names, legend=True),
            "size": {"condition": {"test": ours, "value": 80}, "value": 52},
            "tooltip": tooltip(
                contender="contender",
                params="parameters",
                recall=f"recall@{k}",
                rate="queries/s",
                rounds="rounds",
                version="version",
            ),
        },
    }
    repeats = wording.repeats(study.settings).capitalize()
    caption = f"{repeats}, {_threads(study)}. Up and right is better"
    title = look.title("Recall and throughput", study)
    spec = look.spec(title, caption, rows, [line, dots], 400)
    return Figure(f"recall-{study.key}", title, caption, spec, len(rows), wide=True)


def ratios(study: Study, look: Look) -> Figure | None:
    """Throughput at one recall over that of the reference, with intervals."""
    reference = study.reference
    curved = {contender.name for contender in study.curved}
    found = [
        ratio
        for ratio in study.ratios
        if ratio.contender in curved
        and ratio.reference == reference
        and abs(ratio.target - float(TARGET)) < 1e-9
    ]
    if not found:
        return None
    found.sort(key=lambda ratio: -ratio.ratio)
    rows: list[Spec] = [
        {
            "contender": ratio.contender,
            "ratio": ratio.ratio,
            "low": ratio.ratio if ratio.low is None else ratio.low,
            "high": ratio.ratio if ratio.high is None else ratio.high,
            "label": f"{ratio.ratio:.2f}",
            "said": wording.ratio(ratio),
            "rounds": str(ratio.rounds),
        }
        for ratio in found
    ]
    names = [ratio.contender for ratio in found]
    ends = [1.0] + [value for row in rows for value in (row["low"], row["high"])]
    axis = log_axis(ends, f"times {reference} (log)", "~r", above=1.5)
    y = look.contender_axis(names)
    colour = look.colours(names, legend=False)
    hover = tooltip(contender="contender", said="ratio (95% interval)", rounds="rounds")
    one = {
        "mark": {"type": "rule", "color": look.tone("faint"), "strokeDash": [3, 3]},
        "encoding": {"x": {"datum": 1, **axis}},
    }
    spans = {
        "mark": {"type": "rule", "strokeWidth": 3, "strokeCap": "round"},
        "encoding": {
            "x": {"field": "low", **axis},
            "x2": {"field": "high"},
            "y": y,
            "color": colour,
            "tooltip": hover,
            **look.dimmed(),
        },
    }
    dots = {
        "mark": dot(look),
        "encoding": {
            "x": {"field": "ratio", **axis},
            "y": y,
            "fill": colour,
            "shape": look.shapes(names, legend=False),
            "size": {"value": 80},
            "tooltip": hover,
            **look.dimmed(),
        },
    }
    labels = label(look, "label", {"x": {"field": "high", **axis}, "y": y})
    title = look.title(f"Throughput at recall {TARGET} over {reference}", study)
    caption = "Paired in each round; the bar is the 95% interval. Right is better"
    spec = look.spec(title, caption, rows, [one, spans, *labels, dots], bar_height(rows))
    return Figure(f"ratio-{study.key}", title, caption, spec, len(rows), wide=True)


def _ours_last(contenders: Sequence[Contender]) -> list[Contender]:
    """Put vicinal last: what is drawn last lies on top."""
    return sorted(contenders, key=lambda contender: contender.ours)


def _threads(study: Study) -> str:
    count = study.settings.search_threads
    calls = "one call per query" if study.settings.mode == "single" else "all queries in one call"
    return f"{count} thread{'' if count == 1 else 's'}, {calls}"
