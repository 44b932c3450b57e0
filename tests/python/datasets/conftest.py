"""A server on this machine, an empty cache, and one set of it to fetch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from file_server import FileServer, serving

from vicinal import datasets
from vicinal.datasets import transfer
from vicinal.demo import load as load_demo

#: Call to fetch the first file of a set from the server.
Get = Callable[..., datasets.Fetched]


@pytest.fixture(scope="session")
def content() -> bytes:
    """Real embeddings, in no particular format: three and a half transfer pieces."""
    return load_demo().vectors.tobytes()[: 7 * transfer.CHUNK_BYTES // 2]


@pytest.fixture
def server() -> Iterator[FileServer]:
    pytest.importorskip("pooch", reason="pip install pooch")
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files of ann-benchmarks go; empty at first."""
    monkeypatch.setenv("VICINAL_DATA", str(tmp_path / "cache"))
    monkeypatch.delenv("VICINAL_OFFLINE", raising=False)
    for family in datasets.FAMILIES.values():
        monkeypatch.delenv(family.environment, raising=False)
    monkeypatch.setattr(transfer, "FIRST_WAIT_SECONDS", 0.001)
    return tmp_path / "cache" / "ann-benchmarks"


@pytest.fixture
def get(server: FileServer) -> Get:
    return lambda **how: datasets.fetch("sift-128-euclidean", **{"base_url": server.url, **how})[0]


@pytest.fixture
def left(cache: Path) -> Callable[[], list[str]]:
    """Names of what lies in the cache."""
    return lambda: sorted(path.name for path in cache.iterdir()) if cache.exists() else []
