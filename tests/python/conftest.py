"""What the tests of the Python face share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings

import vicinal
from vicinal.transforms import Transform

# A first call may find a cold machine; how long an example takes says nothing about right or wrong.
settings.register_profile("vicinal", deadline=None, max_examples=40)
settings.load_profile("vicinal")

AnyIndex = vicinal.FlatIndex | vicinal.HNSWIndex | vicinal.IVFIndex


@dataclass(frozen=True)
class Kind:
    """One way to make an index."""

    name: str
    make: Callable[..., AnyIndex]
    #: Its distances are those of the vectors that went in, up to float32 rounding.
    exact: bool


def _flat(codec: str) -> Callable[..., AnyIndex]:
    return lambda dim, metric="l2": vicinal.FlatIndex(dim, metric, codec=codec)


def _hnsw(codec: str, refine: str | None) -> Callable[..., AnyIndex]:
    return lambda dim, metric="l2": vicinal.HNSWIndex(dim, metric, codec=codec, refine=refine)


def _ivf(codec: str, refine: str | None, residual: bool = True) -> Callable[..., AnyIndex]:
    return lambda dim, metric="l2": vicinal.IVFIndex(
        dim, metric, codec=codec, refine=refine, residual=residual
    )


def _turned(make: Callable[..., AnyIndex], **how: Any) -> Callable[..., AnyIndex]:
    """The same behind a rotation."""
    return lambda dim, metric="l2": make(dim, metric, transform=Transform.rotation(dim, 7), **how)


KINDS = [
    Kind("flat-float32", _flat("float32"), True),
    Kind("flat-float16", _flat("float16"), False),
    Kind("flat-sq8", _flat("sq8"), False),
    Kind("hnsw-float32", _hnsw("float32", None), True),
    Kind("hnsw-float16", _hnsw("float16", None), False),
    Kind("hnsw-sq8", _hnsw("sq8", None), False),
    Kind("hnsw-sq8-float16", _hnsw("sq8", "float16"), False),
    Kind("hnsw-sq8-float32", _hnsw("sq8", "float32"), True),
    Kind("hnsw-sq4-float16", _hnsw("sq4", "float16"), False),
    Kind("ivf-float32", _ivf("float32", None, residual=False), True),
    Kind("ivf-sq8", _ivf("sq8", None), False),
    Kind("ivf-sq8-float32", _ivf("sq8", "float32"), True),
    Kind("ivf-sq4-float16", _ivf("sq4", "float16"), False),
    Kind("flat-sq8-turned", _turned(vicinal.FlatIndex, codec="sq8"), False),
    Kind(
        "hnsw-sq8-float32-turned",
        _turned(vicinal.HNSWIndex, codec="sq8", refine="float32"),
        True,
    ),
    Kind(
        "ivf-sq8-float32-turned",
        _turned(vicinal.IVFIndex, codec="sq8", refine="float32"),
        True,
    ),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Every kind of index in turn."""
    found: Kind = request.param
    return found


@pytest.fixture(params=["l2", "ip", "cosine"])
def metric(request: pytest.FixtureRequest) -> str:
    """Every metric in turn."""
    found: str = request.param
    return found


@pytest.fixture
def normal() -> Callable[..., npt.NDArray[Any]]:
    """Seeded float32 rows: normal(n, dim, seed=0)."""

    def draw(n: int, dim: int, seed: int = 0) -> npt.NDArray[Any]:
        return np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)

    return draw
