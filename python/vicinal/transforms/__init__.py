"""What stands between vectors and codes: rotations, fewer dimensions, weights that queries teach.

A transform is a matrix for stored vectors, a matrix for queries and an offset. The classes here
say how to learn one; :meth:`~TransformSpec.fit` learns it; a :class:`Transform` applies it.
Matrices that were learned elsewhere, in PyTorch for example, make a :class:`Transform` as well.

>>> import numpy as np
>>> from vicinal.transforms import PCA, QueryWhitening
>>> random = np.random.default_rng(0)
>>> vectors = random.standard_normal((1000, 32), dtype=np.float32)
>>> transform = PCA(dim=8).fit(vectors, metric="l2")
>>> transform
<vicinal.transforms.Transform 32 -> 8: approximate for l2, ip, cosine>
>>> transform.data(vectors).shape
(1000, 8)
>>> QueryWhitening().fit(vectors, queries=random.random((500, 32)), metric="ip")
<vicinal.transforms.Transform 32 -> 32: exact for ip, cosine>
"""

from __future__ import annotations

from vicinal.transforms._specs import (
    OPQ,
    PCA,
    LeanVec,
    QueryWhitening,
    RandomRotation,
    TransformSpec,
)
from vicinal.transforms._transform import Transform

__all__ = [
    "OPQ",
    "PCA",
    "LeanVec",
    "QueryWhitening",
    "RandomRotation",
    "Transform",
    "TransformSpec",
]
