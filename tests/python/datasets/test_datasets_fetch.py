"""Files of data sets, got from a server on this machine that breaks off, lies, or is gone."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from hashlib import sha256 as _sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from file_server import FileServer

import vicinal
from vicinal import datasets
from vicinal.datasets import DatasetError, transfer

pooch = pytest.importorskip("pooch", reason="pip install pooch")

NAME = "sift-128-euclidean"
FILE = f"{NAME}.hdf5"
Get = Callable[..., datasets.Fetched]
Left = Callable[[], list[str]]


def sha256(data: bytes) -> str:
    return _sha256(data).hexdigest()


def test_a_file_comes_once_and_is_recorded(
    server: FileServer, cache: Path, content: bytes, get: Get, left: Left
) -> None:
    server.put(FILE, content)
    first = get()
    assert first.path == cache / FILE
    assert first.path.read_bytes() == content
    assert (first.sha256, first.bytes) == (sha256(content), len(content))
    assert not first.published
    assert left() == [FILE, f"{FILE}.lock.json"]
    lock = json.loads((cache / f"{FILE}.lock.json").read_text())
    assert lock["sha256"] == sha256(content)
    assert lock["url"] == f"{server.url}/{FILE}"

    written = (cache / f"{FILE}.lock.json").stat().st_mtime_ns
    assert get() == first
    assert len(server.requests) == 1
    assert (cache / f"{FILE}.lock.json").stat().st_mtime_ns == written


def test_a_broken_transfer_goes_on_where_it_stopped(
    server: FileServer, content: bytes, get: Get
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


def test_without_a_stamp_it_begins_anew(server: FileServer, content: bytes, get: Get) -> None:
    server.put(FILE, content, breaks=[2 * transfer.CHUNK_BYTES], stamp=False)
    assert get().path.read_bytes() == content
    assert [request.headers.get("range") for request in server.requests] == [None, None]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("length", [None, 1000])
def test_parts_of_two_files_are_never_joined(
    server: FileServer,
    content: bytes,
    ranges: bool,
    length: int | None,
    get: Get,
) -> None:
    other = content[::-1][:length]
    server.put(FILE, content, breaks=[2 * transfer.CHUNK_BYTES], later=other, ranges=ranges)
    assert get().path.read_bytes() == other


def test_a_transfer_that_never_ends_is_given_up(
    server: FileServer, content: bytes, get: Get, left: Left
) -> None:
    server.put(FILE, content, breaks=[100] * 50, stamp=False)
    with pytest.raises(DatasetError, match=f"gave up after {transfer.TRIES} tries"):
        get()
    assert left() == []
    assert len(server.requests) <= 2 * transfer.TRIES
    server.files[FILE].breaks.clear()
    assert get().path.read_bytes() == content


def test_a_part_is_not_taken_for_the_whole_by_a_client_that_does_not_count(
    monkeypatch: pytest.MonkeyPatch, get: Get, left: Left
) -> None:
    """Older versions of the library below end a broken transfer as if it were complete."""

    class Response:
        status_code, reason, url, headers = 200, "OK", "", {"Content-Length": "10"}

        def __enter__(self) -> Response:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def iter_content(self, size: int) -> list[bytes]:
            return [b"1234", b"567"]

    monkeypatch.setattr("requests.get", lambda url, **how: Response())
    with pytest.raises(DatasetError, match="ended after 7 of 10 bytes"):
        get()
    assert left() == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_missing_file_is_said_at_once(
    server: FileServer, status: int, get: Get, left: Left
) -> None:
    server.put(FILE, b"x", statuses=[status] * 9)
    with pytest.raises(DatasetError, match=rf"answered {status} .*{FILE}.*base_url"):
        get()
    assert len(server.requests) == 1
    assert left() == []


def test_a_busy_server_is_asked_again(server: FileServer, content: bytes, get: Get) -> None:
    server.put(FILE, content, statuses=[503, 429])
    assert get().path.read_bytes() == content
    assert len(server.requests) == 3


def test_a_redirection_is_followed(server: FileServer, content: bytes, get: Get) -> None:
    server.put(FILE, location="/store/there")
    server.put("store/there", content, breaks=[transfer.CHUNK_BYTES + 1])
    found = get()
    assert found.path.read_bytes() == content
    assert found.url == f"{server.url}/{FILE}"


def test_a_redirection_in_a_circle_ends(server: FileServer, get: Get) -> None:
    server.put(FILE, location=f"/{FILE}")
    with pytest.raises(DatasetError, match="redirects"):
        get()


def test_a_moved_family_is_found_by_the_environment(
    server: FileServer, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(f"mirror/{FILE}", content)
    monkeypatch.setenv("VICINAL_URL_ANN_BENCHMARKS", f"{server.url}/mirror/")
    assert datasets.fetch(NAME)[0].path.read_bytes() == content


def test_no_network_is_said(left: Left) -> None:
    with socket.socket() as taken:  # a port that nobody listens on
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DatasetError, match=r"(?i)refused.*gave up") as caught:
            datasets.fetch(NAME, base_url=url)
    assert isinstance(caught.value, OSError)
    assert left() == []


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(DatasetError, match="nonsense"):
        datasets.fetch(NAME, base_url="nonsense")


def test_offline_nothing_is_asked_for(
    server: FileServer,
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
    get: Get,
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
    server: FileServer, content: bytes, monkeypatch: pytest.MonkeyPatch, get: Get, left: Left
) -> None:
    server.put(FILE, content)
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DatasetError, match="only 1,000 are free") as caught:
        get()
    assert caught.value.errno == errno.ENOSPC
    assert left() == []


def test_a_disk_that_fills_up_on_the_way_is_said(
    server: FileServer, content: bytes, monkeypatch: pytest.MonkeyPatch, get: Get, left: Left
) -> None:
    server.put(FILE, content)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(transfer.os, "fsync", full)
    with pytest.raises(DatasetError, match="no room left on the disk") as caught:
        get()
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert left() == []


def test_progress_is_reported_and_may_stop_it(
    server: FileServer, content: bytes, get: Get, left: Left
) -> None:
    server.put(FILE, content)
    seen: list[tuple[str, int, int]] = []
    get(progress=lambda *report: seen.append(report))
    assert {stage for stage, _, _ in seen} == {f"fetching {FILE}"}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1:] == (len(content), len(content))

    with pytest.raises(vicinal.CancelledError):
        get(again=True, progress=lambda *report: False)
    assert left() == [FILE, f"{FILE}.lock.json"], "the old file is put back"


def test_a_bar_is_shown_on_stderr_when_asked_for(
    server: FileServer,
    content: bytes,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    get: Get,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    server.put(FILE, content)
    get(progress=True)
    shown = capfd.readouterr()
    assert "fetching" in shown.err
    assert shown.out == ""
    get(again=True)
    assert capfd.readouterr() == ("", ""), "no terminal, no bar"


def test_the_library_below_says_nothing(server: FileServer, content: bytes, get: Get) -> None:
    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign]
    logger = pooch.get_logger()
    logger.addHandler(handler)
    server.put(FILE, content)
    try:
        get()
        assert said == []
        logger.info("somebody else's")
        assert len(said) == 1
    finally:
        logger.removeHandler(handler)


def test_two_who_fetch_at_once_both_get_it(
    server: FileServer, content: bytes, get: Get, left: Left
) -> None:
    server.put(FILE, content)
    found: list[datasets.Fetched] = []
    threads = [threading.Thread(target=lambda: found.append(get())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [file.sha256 for file in found] == [sha256(content)] * 4
    assert left() == [FILE, f"{FILE}.lock.json"]


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
    how: dict[str, object], message: str, get: Get
) -> None:
    with pytest.raises(vicinal.ArgumentError, match=message):
        get(**how)


def test_an_unknown_name_brings_those_like_it() -> None:
    with pytest.raises(ValueError, match="did you mean sift-128-euclidean"):
        datasets.fetch("sift-128-euclid")
    with pytest.raises(ValueError, match="list"):
        datasets.fetch("zzzz")
