"""Checksums: what a file is held to, and what happens when it is another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256 as _sha256
from pathlib import Path

import pytest
from file_server import FileServer

from vicinal import datasets
from vicinal.datasets import DatasetError, Entry, HashError, Remote

FILE = "sift-128-euclidean.hdf5"
Get = Callable[..., datasets.Fetched]
Left = Callable[[], list[str]]


def sha256(data: bytes) -> str:
    return _sha256(data).hexdigest()


def test_a_wrong_checksum_leaves_nothing_behind(
    server: FileServer, content: bytes, get: Get, left: Left
) -> None:
    server.put(FILE, content)
    with pytest.raises(HashError, match=sha256(content)):
        get(sha256="0" * 64)
    assert left() == []
    found = get(sha256=sha256(content).upper())
    assert found.published
    with pytest.raises(HashError, match="as given"):
        get(sha256="0" * 64)
    assert found.path.read_bytes() == content


def test_a_published_checksum_is_checked(server: FileServer, content: bytes) -> None:
    server.put("own.npy", content)
    for digest, right in ((sha256(content), True), ("f" * 64, False)):
        own = Entry("own", "mine", "l2", 1, 1, Remote("own.npy", f"{server.url}/own.npy", digest))
        if right:
            assert datasets.fetch("own", registry={"own": own})[0].published
        else:
            with pytest.raises(HashError):
                datasets.fetch("own", registry={"own": own}, again=True)
    assert (datasets.cache_folder() / "mine" / "own.npy").read_bytes() == content


def test_a_changed_file_is_found_out_and_got_anew(
    server: FileServer, content: bytes, get: Get, left: Left
) -> None:
    server.put(FILE, content)
    path = get().path
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    path.write_bytes(changed)
    with pytest.raises(HashError, match="recorded when it was fetched"):
        get()
    assert get(again=True).path.read_bytes() == content
    assert len(server.requests) == 2
    assert left() == [FILE, f"{FILE}.lock.json"]


def test_a_file_replaced_on_the_server_is_refused_until_the_record_is_deleted(
    server: FileServer, cache: Path, content: bytes, get: Get, left: Left
) -> None:
    server.put(FILE, content)
    path = get().path
    server.put(FILE, content[::-1])
    with pytest.raises(HashError, match=r"delete .*lock\.json"):
        get(again=True)
    assert path.read_bytes() == content, "the old file is put back"
    assert left() == [FILE, f"{FILE}.lock.json"]
    (cache / f"{FILE}.lock.json").unlink()
    assert get(again=True).sha256 == sha256(content[::-1])


def test_touching_a_file_is_no_change(server: FileServer, content: bytes, get: Get) -> None:
    server.put(FILE, content)
    first = get()
    os.utime(first.path, ns=(0, 0))
    assert get() == first
    lock = json.loads(first.path.with_name(f"{FILE}.lock.json").read_text())
    assert lock["modified_ns"] == 0


def test_a_file_put_there_by_hand_is_taken_and_recorded(
    server: FileServer, cache: Path, content: bytes, get: Get, left: Left
) -> None:
    cache.mkdir(parents=True)
    (cache / FILE).write_bytes(content)
    assert get(offline=True).sha256 == sha256(content)
    assert server.requests == []
    assert left() == [FILE, f"{FILE}.lock.json"]


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"sha256": 1, "url": "", "bytes": 1, "modified_ns": 1}', "\xff"]
)
def test_a_damaged_record_is_an_error_that_names_it(
    server: FileServer, cache: Path, text: str, get: Get
) -> None:
    server.put(FILE, b"data")
    get()
    (cache / f"{FILE}.lock.json").write_text(text, encoding="latin-1")
    with pytest.raises(DatasetError, match=r"lock\.json is damaged"):
        get()
