"""Characters as pictures: every ideograph in several fonts, asked for in another hand.

The base are the CJK unified ideographs (U+4E00 to U+9FFF) as fonts for print draw them, 32 x 32
grey pixels each; the queries are some of them in a brush script, so that they lie elsewhere.
Nothing is downloaded: the fonts are packages of Debian and Ubuntu.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SIDE = 32
POINTS = 30  # of the em square; what is drawn of it fits into the picture
FIRST, LAST = 0x4E00, 0x9FFF
QUERIES = 2_000
_FONTS = Path("/usr/share/fonts")
#: File and package of each.
PRINTED = (
    ("truetype/arphic/uming.ttc", "fonts-arphic-uming"),
    ("truetype/wqy/wqy-zenhei.ttc", "fonts-wqy-zenhei"),
    ("truetype/wqy/wqy-microhei.ttc", "fonts-wqy-microhei"),
    ("truetype/hanazono/HanaMinA.ttf", "fonts-hanazono"),
)
WRITTEN = ("truetype/arphic/ukai.ttc", "fonts-arphic-ukai")


def glyphs() -> dict[str, Array]:
    """Base, queries and the metric; `target` is one row that shows the character asked for."""
    missing = [package for file, package in (*PRINTED, WRITTEN) if not (_FONTS / file).exists()]
    if missing:
        raise ValueError(f"fonts are missing: apt-get install {' '.join(missing)}")
    return drawn([_FONTS / file for file, _ in PRINTED], _FONTS / WRITTEN[0], QUERIES)


def drawn(printed: Sequence[Path], written: Path, queries: int) -> dict[str, Array]:
    """Draw the characters of all `printed` fonts, and `queries` of the `written` one."""
    codes, pictures = zip(*map(pictures_of, printed), strict=True)
    base, code = np.concatenate(pictures), np.concatenate(codes)
    # Fonts share drawings, and Unicode has characters that look alike.
    _, first = np.unique(base, axis=0, return_index=True)
    first.sort()
    base, code = base[first], code[first]
    asked, query = pictures_of(written)
    stored = {row.tobytes() for row in base}
    known = np.isin(asked, code) & [row.tobytes() not in stored for row in query]
    asked, query = asked[known], query[known]
    draw = np.random.default_rng(0)
    some = np.sort(draw.choice(len(asked), min(queries, len(asked)), replace=False))
    order = np.argsort(code, kind="stable")
    target = order[np.searchsorted(code, asked[some], sorter=order)]
    return {
        "base": base,
        "query": query[some],
        "target": target.astype(np.int32),
        "metric": np.asarray("ip"),  # by squared distance few strokes are near to everything
    }


def pictures_of(font: Path) -> tuple[Array, Array]:
    """Codes of the ideographs that a font has, and their pictures: uint8, (n, SIDE * SIDE)."""
    try:
        from fontTools.ttLib import TTFont
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ImportError(f"{error}: pip install pillow fonttools") from error
    with TTFont(font, fontNumber=0, lazy=True) as tables:
        has = sorted(code for code in tables.getBestCmap() if FIRST <= code <= LAST)
    face = ImageFont.truetype(str(font), POINTS, layout_engine=ImageFont.Layout.BASIC)
    rows = np.empty((len(has), SIDE * SIDE), np.uint8)
    for row, code in zip(rows, has, strict=True):
        picture = Image.new("L", (SIDE, SIDE))
        middle = SIDE // 2
        ImageDraw.Draw(picture).text((middle, middle), chr(code), 255, face, anchor="mm")
        row[:] = np.asarray(picture).reshape(-1)
    blank = ~rows.any(axis=1)
    return np.asarray(has)[~blank], rows[~blank]
