"""One file from a server into one file here; what pooch calls a downloader.

pooch's own takes whole files in one go. The sets here have hundreds of gigabytes, of which the
front part is wanted, over connections that break: this one asks for a range, goes on where a
connection broke off if the file there is still the same, and never takes a part for the whole.
"""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vicinal._core import version
from vicinal._types import Progress
from vicinal.datasets.errors import DatasetError
from vicinal.errors import CancelledError

__all__ = ["Transfer"]

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = (15, 60)  # to connect, and between two pieces
TRIES = 4
#: Doubled after every try that brought nothing.
FIRST_WAIT_SECONDS = 0.5
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
# Some servers turn away what does not look like a browser.
_AGENT = f"Mozilla/5.0 (compatible; vicinal/{version})"


class BrokenError(Exception):
    """The connection failed in a way that another try may mend."""


class Transfer:
    """Get one file; to be called by pooch.

    Parameters
    ----------
    name : str
        What to call it in messages.
    limit : int, optional
        Take only so many bytes from the front.
    progress : callable, optional
        ``progress(stage, done, total)``; returning False stops with a CancelledError.
    """

    def __init__(
        self, name: str, limit: int | None = None, progress: Progress | None = None
    ) -> None:
        self.name = name
        self.limit = limit
        self.progress = progress
        self._done = 0
        self._total: int | None = None
        self._stamp: str | None = None

    def __call__(
        self, url: str, output_file: Any, pooch: Any, check_only: bool = False
    ) -> bool | None:
        """Fill `output_file`, the name of an empty file, with what lies at `url`."""
        target = Path(output_file)
        failures = furthest = 0
        while True:
            try:
                self._attempt(url, target)
                return None
            except BrokenError as error:
                failures = 1 if self._done > furthest else failures + 1
                furthest = max(furthest, self._done)
                if failures >= TRIES:
                    raise DatasetError(
                        f"{self.name}: {url}: {error}; gave up after {failures} tries "
                        f"at byte {self._done:,}"
                    ) from error
                time.sleep(FIRST_WAIT_SECONDS * 2 ** (failures - 1))

    def _attempt(self, url: str, target: Path) -> None:
        requests: Any = importlib.import_module("requests")  # comes with pooch
        try:
            with requests.get(
                url, headers=self._headers(), stream=True, timeout=TIMEOUT_SECONDS
            ) as response:
                self._check(response, url)
                self._take_stock(response, url, target)
                self._write(response.iter_content(CHUNK_BYTES), target)
        except (
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ConnectionError,
            requests.exceptions.Timeout,
        ) as error:
            raise BrokenError(_reason(error)) from error
        except requests.exceptions.RequestException as error:
            raise DatasetError(f"{self.name}: {url}: {_reason(error)}") from error
        if self._total is not None and self._done < self._total:
            raise BrokenError(f"the connection ended after {self._done:,} of {self._total:,} bytes")

    def _headers(self) -> dict[str, str]:
        # Packed on the way, lengths and places would mean something else.
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
        if self._done and self._stamp is None:
            self._done = 0  # whether the rest is the rest of the same file could not be told
        if self._done or self.limit is not None:
            last = "" if self.limit is None else str(self.limit - 1)
            headers["Range"] = f"bytes={self._done}-{last}"
        if self._done and self._stamp is not None:
            headers["If-Range"] = self._stamp
        return headers

    def _check(self, response: Any, url: str) -> None:
        status = response.status_code
        if status in _BUSY:
            raise BrokenError(f"the server answered {status} {response.reason}")
        if status in (401, 403, 404, 410):
            raise DatasetError(
                f"{self.name}: the server answered {status} {response.reason} for {response.url}; "
                "if the file has moved, give base_url or set the family's VICINAL_URL_... variable"
            )
        if status not in (200, 206):
            raise DatasetError(
                f"{self.name}: the server answered {status} {response.reason} for {response.url}"
            )
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise DatasetError(
                f"{self.name}: {url} leads to {response.url}, which is not encrypted"
            )

    def _take_stock(self, response: Any, url: str, target: Path) -> None:
        """Learn how much is to come and from where, and whether there is room for it."""
        headers = response.headers
        packed = headers.get("Content-Encoding", "identity") != "identity"
        length = None if packed else _whole_number(headers.get("Content-Length"))
        if response.status_code == 200:
            self._done = 0  # all of it, though the rest may have been asked for
        elif not headers.get("Content-Range", "").startswith(f"bytes {self._done}-"):
            raise DatasetError(
                f"{self.name}: {url}: asked for bytes from {self._done}, "
                f"the server sent {headers.get('Content-Range')!r}"
            )
        self._total = None if length is None else self._done + length
        if self.limit is not None and (self._total is None or self._total > self.limit):
            self._total = self.limit
        tag = headers.get("ETag", "")
        self._stamp = tag if tag.startswith('"') else headers.get("Last-Modified")
        missing = (self._total or 0) - self._done
        free = shutil.disk_usage(target.parent).free
        if missing > free:
            raise DatasetError(
                errno.ENOSPC,
                f"{self.name} needs {missing:,} bytes more, only {free:,} are free",
                str(target.parent),
            )

    def _write(self, pieces: Iterator[bytes], target: Path) -> None:
        try:
            with open(target, "r+b") as file:
                file.truncate(self._done)
                file.seek(self._done)
                for piece in pieces:
                    rest = None if self.limit is None else self.limit - self._done
                    file.write(piece[:rest])
                    self._done += len(piece[:rest])
                    self._report()
                    if self._done == self.limit:
                        break
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DatasetError(
                    errno.ENOSPC, f"{self.name}: no room left on the disk", str(target.parent)
                ) from error
            raise

    def _report(self) -> None:
        if self.progress is None:
            return
        if self.progress(f"fetching {self.name}", self._done, self._total or 0) is False:
            raise CancelledError(f"stopped by progress while fetching {self.name}")


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _reason(error: BaseException) -> str:
    """Tell the innermost cause, which is the one that means something to a person."""
    while error.__context__ is not None and not isinstance(error, TimeoutError):
        error = error.__context__
    return " ".join(str(error).split()) or type(error).__name__
