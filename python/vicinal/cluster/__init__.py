"""Clusters of vectors: k-means, plain and balanced.

>>> import numpy as np, vicinal.cluster
>>> vectors = np.random.default_rng(0).standard_normal((2000, 16), dtype=np.float32)
>>> found = vicinal.cluster.kmeans(vectors, 20, balance="capacity")
>>> found.centroids.shape, int(found.sizes.max())
((20, 16), 105)
"""

from __future__ import annotations

from vicinal.cluster.means import Assignment, Clustering, assign, kmeans

__all__ = ["Assignment", "Clustering", "assign", "kmeans"]
