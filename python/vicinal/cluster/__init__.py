"""Clustering."""

from __future__ import annotations

from vicinal.cluster.medoids import Medoids, kmedoids

__all__ = ["Medoids", "kmedoids"]
