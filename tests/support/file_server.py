"""A file server on this machine that can misbehave on request."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class File:
    """What a path answers with."""

    content: bytes = b""
    #: Bytes after which the connection ends, for each of the first answers.
    breaks: list[int] = field(default_factory=list)
    #: Statuses of the first answers; then it works.
    statuses: list[int] = field(default_factory=list)
    location: str | None = None
    ranges: bool = True
    stamp: bool = True
    #: What the content becomes after the first answer.
    later: bytes | None = None


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    #: Bytes of the file that were sent in answer.
    sent: int = 0
    answered: threading.Event = field(default_factory=threading.Event)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that leave before the end: some have what they want."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class FileServer:
    """Paths and their files; remembers what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.requests: list[Request] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._http = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def put(self, path: str, content: bytes = b"", **how: object) -> File:
        file = File(content, **how)  # type: ignore[arg-type]
        self.files[path] = file
        return file

    def asked(self, path: str) -> list[Request]:
        """Give the requests for a path, once they are answered."""
        found = [request for request in self.requests if request.path == path]
        assert all(request.answered.wait(10) for request in found)
        return found

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.lstrip("/")
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(path, headers)
        self.requests.append(request)
        try:
            request.sent = self._send(handler, self.files.get(path), headers)
        finally:
            request.answered.set()

    def _send(
        self, handler: BaseHTTPRequestHandler, file: File | None, headers: dict[str, str]
    ) -> int:
        status = 404 if file is None else file.statuses.pop(0) if file.statuses else 0
        if file is None or status:
            handler.send_response(status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return 0
        if file.location is not None:
            handler.send_response(302)
            handler.send_header("Location", file.location)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return 0
        whole = file.content
        stamp = f'"{hashlib.md5(whole, usedforsecurity=False).hexdigest()}"'
        start, stop = self._range(file, headers, stamp, len(whole))
        partial = (start, stop) != (0, len(whole))
        handler.send_response(206 if partial else 200)
        if partial:
            handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(whole)}")
        if file.stamp:
            handler.send_header("ETag", stamp)
        handler.send_header("Content-Length", str(stop - start))
        handler.end_headers()
        part = whole[start:stop]
        if file.later is not None:
            file.content, file.later = file.later, None
        if file.breaks:
            part = part[: file.breaks.pop(0)]
            handler.close_connection = True
        done = 0
        try:
            # Small pieces, so that a reader who has enough shows in the count.
            for at in range(0, len(part), 1 << 16):
                done += handler.wfile.write(part[at : at + (1 << 16)])
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True
        return done

    def _range(self, file: File, headers: dict[str, str], stamp: str, size: int) -> tuple[int, int]:
        given = headers.get("range", "")
        if not file.ranges or not given.startswith("bytes="):
            return 0, size
        if headers.get("if-range", stamp) != stamp:
            return 0, size
        first, _, last = given.removeprefix("bytes=").partition("-")
        return int(first), min(size, int(last) + 1 if last else size)


@contextmanager
def serving() -> Iterator[FileServer]:
    server = FileServer()
    thread = threading.Thread(target=server._http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server._http.shutdown()
        server._http.server_close()
        thread.join()
