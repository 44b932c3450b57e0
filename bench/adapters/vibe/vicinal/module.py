"""vicinal in VIBE: copy this folder to vibe/algorithms/vicinal there."""

import numpy as np

import vicinal

from ..base.module import BaseANN

# Rows under "normalized" have length one, up to rounding.
METRICS = {"euclidean": "l2", "cosine": "cosine", "normalized": "cosine", "ip": "ip"}


class VicinalHNSW(BaseANN):
    """A graph over scalar codes; the last candidates are compared in finer rows."""

    def __init__(self, metric, links, build_ef, codec, refine):
        if metric not in METRICS:
            raise NotImplementedError(f"vicinal does not support metric {metric}")
        self.metric = METRICS[metric]
        self.links = links
        self.build_ef = build_ef
        self.codec = codec
        self.refine = refine
        self.ef = None

    def fit(self, X):  # noqa: N803 - the project's name
        self.index = vicinal.HNSWIndex(
            X.shape[1],
            self.metric,
            codec=self.codec,
            refine=None if self.refine == "none" else self.refine,
            links=self.links,
            build_ef=self.build_ef,
        )
        # All indexes are built by one thread here.
        self.index.add(X, threads=1)
        self.index.reorder(threads=1)

    def set_query_arguments(self, ef):
        self.ef = ef

    def query(self, v, n):
        ids = self.index.search(v, n, ef=self.ef, threads=1).ids[0]
        return ids if ids[-1] >= 0 else ids[ids >= 0]

    def batch_query(self, X, n):  # noqa: N803 - the project's name
        found = self.index.search(np.asarray(X), n, ef=self.ef).ids
        self.res = [ids[ids >= 0] for ids in found]

    def get_additional(self):
        return {"index_bytes": self.index.memory().total}

    def __str__(self):
        return (
            f"VicinalHNSW(links={self.links}, build_ef={self.build_ef}, codec={self.codec}, "
            f"refine={self.refine}, ef={self.ef})"
        )
