"""What the measuring loop asks of a library. An adapter is a subclass of a few lines.

An adapter imports its library when it is made, in the process where only that library lives.
"""

from __future__ import annotations

import importlib.metadata
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..datasets import Floats, Ints

Params = dict[str, int]

LINKS, BUILD_EF = 16, 200  # of every graph whose own manual does not ask for something else


class RefusedError(Exception):
    """The library does not do this: the message becomes the reason in its row."""


class Adapter(ABC):
    """One library in one form. ``flags`` says how it was called."""

    library = ""  # as it is called where packages are installed from
    saves = True

    def __init__(self, dim: int, metric: str) -> None:
        self.dim, self.metric = dim, metric  # metric: "l2", or "ip" over rows of length one
        self.flags: dict[str, Any] = {}
        self.threads = 1
        self.params: Params = {}

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.library)

    @abstractmethod
    def build(self, base: Floats, threads: int) -> None:
        """Everything from float32 rows to an index that can be searched."""

    def ready(self, threads: int) -> None:
        """Called once, before the first search, with the threads that searches may use."""
        self.threads = threads

    def sweep(self, k: int) -> list[list[Params]]:
        """Settings to try: lists of rising effort, one list per value of a second setting."""
        return [[{"ef": ef} for ef in rising(k)]]

    def tune(self, k: int, params: Params) -> None:
        """Set what the next searches use; not timed."""
        self.params = params

    @abstractmethod
    def search(self, queries: Floats, k: int) -> Ints:
        """Row numbers, shape (q, k); what lies outside the rows counts as not found."""

    def save(self, path: Path) -> None:
        """Write the index as a file, or a folder of files, called ``path``."""
        raise RefusedError(f"{self.library} cannot save")

    def load(self, path: Path) -> None:
        raise RefusedError(f"{self.library} cannot load")

    def index_bytes(self) -> int | None:
        """What the library says of itself, if it does."""
        return None


@dataclass(frozen=True)
class Contender:
    """A row of the results, and how to make its adapter from dim and metric."""

    name: str
    library: str
    family: str  # "graph", "lists" or "flat"
    make: Callable[[int, str], Adapter]


def rising(first: int, last: int = 4000, ratio: float = 1.25) -> list[int]:
    """From first to at least last, in steps that grow."""
    values = [first]
    while values[-1] < last:
        values.append(max(round(values[-1] * ratio), values[-1] + 1))
    return values


def probes(
    lists: int, second: str, values: Sequence[int], first: str = "nprobe"
) -> list[list[Params]]:
    """Inverted lists: lists visited rise, once for each depth of re-ranking."""
    visited = [n for n in rising(1, lists, 1.4) if n <= lists]
    return [[{first: n, second: value} for n in visited] for value in values]


def power_of_two(value: float) -> int:
    """The power of two nearest by ratio."""
    return int(2 ** round(math.log2(value)))
