"""Figures drawn into files, and the JavaScript that draws them on a page."""

from __future__ import annotations

import importlib
import json
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from vicinal._types import Progress
from vicinal.bench.charts import figures_of
from vicinal.bench.figures import Figure, Look
from vicinal.bench.results import Results
from vicinal.bench.style import Palette

__all__ = ["javascript", "needed", "png", "svg", "write_figures"]

# Defined for the page, which calls it for each figure. One name, so that nothing else of the
# bundle is global.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"
_PNG_SCALE = 2.0


def needed(module: str, package: str) -> ModuleType:
    """Import a package that only reports need, or say how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"reports need the package {package}: pip install jinja2 vl-convert-python"
        ) from error


def _converter() -> Any:
    return needed("vl_convert", "vl-convert-python")


def svg(figure: Figure) -> str:
    """Draw a figure, made with a look for files, as SVG."""
    drawn: str = _converter().vegalite_to_svg(figure.spec)
    return drawn


def png(figure: Figure) -> bytes:
    """Draw a figure, made with a look for files, as PNG with two pixels for each unit."""
    drawn: bytes = _converter().vegalite_to_png(figure.spec, scale=_PNG_SCALE)
    return drawn


def javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that may stand inside a page."""
    bundle: str = _converter().javascript_bundle(_SNIPPET)
    # In a script these are only ever parts of literals, where the backslash changes nothing.
    bundle = re.sub(r"</(?=script)", r"<\\/", bundle, flags=re.IGNORECASE)
    bundle = bundle.replace("<!--", "\\x3c!--").replace("\r", "")
    return f"(() => {{\n{bundle}\n}})();"


def write_figures(
    results: Results, folder: str | os.PathLike[str], *, progress: Progress | None = None
) -> list[Path]:
    """Write every figure as SVG and as PNG.

    Parameters
    ----------
    results : Results
    folder : path-like
        Made if it is missing.
    progress : callable, optional
        Told ("figures", done, total).

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ImportError
        vl-convert-python is missing: ``pip install jinja2 vl-convert-python``.
    """
    look = Look(Palette(results.contenders), page=False)
    figures = [figure for group in figures_of(results, look).values() for figure in group]
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for done, figure in enumerate(figures):
        if progress is not None:
            progress("figures", done, len(figures))
        for suffix, content in (("svg", svg(figure).encode()), ("png", png(figure))):
            path = target / f"{figure.name}.{suffix}"
            path.write_bytes(content)
            written.append(path)
    if progress is not None:
        progress("figures", len(figures), len(figures))
    return written


def page_json(value: Any) -> str:
    """Write JSON that may stand inside a page: nothing in it ends a script or begins a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
