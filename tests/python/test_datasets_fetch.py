"""Files of data sets, got from a server on this machine that breaks off, lies, or is gone."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from file_server import FileServer, serving

import vicinal
from vicinal import datasets
from vicinal.datasets import DatasetError, Entry, HashError, Remote, transfer
from vicinal.demo import load as load_demo

pytest.importorskip("pooch", reason="pip install 'vicinal[datasets]'")

NAME = "sift-128-euclidean"
FILE = f"{NAME}.hdf5"


@pytest.fixture(scope="module")
def content() -> bytes:
    """Real embeddings, in no particular format: three and a half transfer pieces."""
    return load_demo().vectors.tobytes()[: 7 * transfer.CHUNK_BYTES // 2]


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("VICINAL_DATA", str(folder))
    monkeypatch.delenv("VICINAL_OFFLINE", raising=False)
    for family in datasets.FAMILIES.values():
        monkeypatch.delenv(family.environment, raising=False)
    monkeypatch.setattr(transfer, "FIRST_WAIT_SECONDS", 0.001)
    return folder / "ann-benchmarks"


@pytest.fixture
def get(server: FileServer) -> Callable[..., datasets.Fetched]:
    return lambda **how: datasets.fetch(NAME, **{"base_url": server.url, **how})[0]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def test_a_file_comes_once_and_is_recorded(
    server: FileServer, cache: Path, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, content)
    first = get()
    assert first.path == cache / FILE
    assert first.path.read_bytes() == content
    assert (first.sha256, first.bytes) == (sha256(content), len(content))
    assert not first.published
    assert left(cache) == [FILE, f"{FILE}.lock.json"]
    lock = json.loads((cache / f"{FILE}.lock.json").read_text())
    assert lock["sha256"] == sha256(content)
    assert lock["url"] == f"{server.url}/{FILE}"

    written = (cache / f"{FILE}.lock.json").stat().st_mtime_ns
    assert get() == first
    assert len(server.requests) == 1
    assert (cache / f"{FILE}.lock.json").stat().st_mtime_ns == written


def test_a_broken_transfer_goes_on_where_it_stopped(
    server: FileServer, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    cut = 2 * transfer.CHUNK_BYTES + 17
    server.put(FILE, content, breaks=[cut, 1000])
    assert get().path.read_bytes() == content
    ranges = [request.headers.get("range") for request in server.requests]
    assert ranges[0] is None
    # What had not become a whole piece when the connection ended may be asked for again.
    second, third = (int(str(r).removeprefix("bytes=").rstrip("-")) for r in ranges[1:])
    assert 2 * transfer.CHUNK_BYTES <= second <= cut
    assert second <= third <= second + 1000


def test_without_a_stamp_it_begins_anew(
    server: FileServer, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, content, breaks=[2 * transfer.CHUNK_BYTES], stamp=False)
    assert get().path.read_bytes() == content
    assert [request.headers.get("range") for request in server.requests] == [None, None]


@pytest.mark.parametrize("ranges", [True, False])
def test_parts_of_two_files_are_never_joined(
    server: FileServer, content: bytes, ranges: bool, get: Callable[..., datasets.Fetched]
) -> None:
    other = content[::-1]
    server.put(FILE, content, breaks=[2 * transfer.CHUNK_BYTES], later=other, ranges=ranges)
    assert get().path.read_bytes() == other


def test_a_transfer_that_never_ends_is_given_up(
    server: FileServer, cache: Path, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, content, breaks=[100] * 50, stamp=False)
    with pytest.raises(DatasetError, match=f"gave up after {transfer.TRIES} tries"):
        get()
    assert left(cache) == []
    assert len(server.requests) <= 2 * transfer.TRIES
    server.files[FILE].breaks.clear()
    assert get().path.read_bytes() == content


def test_a_wrong_checksum_leaves_nothing_behind(
    server: FileServer, cache: Path, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, content)
    with pytest.raises(HashError, match=sha256(content)):
        get(sha256="0" * 64)
    assert left(cache) == []
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
    server: FileServer, cache: Path, content: bytes, get: Callable[..., datasets.Fetched]
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
    assert left(cache) == [FILE, f"{FILE}.lock.json"]


def test_a_file_replaced_on_the_server_is_refused_until_the_record_is_deleted(
    server: FileServer, cache: Path, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, content)
    path = get().path
    server.put(FILE, content[::-1])
    with pytest.raises(HashError, match=r"delete .*lock\.json"):
        get(again=True)
    assert path.read_bytes() == content, "the old file is put back"
    assert left(cache) == [FILE, f"{FILE}.lock.json"]
    (cache / f"{FILE}.lock.json").unlink()
    assert get(again=True).sha256 == sha256(content[::-1])


def test_touching_a_file_is_no_change(
    server: FileServer, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, content)
    first = get()
    os.utime(first.path, ns=(0, 0))
    assert get() == first
    lock = json.loads(first.path.with_name(f"{FILE}.lock.json").read_text())
    assert lock["modified_ns"] == 0


def test_a_file_put_there_by_hand_is_taken_and_recorded(
    server: FileServer, cache: Path, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    cache.mkdir(parents=True)
    (cache / FILE).write_bytes(content)
    assert get(offline=True).sha256 == sha256(content)
    assert server.requests == []
    assert left(cache) == [FILE, f"{FILE}.lock.json"]


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"sha256": 1, "url": "", "bytes": 1, "modified_ns": 1}', "\xff"]
)
def test_a_damaged_record_is_an_error_that_names_it(
    server: FileServer, cache: Path, text: str, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, b"data")
    get()
    (cache / f"{FILE}.lock.json").write_text(text, encoding="latin-1")
    with pytest.raises(DatasetError, match=r"lock\.json is damaged"):
        get()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_missing_file_is_said_at_once(
    server: FileServer, cache: Path, status: int, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, b"x", statuses=[status] * 9)
    with pytest.raises(DatasetError, match=rf"answered {status} .*{FILE}.*base_url"):
        get()
    assert len(server.requests) == 1
    assert left(cache) == []


def test_a_busy_server_is_asked_again(
    server: FileServer, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, content, statuses=[503, 429])
    assert get().path.read_bytes() == content
    assert len(server.requests) == 3


def test_a_redirection_is_followed(
    server: FileServer, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, location="/store/there")
    server.put("store/there", content, breaks=[transfer.CHUNK_BYTES + 1])
    found = get()
    assert found.path.read_bytes() == content
    assert found.url == f"{server.url}/{FILE}"


def test_a_redirection_in_a_circle_ends(
    server: FileServer, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, location=f"/{FILE}")
    with pytest.raises(DatasetError, match="redirects"):
        get()


def test_a_moved_family_is_found_by_the_environment(
    server: FileServer, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(f"mirror/{FILE}", content)
    monkeypatch.setenv("VICINAL_URL_ANN_BENCHMARKS", f"{server.url}/mirror/")
    assert datasets.fetch(NAME)[0].path.read_bytes() == content


def test_no_network_is_said(cache: Path) -> None:
    with socket.socket() as taken:  # a port that nobody listens on
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DatasetError, match=r"(?i)refused.*gave up") as caught:
            datasets.fetch(NAME, base_url=url)
    assert isinstance(caught.value, OSError)
    assert left(cache) == []


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(DatasetError, match="nonsense"):
        datasets.fetch(NAME, base_url="nonsense")


def test_offline_nothing_is_asked_for(
    server: FileServer,
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
    get: Callable[..., datasets.Fetched],
) -> None:
    server.put(FILE, content)
    monkeypatch.setenv("VICINAL_OFFLINE", "1")
    with pytest.raises(DatasetError, match=r"offline.*would go to"):
        get()
    assert server.requests == []
    assert get(offline=False).path.read_bytes() == content  # an argument beats the environment
    assert get().sha256 == sha256(content)
    assert len(server.requests) == 1
    with pytest.raises(vicinal.ArgumentError, match="again"):
        get(again=True)


def test_too_little_room_is_said_before_it_begins(
    server: FileServer,
    cache: Path,
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
    get: Callable[..., datasets.Fetched],
) -> None:
    server.put(FILE, content)
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DatasetError, match="only 1,000 are free") as caught:
        get()
    assert caught.value.errno == errno.ENOSPC
    assert left(cache) == []


def test_a_disk_that_fills_up_on_the_way_is_said(
    server: FileServer,
    cache: Path,
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
    get: Callable[..., datasets.Fetched],
) -> None:
    server.put(FILE, content)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(transfer.os, "fsync", full)
    with pytest.raises(DatasetError, match="no room left on the disk") as caught:
        get()
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert left(cache) == []


def test_progress_is_reported_and_may_stop_it(
    server: FileServer, cache: Path, content: bytes, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, content)
    seen: list[tuple[str, int, int]] = []
    get(progress=lambda *report: seen.append(report))
    assert {stage for stage, _, _ in seen} == {f"fetching {FILE}"}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1:] == (len(content), len(content))

    with pytest.raises(vicinal.CancelledError):
        get(again=True, progress=lambda *report: False)
    assert left(cache) == [FILE, f"{FILE}.lock.json"], "the old file is put back"


def test_a_bar_is_shown_on_stderr_when_asked_for(
    server: FileServer,
    content: bytes,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    get: Callable[..., datasets.Fetched],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    server.put(FILE, content)
    get(progress=True)
    shown = capfd.readouterr()
    assert "fetching" in shown.err
    assert shown.out == ""
    get(again=True)
    assert capfd.readouterr() == ("", ""), "no terminal, no bar, and pooch says nothing"


def test_two_who_fetch_at_once_both_get_it(
    server: FileServer, content: bytes, cache: Path, get: Callable[..., datasets.Fetched]
) -> None:
    server.put(FILE, content)
    found: list[datasets.Fetched] = []
    threads = [threading.Thread(target=lambda: found.append(get())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [file.sha256 for file in found] == [sha256(content)] * 4
    assert left(cache) == [FILE, f"{FILE}.lock.json"]


def test_an_encrypted_address_may_not_lead_to_a_plain_one() -> None:
    class Response:
        status_code, reason, url = 200, "OK", "http://elsewhere.example/file"

    with pytest.raises(DatasetError, match="not encrypted"):
        transfer.Transfer("file")._check(Response(), "https://here.example/file")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rows": 0}, "rows is 0"),
        ({"sha256": "abc"}, "64 hexadecimal"),
        ({"sha256": "g" * 64}, "64 hexadecimal"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    how: dict[str, object], message: str, get: Callable[..., datasets.Fetched]
) -> None:
    with pytest.raises(vicinal.ArgumentError, match=message):
        get(**how)


def test_an_unknown_name_brings_those_like_it() -> None:
    with pytest.raises(ValueError, match="did you mean sift-128-euclidean"):
        datasets.fetch("sift-128-euclid")
    with pytest.raises(ValueError, match="list"):
        datasets.fetch("zzzz")
