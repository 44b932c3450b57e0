"""Benchmark results: reading them, and showing them as figures and as a page.

Measuring itself is in ``bench/`` of the source tree; what it measured is a file of JSON lines, and
everything here works from such files alone.
"""

from __future__ import annotations

from vicinal.bench.drawing import write_figures
from vicinal.bench.page import write_page
from vicinal.bench.results import Results, Study, read_results

__all__ = ["Results", "Study", "read_results", "write_figures", "write_page"]
