"""The front part of a large file on a server: only that is transferred."""

from __future__ import annotations

import numpy as np
import pytest
from file_server import FileServer

import vicinal
from vicinal import datasets
from vicinal.datasets import Entry, Remote, transfer
from vicinal.demo import load as load_demo

ROWS, DIM = 9_000, 384


def _bin(rows: np.ndarray, said: int | None = None, dim: int | None = None) -> bytes:
    header = np.array([said or len(rows), dim or rows.shape[1]], "<u4")
    return header.tobytes() + rows.tobytes()


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return load_demo().vectors[:ROWS].astype("<f4")


def entry(server: FileServer, rows: int = 0) -> dict[str, Entry]:
    queries = Remote("front/queries.fbin")
    base = Remote("front/base.fbin")
    made = Entry("front", "big-ann", "l2", rows or ROWS, DIM, base, queries, rows_there=ROWS)
    return {"front": made}


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("by", ["argument", "entry"])
def test_only_the_rows_asked_for_are_transferred(
    server: FileServer, vectors: np.ndarray, ranges: bool, by: str
) -> None:
    server.put("front/base.fbin", _bin(vectors), ranges=ranges)
    server.put("front/queries.fbin", _bin(vectors[:5]))
    registry = entry(server, rows=700 if by == "entry" else 0)
    rows = 700 if by == "argument" else None
    base, queries = datasets.fetch("front", rows=rows, registry=registry, base_url=server.url)
    assert base.path.name == "base.first-700.fbin"
    assert queries.path.read_bytes() == _bin(vectors[:5])
    assert base.path.read_bytes() == _bin(vectors[:700])
    sent = server.asked("front/base.fbin")[0].sent
    assert sent < vectors.nbytes
    if ranges:
        assert sent == len(_bin(vectors[:700]))
    assert datasets.fetch("front", rows=rows, registry=registry, offline=True)[0] == base


def test_a_broken_front_part_goes_on_too(server: FileServer, vectors: np.ndarray) -> None:
    server.put("front/base.fbin", _bin(vectors), breaks=[transfer.CHUNK_BYTES + 5])
    server.put("front/queries.fbin", _bin(vectors[:5]))
    base = datasets.fetch("front", rows=3000, registry=entry(server), base_url=server.url)[0]
    assert base.path.read_bytes() == _bin(vectors[:3000])
    first, second = server.asked("front/base.fbin")
    assert first.headers["range"].startswith("bytes=0-")
    assert second.headers["range"].endswith(first.headers["range"].partition("-")[2])


def test_a_whole_file_in_the_cache_serves_its_front_part(
    server: FileServer, vectors: np.ndarray
) -> None:
    server.put("front/base.fbin", _bin(vectors))
    server.put("front/queries.fbin", _bin(vectors[:5]))
    registry = entry(server)
    datasets.fetch("front", registry=registry, base_url=server.url)
    asked = len(server.requests)
    data = datasets.load("front", rows=10, registry=registry, base_url=server.url)
    assert len(server.requests) == asked
    np.testing.assert_array_equal(data.base, vectors[:10])


@pytest.mark.parametrize("header", [{"dim": DIM + 1}, {"said": 99}])
def test_a_front_part_of_another_shape_is_refused(
    server: FileServer, vectors: np.ndarray, header: dict[str, int]
) -> None:
    server.put("front/base.fbin", _bin(vectors, **header))
    server.put("front/queries.fbin", _bin(vectors[:5]))
    with pytest.raises(vicinal.FormatError, match="rows and width"):
        datasets.fetch("front", rows=100, registry=entry(server), base_url=server.url)
    assert not list((datasets.cache_folder() / "big-ann" / "front").glob("base*"))


def test_a_file_shorter_than_its_header_says_is_refused(
    server: FileServer, vectors: np.ndarray
) -> None:
    server.put("front/base.fbin", _bin(vectors[:50], said=ROWS))
    server.put("front/queries.fbin", _bin(vectors[:5]))
    with pytest.raises(vicinal.FormatError, match="bytes came"):
        datasets.fetch("front", rows=100, registry=entry(server), base_url=server.url)
