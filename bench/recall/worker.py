"""One library in a process of its own, kept alive between rounds so that memory stays warm.

The parent sends (command, arguments) through a pipe and gets (state, result) back in time, or
kills the process. Whatever happens to it becomes a Failure with one line that says why.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Read by the numerical libraries when they load. Builds ask for their threads by argument.
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class Failure(Exception):  # noqa: N818  # an outcome to write down, not a mistake of ours
    """Why a contender has no numbers. ``status``: failed, timeout or refused."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, " ".join(why.split())[:400]


class Worker:
    """The parent's end. Every call waits for its answer: only one contender runs at a time."""

    def __init__(
        self, contender: str, adapters: Sequence[Path], data: Path, max_queries: int | None
    ) -> None:
        for variable in THREAD_LIMITS:
            os.environ[variable] = "1"
        context = multiprocessing.get_context("spawn")
        self.name = contender
        self._said = tempfile.NamedTemporaryFile(prefix="bench-recall-")  # noqa: SIM115
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(other, contender, list(adapters), data, max_queries, self._said.name),
            daemon=True,
        )
        self._process.start()
        other.close()

    def call(self, limit: float, command: str, *arguments: Any) -> Any:
        """The answer to a command, or a Failure once ``limit`` seconds have passed."""
        try:
            self._pipe.send((command, arguments))
            if not self._pipe.poll(limit):
                self.close(kill=True)
                raise Failure("timeout", f"{command}: not done after {limit:g} s, killed")
            state, result = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise Failure("failed", f"{command}: {self._ending()}") from None
        if state != "ok":
            raise Failure(state, f"{command}: {result}" if state == "failed" else result)
        return result

    def close(self, *, kill: bool = False) -> None:
        self._pipe.close()
        if not kill:
            self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(5)
        self._said.close()

    def _ending(self) -> str:
        code = self._process.exitcode
        if code is not None and code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        else:
            how = f"process ended with {code}"
        with contextlib.suppress(OSError):
            lines = Path(self._said.name).read_text(errors="replace").split("\n")
            said = [line.strip() for line in lines if line.strip()]
            if said:
                return f"{how}; it last said: {said[-1]}"
        return how


def _serve(
    pipe: multiprocessing.connection.Connection,
    name: str,
    adapters: Sequence[Path],
    data: Path,
    max_queries: int | None,
    said: str,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    with open(said, "ab", buffering=0) as file:  # what libraries print is not our output
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from .lab import Lab
    from .peers import RefusedError

    lab: Lab | None = None
    while True:
        try:
            command, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if lab is None:
                lab = Lab(name, adapters, data, max_queries)
            answer = ("ok", getattr(lab, command)(*arguments))
        except RefusedError as error:
            answer = ("refused", str(error))
        except ModuleNotFoundError as error:
            answer = ("failed", f"{error.name} is not installed")
        except Exception as error:
            answer = ("failed", f"{type(error).__name__}: {error}")
        pipe.send(answer)
