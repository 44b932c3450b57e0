"""How much recall each effort gives: measured once, kept with the index, asked for by recall."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from vicinal._convert import as_count
from vicinal.errors import ArgumentError

__all__ = ["Calibration", "Curve", "Effort"]

MOST_POINTS = 4096  # of a curve in a file
LARGEST_SLACK = 1000


class Effort(NamedTuple):
    """How hard a search tries.

    Attributes
    ----------
    ef : int
        Candidates kept.
    slack : float or None
        How much farther than the k-th nearest found a candidate may be and still be followed; None
        if that does not count.
    """

    ef: int
    slack: float | None


@dataclass(frozen=True)
class Curve:
    """Recall against effort, for one number of neighbours.

    Attributes
    ----------
    k : int
        Neighbours per query.
    ef : tuple of int
        Candidates kept, ascending.
    slack : tuple of float, or None
        Beside each ef, not descending; None where walks ended by ef alone.
    fitted : tuple of float
        recall@k of each effort on the queries that choose.
    checked : tuple of float
        The same on the others, which choose nothing.
    """

    k: int
    ef: tuple[int, ...]
    slack: tuple[float, ...] | None
    fitted: tuple[float, ...]
    checked: tuple[float, ...]

    def at(self, place: int) -> Effort:
        """Give one of the efforts that were measured."""
        return Effort(self.ef[place], None if self.slack is None else self.slack[place])

    def effort(self, recall: float) -> Effort | None:
        """Least effort whose recall reaches `recall`; None if none that was measured does.

        Between two measurements the log odds of recall are taken to grow as the log of ef, and as
        slack does: on real data they nearly do.
        """
        reached = np.maximum.accumulate(self.fitted)
        at = int(np.searchsorted(reached, recall))
        if at == len(reached):
            return None
        if at == 0:
            return self.at(0)
        low, wanted, high = (_log_odds(share) for share in (reached[at - 1], recall, reached[at]))
        part = min(1.0, (wanted - low) / max(high - low, 1e-9))
        before, after = self.at(at - 1), self.at(at)
        logs = math.log(before.ef), math.log(after.ef)
        ef = min(after.ef, math.ceil(math.exp(logs[0] + part * (logs[1] - logs[0])) - 1e-6))
        if before.slack is None or after.slack is None:
            return Effort(ef, None)
        return Effort(ef, before.slack + part * (after.slack - before.slack))


def _log_odds(share: float) -> float:
    share = min(max(share, 1e-4), 1 - 1e-4)
    return math.log(share / (1 - share))


@dataclass(frozen=True)
class Calibration:
    """What :meth:`vicinal.HNSWIndex.calibrate` measured; prints as a table.

    Attributes
    ----------
    rows : int
        Vectors in the index at that time.
    queries : int
        Queries measured, both halves together.
    source : str
        "queries" that were given, or "rows" of the index, each looked for without itself.
    curves : tuple of Curve
        One for each k, ascending.
    """

    rows: int
    queries: int
    source: str
    curves: tuple[Curve, ...]

    def effort(self, k: int, recall: float) -> Effort:
        """Least effort that reaches `recall` for the first `k` neighbours.

        Parameters
        ----------
        k : int
            What is not calibrated counts as the next larger that is.
        recall : float
            Share of the true neighbours, above 0 and below 1.

        Raises
        ------
        ArgumentError
            No such k was calibrated, or nothing measured reached that recall. A ``ValueError``.
        """
        k = as_count(k, "k")
        share = as_share(recall)
        curve = next((curve for curve in self.curves if curve.k >= k), None)
        if curve is None:
            most = self.curves[-1].k
            raise ArgumentError(
                f"k is {k}; this index is calibrated for up to {most}: calibrate(k={k}) first"
            )
        effort = curve.effort(share)
        if effort is None:
            best = int(np.argmax(curve.fitted))
            further = f"calibrate(recall={share:g}) looks further; else "
            if share == 1:
                further = "only exact search promises all; "
            raise ArgumentError(
                f"recall of {share:g} was not reached for k {curve.k}: {curve.fitted[best]:.4f} at "
                f"ef {curve.ef[best]} is the most measured. {further}ask for less, or build with "
                "more links or a finer codec"
            )
        return effort

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers, as JSON holds them."""
        return {
            "rows": self.rows,
            "queries": self.queries,
            "source": self.source,
            "curves": [
                {
                    "k": curve.k,
                    "ef": list(curve.ef),
                    "slack": None if curve.slack is None else list(curve.slack),
                    "fitted": list(curve.fitted),
                    "checked": list(curve.checked),
                }
                for curve in self.curves
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Calibration:
        """Undo :meth:`to_dict`; ArgumentError if a value is missing, unknown or cannot be."""
        _keys(values, "calibration", ("rows", "queries", "source", "curves"))
        source, curves = values["source"], values["curves"]
        if source not in ("queries", "rows"):
            raise ArgumentError(f"calibration: source is {source!r}; wanted 'queries' or 'rows'")
        if not isinstance(curves, list) or not curves:
            raise ArgumentError(f"calibration: curves must be a list of them, got {curves!r:.80}")
        read = tuple(_curve(curve) for curve in curves)
        ks = [curve.k for curve in read]
        if ks != sorted(set(ks)):
            raise ArgumentError(f"calibration: k of the curves must ascend, got {ks}")
        return cls(
            rows=as_count(values["rows"], "calibration: rows"),
            queries=as_count(values["queries"], "calibration: queries"),
            source=str(source),
            curves=read,
        )

    def __str__(self) -> str:
        kind = "given queries" if self.source == "queries" else "rows of the index"
        other = self.queries - self.queries // 2
        lines = [
            f"{self.rows:,} vectors; fitted on {self.queries // 2:,} {kind}, checked on "
            f"{other:,} others"
        ]
        for curve in self.curves:
            name = f"recall@{curve.k}"
            lines.append(f"{'ef':>6}  {'slack':>6}  {name:>11}  {'checked':>7}")
            for place, (fitted, checked) in enumerate(
                zip(curve.fitted, curve.checked, strict=True)
            ):
                ef, slack = curve.at(place)
                shown = "-" if slack is None else f"{slack:.4f}"
                lines.append(f"{ef:>6}  {shown:>6}  {fitted:>11.4f}  {checked:>7.4f}")
        return "\n".join(lines)


def _keys(values: object, what: str, wanted: tuple[str, ...]) -> None:
    if not isinstance(values, Mapping):
        raise ArgumentError(f"{what} must be an object, got {type(values).__name__}")
    if set(values) != set(wanted):
        odd = ", ".join(sorted(map(str, set(values) ^ set(wanted))))
        raise ArgumentError(f"{what} lacks or does not know: {odd}")


def _curve(values: Any) -> Curve:
    what = "calibration: a curve"
    _keys(values, what, ("k", "ef", "slack", "fitted", "checked"))
    lists = {name: values[name] for name in ("ef", "fitted", "checked")}
    if values["slack"] is not None:
        lists["slack"] = values["slack"]
    if not all(isinstance(part, list) and 0 < len(part) <= MOST_POINTS for part in lists.values()):
        raise ArgumentError(f"{what}: ef, slack, fitted and checked must be lists")
    if len({len(part) for part in lists.values()}) > 1:
        raise ArgumentError(f"{what}: ef, slack, fitted and checked must be equally long")
    for name, largest in (("slack", LARGEST_SLACK), ("fitted", 1), ("checked", 1)):
        for value in lists.get(name, []):
            number = isinstance(value, float | int) and not isinstance(value, bool)
            if not number or not 0 <= value <= largest:
                raise ArgumentError(f"{what}: {name} must be from 0 to {largest}, got {value!r}")
    efs = tuple(as_count(ef, f"{what}: ef") for ef in lists["ef"])
    slacks = tuple(map(float, lists.get("slack", [])))
    if list(efs) != sorted(set(efs)):
        raise ArgumentError(f"{what}: ef must ascend, got {list(efs)}")
    if list(slacks) != sorted(slacks):
        raise ArgumentError(f"{what}: slack must not descend, got {list(slacks)}")
    return Curve(
        as_count(values["k"], f"{what}: k"),
        efs,
        slacks or None,
        tuple(map(float, lists["fitted"])),
        tuple(map(float, lists["checked"])),
    )


def as_share(recall: object) -> float:
    """Make a recall of a number: above 0 and up to 1."""
    if isinstance(recall, bool) or not isinstance(recall, float | int | np.floating | np.integer):
        raise TypeError(f"recall must be a number, got {type(recall).__name__} {recall!r}")
    share = float(recall)
    if not 0 < share <= 1:
        raise ArgumentError(f"recall must be above 0 and at most 1, got {recall!r}")
    return share


def as_slack(slack: object) -> float:
    """Make a slack of a number: from 0 to 1000."""
    if isinstance(slack, bool) or not isinstance(slack, float | int | np.floating | np.integer):
        raise TypeError(f"slack must be a number, got {type(slack).__name__} {slack!r}")
    number = float(slack)
    if not 0 <= number <= LARGEST_SLACK:
        raise ArgumentError(f"slack must be from 0 to {LARGEST_SLACK}, got {slack!r}")
    return number


def as_neighbours(k: object) -> tuple[int, ...]:
    """Make ascending numbers of neighbours of one or several."""
    if isinstance(k, Sequence | np.ndarray) and not isinstance(k, str | bytes):
        if len(k) == 0:
            raise ArgumentError("k has 0 entries; wanted at least 1")
        return tuple(sorted({as_count(one, "k") for one in k}))
    return (as_count(k, "k"),)
