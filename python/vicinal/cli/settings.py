"""Options that several commands share, and how a TOML file stands in for them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import typer

from vicinal import config
from vicinal.cli.output import UsageProblem

T = TypeVar("T")


class MetricName(str, Enum):
    """How distances are measured."""

    l2 = "l2"
    ip = "ip"
    cosine = "cosine"


class RefineName(str, Enum):
    """What re-ranks the last candidates."""

    none = "none"
    float16 = "float16"
    float32 = "float32"
    sq8 = "sq8"


class KindName(str, Enum):
    """Which index to build."""

    auto = "auto"
    hnsw = "hnsw"
    ivf = "ivf"
    flat = "flat"


class ModeName(str, Enum):
    """How to open an index."""

    map = "map"
    load = "load"


_CHOICE = "What to build"
_INPUT = "What to read"

MetricOption: TypeAlias = Annotated[
    MetricName | None,
    typer.Option("--metric", help="Squared L2, negative inner product or 1 - cosine; default l2."),
]
KindOption: TypeAlias = Annotated[
    KindName | None,
    typer.Option(
        "--index",
        help="Let it be chosen and calibrated, a graph, inverted lists, or exact; default auto, or "
        "ivf with --lists, hnsw with any other option below on what it is made of.",
        rich_help_panel=_CHOICE,
    ),
]
RecallOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--recall",
        min=0.0,
        max=1.0,
        help="auto: share of the ten nearest to find; default 0.95.",
        rich_help_panel=_CHOICE,
    ),
]
MemoryOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--memory",
        min=0,
        help="auto: most bytes that the index may take, such as 500_000_000.",
        rich_help_panel=_CHOICE,
    ),
]
BuildTimeOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--build-time",
        help="auto: seconds that building should take at most, by a forecast on a sample.",
        rich_help_panel=_CHOICE,
    ),
]
CodecOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--codec",
        help="What a search looks at: float32 (default; sq8 for ivf), float16, int8, uint8, sq8, "
        "sq4, float8, or such as pq48, pq96x4, rq16, rabitq2, signs.",
        rich_help_panel=_CHOICE,
    ),
]
RefineOption: TypeAlias = Annotated[
    RefineName | None,
    typer.Option(
        "--refine",
        help="hnsw, ivf: what re-ranks the last candidates; default none. sq8: ivf only.",
        rich_help_panel=_CHOICE,
    ),
]
LinksOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--links", min=2, max=512, help="hnsw: edges per node; default 16.", rich_help_panel=_CHOICE
    ),
]
BuildEfOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--build-ef",
        min=1,
        help="hnsw: candidates weighed per insertion; default 200.",
        rich_help_panel=_CHOICE,
    ),
]
ListsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--lists",
        min=1,
        help="ivf: how many; default about four times the square root of the vectors.",
        rich_help_panel=_CHOICE,
    ),
]
SeedOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--seed", min=0, help="The only source of randomness; default 0.", rich_help_panel=_CHOICE
    ),
]
ThreadsOption: TypeAlias = Annotated[
    int | None,
    typer.Option("--threads", min=1, max=1024, help="Default: one per processor."),
]
KeyOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--key",
        "--column",
        help="Array, dataset or column with the vectors, where a file holds several.",
        rich_help_panel=_INPUT,
    ),
]
ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="TOML file whose keys are the names of these options; options given here win.",
    ),
]


@dataclass(frozen=True)
class IndexSettings:
    """What shapes an index, as flags and TOML files name it; None is the default."""

    metric: Literal["l2", "ip", "cosine"] | None = None
    index: Literal["auto", "hnsw", "ivf", "flat"] | None = None
    recall: float | None = None
    memory: int | None = None
    build_time: float | None = None
    codec: str | None = None
    refine: Literal["none", "float16", "float32", "sq8"] | None = None
    links: int | None = None
    build_ef: int | None = None
    lists: int | None = None
    seed: int | None = None
    threads: int | None = None

    def kind(self) -> str:
        """Tell which index is meant; `UsageProblem` where options contradict each other."""
        shape = [
            name
            for name in ("codec", "refine", "links", "build_ef", "lists")
            if getattr(self, name) is not None
        ]
        usual = "auto" if not shape else "hnsw" if self.lists is None else "ivf"
        kind = self.index or usual
        limits = ("recall", "memory", "build_time")
        foreign = {
            "hnsw": (*limits, "lists"),
            "ivf": (*limits, "links", "build_ef"),
            "flat": (*limits, "refine", "links", "build_ef", "lists", "seed"),
        }
        odd = shape
        if kind != "auto":
            odd = [name for name in foreign[kind] if getattr(self, name) is not None]
        if odd:
            flag = "--" + odd[0].replace("_", "-")
            said = "it chooses by itself" if kind == "auto" else "it has no such setting"
            raise UsageProblem(f"{flag} does not go with --index {kind}: {said}")
        return kind


@dataclass(frozen=True)
class BuildSettings(IndexSettings):
    """Everything that ``vicinal build`` can be told in a file."""

    output: Path | None = None
    key: str | None = None
    rows: int | None = None
    ids: Path | None = None
    ids_key: str | None = None
    queries: Path | None = None
    queries_key: str | None = None


@dataclass(frozen=True)
class EvalSettings(IndexSettings):
    """Everything that ``vicinal eval`` can be told in a file."""

    k: int | None = None
    ef: tuple[int, ...] | None = None
    repeats: int | None = None
    search_threads: int | None = None
    key: str | None = None
    rows: int | None = None
    truth: Path | None = None


def merged(kind: type[T], file: Path | None, flags: dict[str, Any]) -> T:
    """Take settings from a file, overruled by the flags that were given (those not None)."""
    given = {
        name: value.value if isinstance(value, Enum) else value
        for name, value in flags.items()
        if value is not None
    }
    if file is None:
        return kind(**given)
    try:
        settings = config.load(kind, file)
    except ValueError as error:
        raise UsageProblem(str(error), param_hint="--config") from error
    made: T = dataclasses.replace(settings, **given)  # type: ignore[type-var]
    return made
