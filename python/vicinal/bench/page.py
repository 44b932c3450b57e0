"""One page of HTML that shows results: everything inside, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import os
import shlex
from collections.abc import Sequence
from typing import Any

from vicinal._core import version as vicinal_version
from vicinal._types import Progress
from vicinal.bench import tables
from vicinal.bench.charts import figures_of
from vicinal.bench.drawing import javascript, needed, page_json
from vicinal.bench.figures import Look
from vicinal.bench.results import Results, Run, Study
from vicinal.bench.style import SHAPES, WHERE_COLOURS, Palette
from vicinal.io._check import replacing_file

__all__ = ["make_page", "write_page"]

_TITLE = "Nearest-neighbour search: recall, throughput, size"


def write_page(
    results: Results,
    path: str | os.PathLike[str],
    *,
    command: Sequence[str],
    progress: Progress | None = None,
) -> None:
    """Write the page; the file appears whole or not at all.

    Parameters
    ----------
    results : Results
    path : path-like
    command : sequence of str
        What made the page, as the page will say.
    progress : callable, optional
        Told ("page", done, total).

    Raises
    ------
    ImportError
        A package is missing: ``pip install jinja2 vl-convert-python``.
    """
    if progress is not None:
        progress("page", 0, 1)
    page = make_page(results, command=command)
    with replacing_file(path) as file:
        file.write(page.encode("utf-8", "replace"))
    if progress is not None:
        progress("page", 1, 1)


def make_page(results: Results, *, command: Sequence[str]) -> str:
    """Return the page as text.

    Parameters
    ----------
    results : Results
    command : sequence of str
        What made the page, as the page will say.

    Returns
    -------
    str

    Raises
    ------
    ImportError
        A package is missing: ``pip install jinja2 vl-convert-python``.
    """
    jinja2: Any = needed("jinja2", "jinja2")
    markup: Any = needed("markupsafe", "jinja2").Markup
    palette = Palette(results.contenders)
    figures = figures_of(results, Look(palette, page=True))
    studies = [study for study in results.studies() if study.contenders]
    scripts = [javascript(), _file("page.js")]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page: str = environment.from_string(_file("page.html.j2")).render(
        title=_TITLE,
        version=vicinal_version,
        command=shlex.join(command),
        machines=list(dict.fromkeys(tables.machine_line(run.machine) for run in results.runs)),
        headlines=[(s.title, text) for s in studies if (text := tables.headline(s)) is not None],
        studies=[_study(study, figures[study.key], palette) for study in studies],
        kernels=tables.kernels_table(results.newest_kernels()),
        kernel_figures=figures.get("kernels", []),
        unfinished=tables.unfinished_table(studies),
        runs=[_run(run) for run in results.runs],
        flags=tables.flags_table(studies),
        # Ours, or made safe for where they stand; all else is escaped by the template.
        style=markup(_file("page.css")),
        colours=markup(_colours(palette)),
        specs=markup(page_json({f.name: f.spec for group in figures.values() for f in group})),
        scripts=[markup(script) for script in scripts],
        script_hashes=markup(" ".join(f"'sha256-{_hash(script)}'" for script in scripts)),
    )
    return page


def _study(study: Study, figures: Sequence[Any], palette: Palette) -> dict[str, Any]:
    drawn = {contender.name for contender in study.measured}
    marks = [
        {
            "name": name,
            "ours": palette[name].ours,
            "path": SHAPES[palette[name].shape],
            "variable": palette.variable(name),
        }
        for name in palette.names
        if name in drawn
    ]
    note = ""
    if len(study.runs) > 1:
        note = f"{len(study.runs)} runs; of each contender the newest one is shown."
    return {
        "title": study.title,
        "anchor": f"data-{study.key}",
        "facts": tables.study_line(study),
        "note": note,
        "marks": marks,
        "figures": figures,
        "full": tables.full_table(study),
        "points": tables.points_table(study),
        "reference": study.reference,
    }


def _run(run: Run) -> dict[str, Any]:
    load, limit = run.machine.load, run.settings.time_limit_s
    return {
        "id": run.id,
        "command": run.command,
        "machine": tables.machine_line(run.machine),
        "load": None if load is None else f"{load:.1f}",
        "busy": tables.busy_line(run.machine),
        "limit": None if limit is None else f"{limit:,.0f}",
        "bounds": tables.bounds_table(run),
    }


def _colours(palette: Palette) -> str:
    """Write the colours of marks as CSS variables, for light (and paper) and for dark."""
    light = {palette.variable(name): palette[name].light for name in palette.names}
    dark = {palette.variable(name): palette[name].dark for name in palette.names}
    for i, (on_white, on_black) in enumerate(WHERE_COLOURS):
        light[f"--where-{i}"], dark[f"--where-{i}"] = on_white, on_black

    def rule(colours: dict[str, str]) -> str:
        return ":root {" + " ".join(f"{name}: {value};" for name, value in colours.items()) + "}"

    return f"{rule(light)}\n@media screen and (prefers-color-scheme: dark) {{ {rule(dark)} }}"


def _file(name: str) -> str:
    """Read a file of this package, with plain line ends: the hash of a script is over its bytes."""
    text = importlib.resources.files("vicinal.bench").joinpath(name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
