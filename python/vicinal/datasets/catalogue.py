"""The sets that are known by name.

Names, addresses, shapes and distances are those that the projects publish: ann-benchmarks in its
README and ``ann_benchmarks/datasets.py``, VIBE in its README and ``vibe/main.py``, big-ann in
``benchmark/datasets.py``. None of them publishes checksums.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from vicinal.datasets.entry import FAMILIES, Entry, Remote
from vicinal.errors import ArgumentError

__all__ = ["CATALOGUE", "find", "list", "markdown"]

_TEXMEX = "http://corpus-texmex.irisa.fr"
_PQ = "Jegou, Douze and Schmid, Product quantization for nearest neighbor search, TPAMI 2011"
_GLOVE = "https://nlp.stanford.edu/projects/glove/"
_GLOVE_PAPER = "Pennington, Socher and Manning, GloVe, EMNLP 2014"
_PDDL = "PDDL 1.0"
_COCO = "https://github.com/fabiocarrara/str-encoders/releases/download/v0.1.3/"
_UNLISTED = "not in the project's table of downloads, but in its code; may not be there"

# name, rows, dim, homepage, licence, citation, note
_ANN = (
    ("deep-image-96-angular", 9_990_000, 96, None, None, "Babenko and Lempitsky, CVPR 2016", ""),
    (
        "fashion-mnist-784-euclidean",
        60_000,
        784,
        "https://github.com/zalandoresearch/fashion-mnist",
        "MIT",
        "Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017",
        "",
    ),
    ("gist-960-euclidean", 1_000_000, 960, _TEXMEX, None, _PQ, ""),
    ("glove-25-angular", 1_183_514, 25, _GLOVE, _PDDL, _GLOVE_PAPER, ""),
    ("glove-50-angular", 1_183_514, 50, _GLOVE, _PDDL, _GLOVE_PAPER, ""),
    ("glove-100-angular", 1_183_514, 100, _GLOVE, _PDDL, _GLOVE_PAPER, ""),
    ("glove-200-angular", 1_183_514, 200, _GLOVE, _PDDL, _GLOVE_PAPER, ""),
    ("kosarak-jaccard", 74_962, 27_983, "http://fimi.uantwerpen.be/data/", None, None, ""),
    (
        "lastfm-64-dot",
        292_385,
        65,
        None,
        None,
        None,
        "made so that cosine answers what an inner product was asked",
    ),
    ("mnist-784-euclidean", 60_000, 784, None, None, "LeCun, Bottou, Bengio, Haffner, 1998", ""),
    (
        "movielens10m-jaccard",
        69_363,
        65_134,
        "https://grouplens.org/datasets/movielens/10m/",
        None,
        None,
        "",
    ),
    (
        "nytimes-256-angular",
        290_000,
        256,
        "https://archive.ics.uci.edu/dataset/164/bag+of+words",
        None,
        None,
        "",
    ),
    ("sift-128-euclidean", 1_000_000, 128, _TEXMEX, None, _PQ, ""),
    ("coco-i2i-512-angular", 113_287, 512, "https://cocodataset.org", None, None, ""),
    ("coco-t2i-512-angular", 113_287, 512, "https://cocodataset.org", None, None, ""),
    ("sift-256-hamming", 0, 256, None, None, None, _UNLISTED),
    ("word2bits-800-hamming", 0, 800, None, None, None, _UNLISTED),
    *(
        (
            f"dbpedia-openai-{n}k-angular",
            n * 1000 - 10_000,
            1536,
            "https://huggingface.co/datasets/KShivendu/dbpedia-entities-openai-1M",
            None,
            None,
            _UNLISTED,
        )
        for n in range(100, 1001, 100)
    ),
)

# name, rows, dim
_VIBE = (
    ("agnews-mxbai-1024-euclidean", 769_382, 1024),
    ("arxiv-nomic-768-normalized", 1_344_643, 768),
    ("ccnews-nomic-768-normalized", 495_328, 768),
    ("celeba-resnet-2048-cosine", 201_599, 2048),
    ("coco-nomic-768-normalized", 282_360, 768),
    ("codesearchnet-jina-768-cosine", 1_374_067, 768),
    ("cqadupstack-lemur-2048-ip", 457_149, 2048),
    ("cqadupstack-muvera-5120-ip", 457_149, 5120),
    ("dpr-jina-768-normalized", 20_969_760, 768),
    ("glove-200-cosine", 1_192_514, 200),
    ("gooaq-distilroberta-768-normalized", 1_475_024, 768),
    ("hotpotqa-harrier-640-normalized", 5_233_329, 640),
    ("imagenet-align-640-normalized", 1_281_167, 640),
    ("imagenet-clip-512-normalized", 1_281_167, 512),
    ("inaturalist-resnet-2048-cosine", 499_000, 2048),
    ("laion-clip-512-normalized", 1_000_448, 512),
    ("landmark-dino-768-cosine", 760_757, 768),
    ("landmark-nomic-768-normalized", 760_757, 768),
    ("llama-128-ip", 256_921, 128),
    ("msmarco-qwen-1024-normalized", 8_840_823, 1024),
    ("simplewiki-openai-3072-normalized", 260_372, 3072),
    ("yahoo-minilm-384-normalized", 677_305, 384),
    ("yandex-200-cosine", 1_000_000, 200),
    ("yi-128-ip", 187_843, 128),
)

_OUT_OF_DISTRIBUTION = (
    "coco-nomic-768-normalized",
    "cqadupstack-lemur-2048-ip",
    "cqadupstack-muvera-5120-ip",
    "hotpotqa-harrier-640-normalized",
    "imagenet-align-640-normalized",
    "laion-clip-512-normalized",
    "llama-128-ip",
    "yandex-200-cosine",
    "yi-128-ip",
)

_YANDEX = "https://storage.yandexcloud.net/yandex-research/ann-datasets/"
_COMP21 = "https://comp21storage.z5.web.core.windows.net/comp21/"
_SIZES = {"1M": 10**6, "10M": 10**7, "100M": 10**8, "1B": 10**9}


def _metric(name: str) -> str:
    """Tell the distance by the end of the name, as the projects do."""
    ends = {
        "euclidean": "l2",
        "angular": "cosine",
        "cosine": "cosine",
        "normalized": "cosine",
        "dot": "cosine",  # lastfm-64-dot is stored so that its distance is angular
        "ip": "ip",
        "hamming": "hamming",
        "jaccard": "jaccard",
    }
    return ends[name.rpartition("-")[2]]


def _ann_benchmarks() -> Iterator[Entry]:
    for name, rows, dim, homepage, licence, citation, note in _ANN:
        bits = _metric(name) in ("hamming", "jaccard")
        # The published size of these two leaves two bytes a number.
        halves = name.startswith("coco-")
        yield Entry(
            name,
            "ann-benchmarks",
            _metric(name),
            rows,
            dim,
            Remote(f"{name}.hdf5", f"{_COCO}{name}.hdf5" if halves else None),
            dtype="bool" if bits else "float16" if halves else "float32",
            homepage=homepage,
            licence=licence,
            citation=citation,
            note=note,
        )


def _vibe() -> Iterator[Entry]:
    for name, rows, dim in _VIBE:
        note = "queries of another kind than the base" if name in _OUT_OF_DISTRIBUTION else ""
        yield Entry(name, "vibe", _metric(name), rows, dim, Remote(f"{name}.hdf5"), note=note)


def _big_ann() -> Iterator[Entry]:
    yield from _slices(
        "bigann",
        ("l2", 128, "uint8", ("10M", "100M", "1B")),
        Remote("bigann/base.1B.u8bin"),
        Remote("bigann/query.public.10K.u8bin"),
        {
            "10M": Remote("GT_10M/bigann-10M"),
            "100M": Remote("GT_100M/bigann-100M"),
            "1B": Remote("bigann/GT.public.1B.ibin"),
        },
        homepage=_TEXMEX,
        citation="Jegou, Tavenard, Douze and Amsaleg, ICASSP 2011",
    )
    yield from _slices(
        "deep",
        ("l2", 96, "float32", ("10M", "100M", "1B")),
        Remote("DEEP/base.1B.fbin", f"{_YANDEX}DEEP/base.1B.fbin"),
        Remote("DEEP/query.public.10K.fbin", f"{_YANDEX}DEEP/query.public.10K.fbin"),
        {
            "10M": Remote("GT_10M/deep-10M"),
            "100M": Remote("GT_100M/deep-100M"),
            "1B": Remote(
                "deep_new_groundtruth.public.10K.bin",
                f"{_YANDEX}deep_new_groundtruth.public.10K.bin",
            ),
        },
        homepage="https://research.yandex.com/datasets/biganns",
        citation="Babenko and Lempitsky, CVPR 2016",
    )
    yield from _slices(
        "text2image",
        ("ip", 200, "float32", ("10M", "100M", "1B")),
        Remote("T2I/base.1B.fbin", f"{_YANDEX}T2I/base.1B.fbin"),
        Remote("T2I/query.public.100K.fbin", f"{_YANDEX}T2I/query.public.100K.fbin"),
        {
            "10M": Remote("GT_10M/text2image-10M"),
            "100M": Remote("GT_100M/text2image-100M"),
            "1B": Remote(
                "t2i_new_groundtruth.public.100K.bin",
                f"{_YANDEX}t2i_new_groundtruth.public.100K.bin",
            ),
        },
        homepage="https://research.yandex.com/datasets/biganns",
        note="queries of another kind than the base",
    )
    yield from _slices(
        "msturing",
        ("l2", 100, "float32", ("1M", "10M", "100M", "1B")),
        *_microsoft("MSFT-TURING-ANNS", "base1b.fbin", "query100K.fbin"),
        {
            "1M": _comp21("MSFT-TURING-ANNS/msturing-gt-1M"),
            "10M": _comp21("MSFT-TURING-ANNS/msturing-gt-10M"),
            "100M": _comp21("MSFT-TURING-ANNS/msturing-gt-100M"),
            "1B": _comp21("MSFT-TURING-ANNS/query_gt100.bin"),
        },
    )
    yield from _slices(
        "msspacev",
        ("l2", 100, "int8", ("1M", "10M", "100M", "1B")),
        *_microsoft("spacev1b", "spacev1b_base.i8bin", "query.i8bin"),
        {
            "1M": _comp21("spacev1b/msspacev-gt-1M"),
            "10M": _comp21("spacev1b/msspacev-gt-10M"),
            "100M": _comp21("spacev1b/msspacev-gt-100M"),
            "1B": _comp21("spacev1b/public_query_gt100.bin"),
        },
        homepage="https://github.com/microsoft/SPTAG/tree/main/datasets/SPACEV1B",
    )
    yield from _slices(
        "ssnpp",
        ("l2", 256, "uint8", ("10M", "100M", "1B")),
        Remote("FB_ssnpp_database.u8bin"),
        Remote("FB_ssnpp_public_queries.u8bin"),
        {},
        note="its truth is for range search, in a format of its own; none is fetched",
    )
    yield Entry(
        "yfcc-10M",
        "big-ann",
        "l2",
        10**7,
        192,
        Remote("yfcc100M/base.10M.u8bin"),
        Remote("yfcc100M/query.public.100K.u8bin"),
        Remote("yfcc100M/unfiltered.GT.public.ibin"),
        dtype="uint8",
        note="without the tags of the filtered track",
    )


def _comp21(name: str) -> Remote:
    return Remote(name, f"{_COMP21}{name}")


def _microsoft(folder: str, base: str, queries: str) -> tuple[Remote, Remote]:
    return _comp21(f"{folder}/{base}"), _comp21(f"{folder}/{queries}")


def _slices(
    name: str,
    kind: tuple[str, int, str, tuple[str, ...]],
    base: Remote,
    queries: Remote,
    truth: Mapping[str, Remote],
    *,
    homepage: str | None = None,
    citation: str | None = None,
    note: str = "",
) -> Iterator[Entry]:
    """Front parts of a file of a billion rows, each with a truth of its own."""
    metric, dim, dtype, sizes = kind
    for size in sizes:
        yield Entry(
            f"{name}-{size}",
            "big-ann",
            metric,
            _SIZES[size],
            dim,
            base,
            queries,
            truth.get(size),
            rows_there=10**9,
            dtype=dtype,
            homepage=homepage,
            citation=citation,
            note=note,
        )


#: Every set by its name.
CATALOGUE: dict[str, Entry] = {
    entry.name: entry for make in (_ann_benchmarks, _big_ann, _vibe) for entry in make()
}


def list(family: str | None = None) -> tuple[Entry, ...]:
    """Every set that `load` and `fetch` know by name.

    Parameters
    ----------
    family : {'ann-benchmarks', 'big-ann', 'vibe'}, optional
        Only the sets of this project.

    Returns
    -------
    tuple of Entry
        By family, then by name.

    Raises
    ------
    ArgumentError
        No such family. A ``ValueError``.
    """
    if family is not None and family not in FAMILIES:
        raise ArgumentError(f"family is {family!r}, wanted one of {', '.join(FAMILIES)}")
    found = [e for e in CATALOGUE.values() if family is None or e.family == family]
    return tuple(sorted(found, key=lambda entry: (entry.family, entry.name)))


def find(name: str, registry: Mapping[str, Entry] | None = None) -> Entry:
    """Look a set up by its name.

    Parameters
    ----------
    name : str
    registry : mapping of str to Entry, optional
        Sets of your own; they go before those that are known here.

    Raises
    ------
    ArgumentError
        No such name; the message has those that look like it. A ``ValueError``.
    """
    known = {**CATALOGUE, **(registry or {})}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "vicinal.datasets.list() has all"
    raise ArgumentError(f"no data set is called {name!r}; {hint}")


def markdown(family: str) -> str:
    """Write the table of a family, as the documentation shows it."""
    lines = ["| name | rows | dim | distance | base | note |", "|---|---:|---:|---|---:|---|"]
    lines += [
        f"| `{e.name}` | {_count(e.rows)} | {e.dim:,} | {e.metric} | {_size(e)} | {e.note} |"
        for e in list(family)
    ]
    return "\n".join(lines) + "\n"


def _count(rows: int) -> str:
    return f"{rows:,}" if rows else "?"


def _size(entry: Entry) -> str:
    """Give the size in MB, or nothing where rows are stored in another way."""
    return f"{entry.base_bytes / 1e6:,.0f} MB" if entry.loadable else ""
