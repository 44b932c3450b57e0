"""Public benchmark sets by name, and local files in the same form.

>>> from vicinal import datasets
>>> [entry.name for entry in datasets.list("ann-benchmarks")][:2]
['coco-i2i-512-angular', 'coco-t2i-512-angular']

`load` gives base, queries and true neighbours of a named set or of a local file; `fetch` only gets
the files. Downloads need ``pip install pooch``.

What a server sends is not trusted more than any other file: the readers of `vicinal.io` check all
sizes and ids. Hardly any of these sets comes with a published checksum. Where none is known, the
SHA-256 of the first download is written beside the file and every later one must agree with it.
"""

from __future__ import annotations

from vicinal.datasets.catalogue import find, list
from vicinal.datasets.entry import FAMILIES, Entry, Family, Remote
from vicinal.datasets.errors import DatasetError, HashError
from vicinal.datasets.fetching import Fetched, cache_folder, fetch
from vicinal.datasets.loading import Dataset, from_files, load

__all__ = [
    "FAMILIES",
    "Dataset",
    "DatasetError",
    "Entry",
    "Family",
    "Fetched",
    "HashError",
    "Remote",
    "cache_folder",
    "fetch",
    "find",
    "from_files",
    "list",
    "load",
]
