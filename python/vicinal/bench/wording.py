"""Numbers as people read them; the same in figures, in tables and on the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vicinal.bench.records import Contender, Matched, Point, Ratio, Settings

__all__ = [
    "DASH",
    "matched",
    "megabytes",
    "pairs",
    "rate",
    "ratio",
    "recall",
    "repeats",
    "rounds",
    "seconds",
    "version",
]

DASH = "–"  # between two ends; also for a number there is none of


def rate(value: float) -> str:
    """Write queries per second, three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def seconds(value: float) -> str:
    """Write seconds, two digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def megabytes(count: int | None) -> str:
    """Write millions of bytes; a dash where nothing is known."""
    if count is None:
        return DASH
    value = count / 1e6
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}"


def recall(value: float) -> str:
    """Write a recall to four places; cut, not rounded, so that 1 means all."""
    return f"{int(value * 10_000 + 1e-6) / 10_000:.4f}"


def matched(at: Matched | None) -> str:
    """Write throughput at a recall; with the recall itself if no setting is as low."""
    if at is None:
        return DASH
    return rate(at.rate) + (f" (at {recall(at.recall)})" if at.above else "")


def ratio(found: Ratio | None) -> str:
    """Write a ratio with its interval."""
    if found is None:
        return DASH
    places = 1 if found.ratio >= 9.995 else 2
    text = f"{found.ratio:.{places}f}"
    if found.low is None or found.high is None:
        return text
    return f"{text} ({found.low:.{places}f}{DASH}{found.high:.{places}f})"


def rounds(point: Point) -> str:
    """Write the slowest and the fastest round."""
    low, high = min(point.rates), max(point.rates)
    return rate(low) if len(point.rates) == 1 else f"{rate(low)}{DASH}{rate(high)}"


def repeats(settings: Settings) -> str:
    """Say what a number is the median of."""
    count, most = settings.rounds, settings.rounds + settings.extra_rounds
    said = "one round" if count == 1 else f"median of {count} rounds"
    if settings.repeats > 1:
        said += f" of {settings.repeats} repeats"
    return f"{said}, up to {most} where intervals were wide" if most > count else said


def version(contender: Contender) -> str:
    """Write library and version."""
    return f"{contender.library} {contender.version}".strip()


def pairs(values: Mapping[str, Any]) -> str:
    """Write parameters or flags on one line: ``ef=64, refine=float16``."""
    return ", ".join(f"{name}={_plain(value)}" for name, value in values.items())


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
