"""The measured sections of README.md and docs/performance.md, made from results."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.recall.command import without_folders

from vicinal.bench import tables
from vicinal.bench.charts import figures_of
from vicinal.bench.figures import Figure, Look
from vicinal.bench.results import Results, Run, Study
from vicinal.bench.style import Palette
from vicinal.bench.tables import Table

START, END = "<!-- results -->", "<!-- /results -->"
FIGURES = "docs/figures"
# Of each study; the README shows the first one of the first study.
_SHOWN = ("recall", "ratio", "size-speed", "exact")


class PublishError(Exception):
    """A document is not as it must be; the message is for the person at the terminal."""


@dataclass(frozen=True)
class Published:
    """All that follows from results: two texts, and figures by their path in the repository."""

    readme: str
    performance: str
    figures: dict[str, Figure]


def make(results: Results, command: str) -> Published:
    """Make everything from results; ``command`` is what will make it again."""
    look = Look(Palette(results.contenders), page=False)
    groups = figures_of(results, look)
    studies = [study for study in results.studies() if study.contenders]
    shown = {
        key: [figure for figure in figures if figure.name.startswith((*_SHOWN, "roofline"))]
        for key, figures in groups.items()
    }
    paths = {
        f"{FIGURES}/{figure.name}.svg": figure for figures in shown.values() for figure in figures
    }
    return Published(
        _readme(studies, shown, command),
        _performance(results, studies, shown, command),
        paths,
    )


def _readme(studies: Sequence[Study], shown: dict[str, list[Figure]], command: str) -> str:
    parts = [_made_by(command)]
    for number, (machine, group) in enumerate(_by_machine(studies)):
        parts += [f"Measured on {machine}, by", _commands(_runs(group))]
        parts += _warnings(_runs(group))
        for place, study in enumerate(group):
            parts.append(f"**{_text(study.title)}**: {_text(tables.study_line(study))}")
            if number == 0 and place == 0 and shown.get(study.key):
                parts.append(_picture(shown[study.key][0], FIGURES))
            parts.append(_markdown(tables.brief_table(study)))
    parts.append(
        f"The tables are written by `{command}`; "
        "[performance](docs/performance.md) has those for recall 0.90 and 0.99, memory, and the "
        "contenders that gave no result."
    )
    return _joined(parts)


def _performance(
    results: Results, studies: Sequence[Study], shown: dict[str, list[Figure]], command: str
) -> str:
    parts = [_made_by(command)]
    for machine, group in _by_machine(studies):
        parts += [f"Measured on {machine}, by", _commands(_runs(group))]
        parts += _warnings(_runs(group))
        parts.append(
            "`–`: not reached, or not known. `(at ...)`: the fastest setting has that higher "
            "recall already. Ratios are paired in each round, with 95% intervals. Peak and kept: "
            "growth of the process while it builds. Index: its file, or else what it says itself."
        )
        for study in group:
            parts.append(f"### {_text(study.title)}")
            parts.append(_text(tables.study_line(study)))
            if any(c.build is not None and c.build.from_cache for c in study.contenders):
                parts.append("(kept): built in an earlier run, which took that long.")
            parts += [_picture(figure, "figures") for figure in shown.get(study.key, [])]
            parts.append(_markdown(tables.full_table(study)))
    kernels = results.newest_kernels()
    if kernels:
        parts.append("### Kernels against their bounds")
        parts.append(_commands([results.run(kernel.run) for kernel in kernels]))
        parts += [_picture(figure, "figures") for figure in shown["kernels"]]
        parts.append(_markdown(tables.kernels_table(kernels)))
    unfinished = tables.unfinished_table(studies)
    if unfinished is not None:
        parts += ["### Without result", _markdown(unfinished)]
    flags = tables.flags_table(studies)
    if flags is not None:
        parts += ["### Versions and flags", _markdown(flags)]
    parts.append(f"Written by `{command}`.")
    return _joined(parts)


def _by_machine(studies: Sequence[Study]) -> list[tuple[str, list[Study]]]:
    groups: dict[str, list[Study]] = {}
    for study in studies:
        groups.setdefault(_text(tables.machine_line(study.machine)), []).append(study)
    return list(groups.items())


def _runs(studies: Iterable[Study]) -> list[Run]:
    return [run for study in studies for run in study.runs]


def _warnings(runs: Iterable[Run]) -> list[str]:
    lines = (tables.busy_line(run.machine) for run in runs)
    return [line for line in dict.fromkeys(lines) if line is not None]


def _made_by(command: str) -> str:
    return f"<!-- Made by {command}: change nothing here by hand. -->"


def _commands(runs: Iterable[Run]) -> str:
    lines = dict.fromkeys(without_folders(run.command) for run in runs)
    return "\n".join(["```bash", *lines, "```"])


def _picture(figure: Figure, folder: str) -> str:
    return f"![{_text(figure.title)}]({folder}/{figure.name}.svg)"


def _markdown(table: Table | None) -> str:
    if table is None:
        return "Nothing was measured."
    rules = ["---" if i < table.left else "---:" for i in range(len(table.headings))]
    lines = [_row([_text(heading) for heading in table.headings]), f"|{'|'.join(rules)}|"]
    for number, row in enumerate(table.rows):
        cells = [_text(cell) for cell in row]
        if number in table.strong:
            cells[0] = f"**{cells[0]}**"
        lines.append(_row(cells))
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(value: str) -> str:
    """Make text of a results file stand for itself in Markdown."""
    plain = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_|\[\]{}])", r"\\\1", plain)


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def replaced(document: str, content: str, name: str) -> str:
    """Put content between the markers; where the second one is missing, it comes right after."""
    before, start, rest = document.partition(f"{START}\n")
    if not start:
        raise PublishError(f"{name} has no line {START}: put it where the results belong")
    rest = rest.partition(END)[2] if END in rest else f"\n\n{rest.lstrip()}"
    return f"{before}{start}\n{content}\n\n{END}{rest}"


def section(document: str) -> str | None:
    """Return what stands between the markers; None if they are not both there."""
    _, start, rest = document.partition(f"{START}\n")
    inside, end, _ = rest.partition(END)
    return inside.strip() if start and end else None


def stamp(figure: Figure) -> str:
    """Make the line that a drawn figure carries: it tells from what it was drawn.

    The drawing itself depends on the fonts of a machine, so drawings are not compared.
    """
    spec = json.dumps(figure.spec, sort_keys=True, separators=(",", ":"))
    return f"<!-- drawn from {hashlib.sha256(spec.encode()).hexdigest()[:32]} -->"


def stamped(drawing: str, figure: Figure) -> str:
    """Put the stamp behind the first tag of an SVG."""
    head, tag, rest = drawing.partition(">")
    return f"{head}{tag}{stamp(figure)}{rest}"
