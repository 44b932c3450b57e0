"""What :func:`vicinal.build` chose, why, and what it measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from vicinal.errors import ArgumentError

__all__ = ["BuildReport", "Tried"]


class Tried(NamedTuple):
    """Codes that :func:`vicinal.build` looked at, on a sample.

    Attributes
    ----------
    codes : str
    bytes : int
        Of one code, as stored.
    found : float
        Share of the ten true neighbours among the 24 nearest by codes.
    """

    codes: str
    bytes: int
    found: float


@dataclass(frozen=True)
class BuildReport:
    """What :func:`vicinal.build` chose, why, and what it measured; prints in plain words.

    Attributes
    ----------
    kind : str
        Class of the index.
    why : str
        The reason for it, in words.
    rows, dim : int
    metric : str
    target_recall : float
        What was asked for.
    recall : float
        recall@10 on the half of the sample that did not choose `ef`; 1 for exact search.
    tuned_recall : float
        recall@10 on the half that did.
    reached : bool
        Whether `tuned_recall` reached the target.
    ef : int
        Candidates kept per query; 0 for exact search.
    sample : int
        Queries used, both halves together; 0 for exact search.
    sample_source : str
        "queries" that were given, "rows" of the data itself, or "none".
    queries_per_second : float
        One thread, one batch, on the machine that built it; 0 if not measured.
    bytes_per_vector : float
    build_seconds : float
        From the call to its end, calibration included.
    level : str
        Level of kernels in use while measuring.
    seed : int
    slack : float or None
        How much farther than the tenth found a candidate may be and still be followed.
    codes : str
        What a walk looks at; "" for exact search.
    tried : tuple of Tried
        Codes that were looked at to choose these; the shortest of which enough was found won.
    """

    kind: str
    why: str
    rows: int
    dim: int
    metric: str
    target_recall: float
    recall: float
    tuned_recall: float
    reached: bool
    ef: int
    sample: int
    sample_source: str
    queries_per_second: float
    bytes_per_vector: float
    build_seconds: float
    level: str
    seed: int
    slack: float | None = None
    codes: str = ""
    tried: tuple[Tried, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain strings and numbers, as JSON holds them."""
        return {**dataclasses.asdict(self), "tried": [list(one) for one in self.tried]}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> BuildReport:
        """Undo :meth:`to_dict`; ArgumentError if a value is missing, unknown or of another type."""
        if not isinstance(values, Mapping):
            raise ArgumentError(f"report must be an object, got {type(values).__name__}")
        fields = {field.name: field.type for field in dataclasses.fields(cls)}
        # Of files from before there were such.
        values = {"slack": None, "codes": "", "tried": [], **values}
        if set(values) != set(fields):
            odd = ", ".join(sorted(set(values) ^ set(fields)))
            raise ArgumentError(f"report lacks or does not know: {odd}")
        types: dict[Any, tuple[type, ...]] = {
            "str": (str,),
            "int": (int,),
            "float": (float, int),
            "bool": (bool,),
            "float | None": (float, int, type(None)),
        }
        values["tried"] = _tried(values["tried"])
        for name, kind in fields.items():
            if name == "tried":
                continue
            value = values[name]
            fits = isinstance(value, types[kind]) and (kind == "bool") == isinstance(value, bool)
            if fits and "float" in str(kind) and isinstance(value, int):
                fits = abs(value) < 2**1023  # what no float holds could not be printed
            if not fits:
                raise ArgumentError(f"report: {name} must be {kind}, got {value!r:.80}")
        return cls(**dict(values))  # type: ignore[arg-type]

    def __str__(self) -> str:
        lines = [
            f"{self.kind} of {self.rows:,} vectors, dim {self.dim}, {self.metric}",
            f"why        {self.why}",
        ]
        if self.sample:
            source = "given queries" if self.sample_source == "queries" else "rows of the data"
            slack = "" if self.slack is None else f", slack {self.slack:.4f}"
            verdict = "" if self.reached else ", NOT reached"
            lines += [
                f"recall@10  {self.recall:.4f} on {self.sample - self.sample // 2} {source} that "
                f"did not choose ef (asked for {self.target_recall:g}{verdict})",
                f"ef         {self.ef}{slack}, recall@10 {self.tuned_recall:.4f} on the "
                f"{self.sample // 2} that did",
                f"speed      {self.queries_per_second:,.0f} queries/s, one thread, {self.level}",
            ]
        else:
            lines.append("recall     1, exact")
        lines += [
            *tried_lines(self.tried),
            f"memory     {self.bytes_per_vector:,.1f} bytes per vector",
            f"built in   {self.build_seconds:,.1f} s",
        ]
        return "\n".join(lines)


def tried_lines(tried: tuple[Tried, ...]) -> list[str]:
    """Tell what was tried, for people."""
    return [
        f"{'' if at else 'tried':10} {one.codes}: {one.bytes} bytes, {one.found:.4f} of the ten "
        "among the 24 nearest by codes"
        for at, one in enumerate(tried)
    ]


def _tried(values: object) -> tuple[Tried, ...]:
    wrong = ArgumentError(f"report: tried must hold [codes, bytes, found] each, got {values!r:.80}")
    if not isinstance(values, list | tuple):
        raise wrong
    tried = []
    for one in values:
        if not isinstance(one, list | tuple) or len(one) != 3:
            raise wrong
        codes, size, found = one
        whole = isinstance(size, int) and not isinstance(size, bool)
        share = isinstance(found, int | float) and not isinstance(found, bool)
        share = share and (isinstance(found, float) or abs(found) < 2**1023)
        if not (isinstance(codes, str) and whole and share):
            raise wrong
        tried.append(Tried(codes, size, float(found)))
    return tuple(tried)
