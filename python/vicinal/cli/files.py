"""``vicinal info`` and ``vicinal verify``: what a saved index is, and whether it is whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from vicinal import BuildReport, Calibration
from vicinal import info as file_info
from vicinal import open as open_index
from vicinal import verify as verify_file
from vicinal.cli.making import report_rows
from vicinal.cli.output import (
    command,
    emit_json,
    plain_table,
    progress,
    quantity,
    safe,
    show,
)


@command
def info(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Saved index.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Tell what a saved index says of itself; only its header is read."""
    found = file_info(path)
    if as_json:
        emit_json(asdict(found))
        return
    facts = plain_table("", "", left=2)
    facts.show_header = False
    facts.add_row("file", f"{safe(found.path)}, {quantity(found.file_bytes, 'B')}")
    facts.add_row("kind", f"{safe(found.kind)}, format {found.version}")
    for name, value in _flat(found.header):
        # The rest is the frame of the file, told above and below.
        if name.startswith("config."):
            facts.add_row(safe(name.removeprefix("config.")), safe(value))
    metadata = found.metadata
    if isinstance(metadata, dict):
        told = ("report", "calibration")
        for name, value in _flat({k: v for k, v in metadata.items() if k not in told}):
            facts.add_row("made by vicinal" if name == "vicinal" else safe(name), safe(value))
        if "calibration" in metadata:
            facts.add_row("calibration", safe(_calibration(metadata["calibration"])))
        for name, value in _report(metadata.get("report")):
            facts.add_row(safe(name), safe(value))
    elif metadata:
        facts.add_row("metadata", safe(metadata))
    sections = plain_table("section", "bytes", "at byte", "crc32c")
    for section in found.sections:
        sections.add_row(
            safe(section.name), f"{section.bytes:,}", f"{section.offset:,}", f"{section.crc32c:08x}"
        )
    show(facts, "", sections)


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names joined by dots, values as text."""
    out: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            out.extend(_flat(value, f"{prefix}{key}."))
        else:
            out.append((f"{prefix}{key}", str(value)))
    return out


def _report(given: Any) -> list[tuple[str, str]]:
    """Give the report of `vicinal.build` in its own words; as it stands if another wrote it."""
    if not isinstance(given, dict):
        return []
    try:
        report = BuildReport.from_dict(given)
    except ValueError:
        return _flat(given, "report.")
    return report_rows(report)


def _calibration(given: Any) -> object:
    try:
        return Calibration.from_dict(given)
    except (TypeError, ValueError):
        return given


@command
def verify(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Saved index.")],
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Default: one per processor.")
    ] = None,
) -> None:
    """Read a whole saved index into memory, compare every checksum, check its structure.

    Exit status 1 if anything is wrong.
    """
    found = file_info(path)
    with progress("B") as report:
        verify_file(path, threads=threads, progress=report)
    index = open_index(path, "load")  # mapped, links and lists are checked as searches meet them
    show(
        f"{safe(path)}: sound. {len(found.sections)} sections, {quantity(found.file_bytes, 'B')}, "
        f"{len(index):,} vectors"
    )
