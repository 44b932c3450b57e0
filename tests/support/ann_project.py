"""The part of ann-benchmarks and VIBE that loads an adapter, written from their documentation.

Both read ``config.yml``, make every combination of arguments, construct the class with the metric
and one combination, call ``fit`` once, then for every group of query arguments
``set_query_arguments`` and ``query`` for one vector at a time. They differ in how arguments are
written.
"""

from __future__ import annotations

import importlib
import itertools
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What both projects give a class to inherit from.
BASE_CLASS = """
import resource
from multiprocessing.pool import ThreadPool


class BaseANN:
    def done(self):
        pass

    def get_memory_usage(self):
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    def batch_query(self, X, n):
        with ThreadPool(2) as pool:
            self.res = pool.map(lambda q: self.query(q, n), X)

    def get_batch_results(self):
        return self.res

    def get_additional(self):
        return {}

    def __str__(self):
        return self.name
"""


@dataclass(frozen=True)
class Run:
    """One index to build, and the queries' arguments to try on it."""

    constructor: str
    module: str
    image: str
    arguments: tuple[Any, ...]
    query_arguments: tuple[tuple[Any, ...], ...]


def product(values: list[Any]) -> list[list[Any]]:
    lists = [value if isinstance(value, list) else [value] for value in values]
    return [list(combination) for combination in itertools.product(*lists)]


def runs_of_ann_benchmarks(config: dict[str, Any], point_type: str, metric: str) -> list[Run]:
    """Arguments are one dictionary of each group of ``arg_groups``."""
    found = []
    for algorithm in _algorithms(config, point_type, metric, both=False):
        for group in algorithm["run_groups"].values():
            groups = [
                [dict(zip(g, values, strict=True)) for values in product(list(g.values()))]
                for g in group["arg_groups"]
            ]
            queries = product(group["query_args"])
            found += [
                _run(algorithm, "docker_tag", metric, arguments, queries)
                for arguments in itertools.product(*groups)
            ]
    return found


def runs_of_vibe(config: dict[str, Any], point_type: str, metric: str) -> list[Run]:
    """Arguments are given one by one, in the order of the file."""
    found = []
    for algorithm in _algorithms(config, point_type, metric, both=True):
        for group in algorithm["run_groups"].values():
            queries = product(list(group["query_args"].values()))
            found += [
                _run(algorithm, "singularity_image", metric, arguments, queries)
                for arguments in product(list(group["args"].values()))
            ]
    return found


def _algorithms(
    config: dict[str, Any], point_type: str, metric: str, *, both: bool
) -> list[dict[str, Any]]:
    """Those for any metric; VIBE adds those for this one, ann-benchmarks takes them instead."""
    by_metric = config.get(point_type, {})
    every, own = by_metric.get("any", []), by_metric.get(metric, [])
    return every + own if both else every or own


def _run(
    algorithm: dict[str, Any], image: str, metric: str, arguments: Any, queries: list[list[Any]]
) -> Run:
    base = [metric if value == "@metric" else value for value in algorithm["base_args"]]
    return Run(
        algorithm["constructor"],
        algorithm["module"],
        algorithm[image],
        (*base, *arguments),
        tuple(tuple(query) for query in queries),
    )


@contextmanager
def installed(adapter: Path, package: str, folder: Path) -> Iterator[None]:
    """Put an adapter where its project would have it, beside the base class."""
    algorithms = folder / package / "algorithms"
    (algorithms / "base").mkdir(parents=True)
    (algorithms / "base" / "module.py").write_text(BASE_CLASS)
    shutil.copytree(adapter, algorithms / adapter.name)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
            del sys.modules[name]


def construct(run: Run) -> Any:
    module = importlib.import_module(f"{run.module}.module")
    return getattr(module, run.constructor)(*run.arguments)
