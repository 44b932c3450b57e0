"""vicinal in ann-benchmarks: copy this folder to ann_benchmarks/algorithms/vicinal there."""

import numpy as np

import vicinal

from ..base.module import BaseANN

METRICS = {"euclidean": "l2", "angular": "cosine"}


class VicinalHNSW(BaseANN):
    """A graph over scalar codes; the last candidates are compared in finer rows."""

    def __init__(self, metric, param):
        self.metric = METRICS[metric]
        self.links = param["links"]
        self.build_ef = param["build_ef"]
        self.codec = param["codec"]
        self.refine = param["refine"]
        self.ef = None
        self.index = None
        self.name = self._name()

    def fit(self, X):  # noqa: N803 - the project's name
        index = vicinal.HNSWIndex(
            X.shape[1],
            self.metric,
            codec=self.codec,
            refine=None if self.refine == "none" else self.refine,
            links=self.links,
            build_ef=self.build_ef,
        )
        ids = np.arange(len(X))
        if self.metric == "cosine":
            # A row of zeros has no direction, so it is nobody's neighbour; vicinal refuses it.
            ids = ids[np.any(X != 0, axis=1)]
        # As many threads as the container has processors, as others here do.
        index.add(X if len(ids) == len(X) else X[ids], ids=ids)
        index.reorder()
        self.index, self.any_ids = index, ids

    def set_query_arguments(self, ef):
        self.ef = ef
        self.name = self._name()

    def query(self, v, n):
        try:
            ids = self.index.search(v, n, ef=self.ef, threads=1).ids[0]
        except vicinal.ArgumentError:
            if v.any():
                raise
            return self.any_ids[:n]  # no direction: all rows are equally near
        return ids if ids[-1] >= 0 else ids[ids >= 0]

    def batch_query(self, X, n):  # noqa: N803 - the project's name
        asked = np.any(X != 0, axis=1) if self.metric == "cosine" else np.full(len(X), True)
        found = self.index.search(X[asked], n, ef=self.ef).ids
        self.res = [self.any_ids[:n]] * len(X)
        for place, ids in zip(np.flatnonzero(asked), found, strict=True):
            self.res[place] = ids[ids >= 0]

    def get_additional(self):
        return {"index_bytes": self.index.memory().total}

    def done(self):
        self.index = None

    def _name(self):
        return (
            f"vicinal-hnsw (links={self.links}, build_ef={self.build_ef}, codec={self.codec}, "
            f"refine={self.refine}, ef={self.ef})"
        )
