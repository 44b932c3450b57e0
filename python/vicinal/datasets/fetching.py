"""Files of data sets: got once, kept, and checked against what they were."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vicinal._types import Progress
from vicinal.datasets.bars import bars
from vicinal.datasets.catalogue import find
from vicinal.datasets.entry import FAMILIES, Entry, Remote
from vicinal.datasets.errors import DatasetError, HashError
from vicinal.datasets.lock import Lock, lock_path
from vicinal.datasets.transfer import Transfer
from vicinal.errors import ArgumentError, Error
from vicinal.io._check import format_error

__all__ = ["Fetched", "Files", "cache_folder", "fetch", "fetch_files"]

_HEADER_BYTES = 8  # of a big-ann file: rows and width, uint32 each


@dataclass(frozen=True)
class Fetched:
    """A file in the cache."""

    path: Path
    url: str
    sha256: str
    bytes: int
    published: bool
    """The checksum was known beforehand; else it is that of the first download."""


@dataclass(frozen=True)
class Files:
    """The files of one set; the last two are None if everything is in the first."""

    base: Fetched
    queries: Fetched | None
    truth: Fetched | None


def cache_folder() -> Path:
    """Folder that files are kept in: ``VICINAL_DATA``, or the cache of the system.

    Raises
    ------
    ImportError
        VICINAL_DATA is not set and pooch is missing: ``pip install pooch``.
    """
    given = os.environ.get("VICINAL_DATA")
    if given:
        return Path(given).expanduser()
    return Path(_pooch().os_cache("vicinal"))


def fetch(
    name: str,
    *,
    rows: int | None = None,
    sha256: str | None = None,
    base_url: str | None = None,
    registry: Mapping[str, Entry] | None = None,
    offline: bool | None = None,
    again: bool = False,
    progress: Progress | bool | None = None,
) -> tuple[Fetched, ...]:
    """Get the files of a set, or find them in the cache.

    Parameters
    ----------
    name : str
        One of `list`, or of `registry`.
    rows : int, optional
        Only so many rows of the base; of a big-ann file only these are transferred.
    sha256 : str, optional
        Checksum, in hexadecimal, that the file of the base must have as it lies in the cache.
    base_url : str, optional
        Folder on a server to get the files from instead of the known place.
    registry : mapping of str to Entry, optional
        Sets of your own, by name.
    offline : bool, optional
        Use only what is in the cache. Without it the environment variable VICINAL_OFFLINE counts.
    again : bool
        Get them anew though they are here. They must be the same as before; to accept others,
        delete the ``.lock.json`` beside them first.
    progress : callable or bool, optional
        ``progress(stage, done, total)`` in bytes; returning False stops with a
        :class:`~vicinal.CancelledError`. A bar on stderr if it is a terminal, unless False.

    Returns
    -------
    tuple of Fetched
        The base; then queries and truth, if they are files of their own.

    Raises
    ------
    ArgumentError
        No such set, or an argument makes no sense. A ``ValueError``.
    DatasetError
        It cannot be had: network, server, disk, or offline and not here. An ``OSError``.
    HashError
        A file is not what it should be. A ``DatasetError``.
    ImportError
        pooch is missing: ``pip install pooch``.
    """
    found = fetch_files(
        find(name, registry),
        rows=rows,
        sha256=sha256,
        base_url=base_url,
        offline=offline,
        again=again,
        progress=progress,
    )
    return tuple(file for file in (found.base, found.queries, found.truth) if file is not None)


def fetch_files(
    entry: Entry,
    *,
    rows: int | None = None,
    sha256: str | None = None,
    base_url: str | None = None,
    offline: bool | None = None,
    again: bool = False,
    progress: Progress | bool | None = None,
) -> Files:
    """Do what `fetch` says, for an entry."""
    if rows is not None and rows < 1:
        raise ArgumentError(f"rows is {rows}, wanted 1 or more")
    if sha256 is not None and (len(sha256) != 64 or not _is_hexadecimal(sha256)):
        raise ArgumentError(f"sha256 is {sha256!r}, wanted 64 hexadecimal digits")
    if offline is None:
        offline = os.environ.get("VICINAL_OFFLINE", "") not in ("", "0")
    if offline and again:
        raise ArgumentError("offline and again do not go together")
    with bars(progress) as report:
        cache = _Cache(entry, base_url, offline, again, report)
        # The small ones first: a wrong address shows before gigabytes have come.
        queries = None if entry.queries is None else cache.get(entry.queries)
        whole = rows is None or (entry.rows > 0 and rows >= entry.rows)
        truth = None if entry.truth is None or not whole else cache.get(entry.truth)
        return Files(cache.get_base(rows, sha256), queries, truth)


class _Cache:
    """The files of one entry, here and there."""

    def __init__(
        self,
        entry: Entry,
        base_url: str | None,
        offline: bool,
        again: bool,
        progress: Progress | None,
    ) -> None:
        self.entry = entry
        self.family = FAMILIES.get(entry.family)
        self.folder = cache_folder() / entry.family
        self.base_url = base_url
        self.offline = offline
        self.again = again
        self.progress = progress

    def get_base(self, rows: int | None, sha256: str | None) -> Fetched:
        entry = self.entry
        wanted = entry.rows if rows is None else min(rows, entry.rows or rows)
        there = entry.rows_there or entry.rows
        if entry.queries is None or wanted >= there:
            return self.get(entry.base, sha256=sha256)
        if (self.folder / entry.base.name).exists() and not self.again:
            return self.get(entry.base, sha256=sha256)  # its front part is what is wanted
        stem, suffix = os.path.splitext(entry.base.name)
        return self.get(entry.base, f"{stem}.first-{wanted}{suffix}", wanted, sha256)

    def get(
        self,
        remote: Remote,
        name: str | None = None,
        rows: int | None = None,
        sha256: str | None = None,
    ) -> Fetched:
        """Find or get one file, or its first so many rows under a name of their own."""
        path = self.folder / (name or remote.name)
        # A published checksum is that of the whole file.
        given = sha256 or (remote.sha256 if rows is None else None)
        expected = None if given is None else given.lower()
        url = remote.address(self.family, self.base_url)
        lock = Lock.read(path)
        if path.exists() and not self.again:
            return self._check(path, url, expected, lock)
        if self.offline:
            raise DatasetError(
                f"{self.entry.name} is not in the cache and no connection may be made (offline); "
                f"{url} would go to {path}"
            )
        held_to = expected or (None if lock is None else lock.sha256)
        self._download(path, url, rows, held_to)
        digest = held_to or str(_pooch().file_hash(str(path)))
        lock = Lock.of(path, digest, url, expected is not None)
        lock.write(path)
        return Fetched(path, url, digest, lock.bytes, lock.published)

    def _download(self, path: Path, url: str, rows: int | None, expected: str | None) -> None:
        pooch = _pooch()
        limit = None if rows is None else self._bytes_of(rows)
        transfer = Transfer(path.name, limit, self.progress)

        def get(url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
            transfer(url, output_file, pooch)
            if rows is not None:
                self._cut(Path(output_file), rows)

        path.parent.mkdir(parents=True, exist_ok=True)
        # pooch writes to a temporary name, compares and renames.
        keeper = pooch.Pooch(
            path=path.parent, base_url="", registry={path.name: expected}, urls={path.name: url}
        )
        with _set_aside(path), _hushed(pooch):
            try:
                keeper.fetch(path.name, downloader=get)
            except ValueError as error:
                if isinstance(error, Error) or "does not match the known hash" not in str(error):
                    raise
                raise HashError(
                    f"{url} is not what it should be: {error} {_advice(path)}"
                ) from error

    def _check(self, path: Path, url: str, expected: str | None, lock: Lock | None) -> Fetched:
        """Compare a file in the cache with its checksum; read it only if it has been touched."""
        if lock is not None and lock.untouched(path):
            digest = lock.sha256
        else:
            digest = str(_pooch().file_hash(str(path)))
        wanted = expected or (digest if lock is None else lock.sha256)
        if digest != wanted:
            why = "given" if expected else "recorded when it was fetched"
            raise HashError(
                f"{path} has SHA-256 {digest}, wanted {wanted} as {why}. {_advice(path)}"
            )
        published = expected is not None or (lock is not None and lock.published)
        now = Lock.of(path, digest, url if lock is None else lock.url, published)
        if now != lock:  # put here by hand, or touched and still the same
            # Where nothing may be written, it is read every time.
            with contextlib.suppress(PermissionError):
                now.write(path)
        return Fetched(path, now.url, digest, now.bytes, published)

    def _bytes_of(self, rows: int) -> int:
        return _HEADER_BYTES + rows * self.entry.dim * np.dtype(self.entry.dtype).itemsize

    def _cut(self, path: Path, rows: int) -> None:
        """Make a whole file of the front part of a big-ann file: its header says how many rows."""
        name, dim, size = self.entry.name, self.entry.dim, path.stat().st_size
        header = np.fromfile(path, "<u4", 2)
        if len(header) < 2 or int(header[1]) != dim or int(header[0]) < rows:
            raise format_error(
                path,
                0,
                f"{name} has rows and width {header.tolist()}, wanted {rows} or more of {dim}",
            )
        if size != self._bytes_of(rows):
            raise format_error(path, 0, f"{size} bytes came, wanted {self._bytes_of(rows)}")
        with open(path, "r+b") as file:
            file.write(np.array([rows], "<u4").tobytes())


def _advice(path: Path) -> str:
    return (
        f"Get it anew with again=True; if the publisher has replaced it, delete {lock_path(path)}"
    )


def _is_hexadecimal(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)


def _pooch() -> Any:
    try:
        return importlib.import_module("pooch")
    except ImportError as error:
        raise ImportError("data sets need the package pooch: pip install pooch") from error


@contextlib.contextmanager
def _set_aside(path: Path) -> Iterator[None]:
    """Keep an old file until the new one is there, and put it back if none comes."""
    old = path.with_name(f".{path.name}.old")
    if path.exists():
        path.replace(old)
    try:
        yield
    except BaseException:
        if old.exists():
            old.replace(path)
        raise
    old.unlink(missing_ok=True)


@contextlib.contextmanager
def _hushed(pooch: Any) -> Iterator[None]:
    """Keep pooch from telling on stderr what the progress bar tells."""
    here = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    logger = pooch.get_logger()
    logger.addFilter(elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(elsewhere)
