"""The command ``vicinal``: build, tune, search, calibrate, info, verify, eval, demo, datasets and
bench.

Results go to stdout, everything else to stderr. Exit status: 0 done, 1 the work failed, 2 a mistake
in the command line, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
import typer.core

from vicinal.cli import (
    bench,
    build,
    calibrate,
    codecs,
    datasets,
    demo,
    evaluate,
    files,
    search,
    tune,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="vicinal",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _OrIndex(typer.core.TyperGroup):
    """Takes what is not the name of a command as the arguments of `index`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            args = ["index", *args]
        return super().parse_args(ctx, args)


_eval = typer.Typer(cls=_OrIndex, rich_markup_mode="markdown")
_eval.command("index")(evaluate.evaluate)
_eval.command("codecs")(codecs.codecs)


@_eval.callback()
def _evals() -> None:
    """Measure an index on data (`index`, which may be left out), or compare codecs (`codecs`)."""


app.command()(build.build)
app.command()(tune.tune)
app.command()(search.search)
app.command()(calibrate.calibrate)
app.command()(files.info)
app.command()(files.verify)
app.add_typer(_eval, name="eval")
app.command()(demo.demo)
app.add_typer(bench.app, name="bench")
app.add_typer(datasets.app, name="datasets")


def _version(wanted: bool) -> None:
    if wanted:
        from vicinal import __version__

        sys.stdout.write(f"vicinal {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Find the nearest vectors, in as little memory and time as the machine allows."""


def main() -> None:
    """Run the command; never returns."""
    app(prog_name="vicinal")
