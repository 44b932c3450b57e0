"""What every command shares: where output goes, progress, and how failures end."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from vicinal._types import Progress as Report
from vicinal.errors import ArgumentError, Error

__all__ = [
    "UsageProblem",
    "command",
    "emit_json",
    "plain_table",
    "progress",
    "quantity",
    "safe",
    "show",
    "stderr",
    "usage",
]

FAILED, INTERRUPTED = 1, 130
# Without a terminal there is no width to fit: tables are not cut where a file or a pipe reads them.
_WIDTH_OF_PIPES = 200
# Stages that count something of their own; all others count what the command works through.
_UNITS = {"saving": "B", "verifying": "B", "choosing ef": "tries", "measuring": "settings"}
# Parts of another stage, which count something else.
_INNER_STAGES = frozenset({"working"})

# Before that a rate is noise, and a large number.
_SHORTEST_RATED_SECONDS = 0.2

F = TypeVar("F", bound=Callable[..., None])


class UsageProblem(typer.BadParameter):
    """Options that do not go together; exit status 2, as for all mistakes in the command line."""


def show(*parts: RenderableType, output: Path | None = None) -> None:
    """Print results one below the other; without colours and trailing blanks unless on a terminal.

    Parts of text are Rich markup: what comes from outside goes through `safe`.
    """
    if output is None and sys.stdout.isatty():
        console = Console(highlight=False)
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, str))
        return
    plain = Console(width=_WIDTH_OF_PIPES, color_system=None, force_terminal=False, highlight=False)
    with plain.capture() as text:
        for part in parts:
            plain.print(part, soft_wrap=isinstance(part, str))
    emit("".join(f"{line.rstrip()}\n" for line in text.get().splitlines()), output)


def stderr() -> Console:
    """Make the console for everything that is not a result."""
    return Console(stderr=True, highlight=False)


def command(function: F) -> F:
    """Give a command its ending: one line on stderr and an exit status instead of a traceback.

    1 if the work failed, 130 after Ctrl-C. Adds the option ``--traceback``.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, traceback: bool = False, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
            sys.stdout.flush()
        except KeyboardInterrupt:
            if traceback:
                raise
            stderr().print("vicinal: stopped", markup=False)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read our output has left: nobody to tell, but Python would try at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(FAILED) from None
        except (
            Error,
            OSError,
            ValueError,
            TypeError,
            ArithmeticError,
            RecursionError,
            ImportError,
            MemoryError,
        ) as error:
            if traceback:
                raise
            stderr().print(f"vicinal: {_one_line(error)}", markup=False, soft_wrap=True)
            raise typer.Exit(FAILED) from None

    option = inspect.Parameter(
        "traceback",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--traceback", help="Show where an error arose.")],
    )
    signature = inspect.signature(function, eval_str=True)
    parameters = [*signature.parameters.values(), option]
    # Typer reads both: the signature for the defaults, the annotations for the types.
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    del wrapper.__wrapped__  # else Typer resolves the annotations of the inner function
    return wrapper  # type: ignore[return-value]


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fspath(error.filename)}: " if error.filename is not None else ""
        return f"{_text(where)}{error.strerror}"
    if isinstance(error, MemoryError):
        return f"out of memory {error}".strip()
    return _text(" ".join(str(error).split()) or type(error).__name__)


def _text(value: str) -> str:
    """Make what a terminal can show of a name that need not be text.

    What a file says must not steer it: escapes, and what turns text around, are spelt out.
    """
    text = value.encode("utf-8", "replace").decode("utf-8")
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


@contextlib.contextmanager
def usage(hint: str | None = None) -> Iterator[None]:
    """Turn a caller's mistake into a mistake in the command line."""
    try:
        yield
    except ArgumentError as error:
        raise UsageProblem(str(error), param_hint=hint) from error


class _Rate(ProgressColumn):
    """Done and total, and how many a second."""

    def render(self, task: Task) -> Text:
        unit = str(task.fields["unit"])
        speed = task.finished_speed or task.speed
        measurable = speed and (task.elapsed or 0) > _SHORTEST_RATED_SECONDS
        rate = f"  {quantity(speed or 0, unit)}/s" if measurable else ""
        if task.total is None:
            return Text(f"{quantity(task.completed, unit)}{rate}")
        done = quantity(task.completed, "B" if unit == "B" else "")
        return Text(f"{done} of {quantity(task.total, unit)}{rate}")


@contextlib.contextmanager
def progress(unit: str = "vectors") -> Iterator[Report | None]:
    """Show bars with rate and time left on stderr; None, and no bars, if it is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        _Rate(),
        TimeRemainingColumn(),
        console=stderr(),
        transient=True,
        auto_refresh=False,  # its thread would disturb what commands time
    )
    tasks: dict[str, TaskID] = {}
    shown = ""

    def report(stage: str, done: int, total: int) -> None:
        nonlocal shown
        if stage in _INNER_STAGES:
            return
        if stage not in tasks:
            counted = _UNITS.get(stage, unit)
            tasks[stage] = bars.add_task(stage, total=total or None, unit=counted)
        if stage != shown:  # one bar at a time
            for name, task in tasks.items():
                bars.update(task, visible=name == stage)
            shown = stage
        if done < bars.tasks[tasks[stage]].completed:  # it begins anew, for another file say
            bars.reset(tasks[stage], total=total or None)
        bars.update(tasks[stage], completed=done, total=total or None, refresh=True)

    with bars:
        yield report


def quantity(value: float, unit: str = "") -> str:
    """Write a number for people: bytes in steps of 1024, others with separators."""
    if unit == "B":
        steps = ("B", "KiB", "MiB", "GiB", "TiB")
        step = 0 if value < 1 else min(int(math.log2(value) // 10), len(steps) - 1)
        number = value / 1024**step
        return f"{number:,.0f} {steps[step]}" if step == 0 else f"{number:,.1f} {steps[step]}"
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"
    return f"{text} {unit}".rstrip()


def plain_table(*headings: str, title: str | None = None, left: int = 1) -> Table:
    """Make a table; all columns but the first ``left`` ones are of numbers, aligned right."""
    table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False)
    table.padding = (0, 2, 0, 0)
    for number, heading in enumerate(headings):
        side: Any = "left" if number < left else "right"
        table.add_column(heading, justify=side, overflow="fold")
    return table


def safe(value: object) -> str:
    """Make text that Rich prints as it is, square brackets and all."""
    return escape(_text(str(value)))


def jsonable(value: Any) -> Any:
    """Make of a result what JSON can hold: infinity and NaN become null."""
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, Path):
        return str(value)
    return value


def emit_json(value: Any, output: Path | None = None) -> None:
    """Write JSON to stdout, or to a file."""
    text = json.dumps(jsonable(value), indent=2, ensure_ascii=False) + "\n"
    if not text.isascii():  # json spells out no control characters but those of ASCII
        text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    emit(text, output)


def emit(content: str | bytes, output: Path | None = None) -> None:
    """Write a result to stdout, or to a file that appears whole or not at all."""
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if output is None:
        # Under `python -u` this stream is raw, and a raw write may take less than it was given.
        rest = memoryview(data)
        while rest:
            rest = rest[sys.stdout.buffer.write(rest) :]
        return
    from vicinal.io._check import replacing_file

    with replacing_file(output) as file:
        file.write(data)
