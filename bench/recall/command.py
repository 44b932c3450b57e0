"""The command of a run, as results tell it."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath


def without_folders(command: str) -> str:
    """Shorten absolute paths to their last part: where files lay is nobody's business.

    >>> without_folders("python -m bench.recall /data/a.npz --json=/tmp/b.jsonl")
    'python -m bench.recall a.npz --json=b.jsonl'
    """
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    short = []
    for word in words:
        name, equals, value = word.rpartition("=")
        value = PurePosixPath(value).name if value.startswith("/") else value
        short.append(f"{name}{equals}{value}")
    return " ".join(shlex.join(short).split())
