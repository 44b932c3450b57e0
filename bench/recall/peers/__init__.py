"""The libraries compared: one adapter file each, and adapters of your own from a file."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from . import faiss, hnswlib, rabitqlib, scann, svs, usearch, vicinal, vsag
from .base import Adapter, Contender, Params, RefusedError, rising

__all__ = ["Adapter", "Contender", "Params", "RefusedError", "choose", "known", "rising"]

_MODULES = (hnswlib, faiss, usearch, scann, svs, vsag, rabitqlib, vicinal)

QUICK = (
    "hnswlib",
    "faiss HNSW32-SQ8",
    "rabitqlib SymphonyQG",
    "vicinal HNSW f32",
    "vicinal HNSW SQ8+f16",
    "vicinal HNSW SQ4+f16",
)


def known(files: Sequence[Path] = ()) -> dict[str, Contender]:
    """Every contender by name; each file is a module with a list called CONTENDERS."""
    lists = [module.CONTENDERS for module in _MODULES] + [_from_file(file) for file in files]
    return {contender.name: contender for found in lists for contender in found}


def choose(found: dict[str, Contender], peers: str, starts: Sequence[str]) -> list[str]:
    """Names of a group (all, graphs, quick, flat), or of those that start so."""
    if starts:
        return [name for name in found if any(name.startswith(start) for start in starts)]
    if peers == "quick":
        return list(QUICK)
    families = {"all": ("graph", "lists"), "graphs": ("graph",), "flat": ("flat",)}[peers]
    return [name for name, contender in found.items() if contender.family in families]


def _from_file(path: Path) -> list[Contender]:
    spec = importlib.util.spec_from_file_location(f"bench_adapters_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: list[Contender] = module.CONTENDERS
    return found
