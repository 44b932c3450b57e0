"""Sphinx settings. Build with: sphinx-build -W --keep-going -b html docs docs/_build/html."""

import vicinal

project = "vicinal"
author = "the vicinal contributors"
release = version = vicinal.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"vicinal {release}"
default_role = "code"  # single backquotes are names of things

autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types stand in the numpydoc sections
numpydoc_show_class_members = False
numpydoc_validation_checks = {"GL01", "GL02", "GL03", "GL05", "GL06", "GL07"}

intersphinx_mapping: dict[str, tuple[str, None]] = {}
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
nitpicky = False
