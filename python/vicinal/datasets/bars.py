"""A bar on stderr for downloads."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from vicinal._types import Progress

__all__ = ["bars"]


@contextlib.contextmanager
def bars(progress: Progress | bool | None) -> Iterator[Progress | None]:
    """Give what to report to: the caller's own, a bar if stderr is a terminal, or None."""
    if callable(progress):
        yield progress
        return
    if progress is False or (progress is None and not sys.stderr.isatty()):
        yield None
        return
    from rich import progress as rich_progress
    from rich.console import Console

    with rich_progress.Progress(
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(bar_width=30),
        rich_progress.DownloadColumn(binary_units=True),
        rich_progress.TransferSpeedColumn(),
        rich_progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as shown:
        tasks: dict[str, rich_progress.TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = shown.add_task(stage, total=total or None)
            shown.update(tasks[stage], completed=done, total=total or None)

        yield report
