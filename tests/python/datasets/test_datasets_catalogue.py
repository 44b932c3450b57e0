"""What is known of public sets, its page in the documentation, and the command that shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from file_server import FileServer

from vicinal import datasets
from vicinal.cli import app
from vicinal.datasets import FAMILIES, catalogue

PAGE = Path(__file__).resolve().parents[3] / "docs" / "datasets.md"
ALL = datasets.list()


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        app(list(words), prog_name="vicinal")
    shown = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, shown.out, shown.err


def test_names_are_given_once_and_listed_in_order() -> None:
    assert len({entry.name for entry in ALL}) == len(ALL) == len(catalogue.CATALOGUE)
    assert [e.name for e in ALL] == [e.name for f in sorted(FAMILIES) for e in datasets.list(f)]
    with pytest.raises(ValueError, match="ann-benchmarks, big-ann, vibe"):
        datasets.list("other")


def test_files_of_two_sets_are_the_same_only_if_their_address_is() -> None:
    places: dict[tuple[str, str], str] = {}
    for entry in ALL:
        for remote in (entry.base, entry.queries, entry.truth):
            if remote is not None:
                address = remote.address(FAMILIES[entry.family], None)
                assert re.fullmatch(r"https://[\w.-]+/[\w./-]+", address), address
                assert not Path(remote.name).is_absolute()
                assert ".." not in Path(remote.name).parts
                assert places.setdefault((entry.family, remote.name), address) == address


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.name)
def test_names_agree_with_what_is_said_of_the_sets(entry: datasets.Entry) -> None:
    if entry.family == "big-ann":
        assert entry.queries is not None
        widths = {"uint8": ".u8bin", "int8": ".i8bin", "float32": ".fbin"}
        assert Path(entry.base.name).suffix == widths[entry.dtype]
        assert Path(entry.queries.name).suffix == widths[entry.dtype]
        size = entry.name.rpartition("-")[2]
        units = {"M": 10**6, "B": 10**9}
        assert entry.rows == int(size[:-1]) * units[size[-1]]
        return
    assert entry.queries is None
    numbers = re.findall(r"-(\d+)-", entry.name)
    # lastfm-64-dot has a number more, which makes its products cosines.
    if numbers and entry.name != "lastfm-64-dot":
        assert int(numbers[-1]) == entry.dim
    assert entry.loadable == (entry.metric in ("l2", "ip", "cosine"))
    assert entry.base.name == f"{entry.name}.hdf5"


def test_no_checksum_is_claimed_that_nobody_published() -> None:
    for entry in ALL:
        for remote in (entry.base, entry.queries, entry.truth):
            assert remote is None or remote.sha256 is None


@pytest.mark.parametrize("family", FAMILIES)
def test_the_page_shows_every_set(family: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = page.split(f"<!-- sets: {family} -->\n")[1].split("<!-- end -->")[0]
    assert table.strip() == catalogue.markdown(family).strip()


def test_the_command_lists(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "datasets", "list")
    assert status == 0
    assert all(entry.name in out for entry in ALL)
    status, out, _ = run(capsys, "datasets", "list", "--family", "vibe", "--json")
    found = json.loads(out)
    assert [entry["name"] for entry in found] == [e.name for e in datasets.list("vibe")]
    assert found[0]["base_bytes"] == datasets.list("vibe")[0].base_bytes
    status, _, err = run(capsys, "datasets", "list", "--family", "none")
    assert status == 2
    assert "ann-benchmarks" in err


def test_the_command_fetches(server: FileServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.put("sift-128-euclidean.hdf5", b"content")
    words = ("datasets", "fetch", "sift-128-euclidean", "--base-url", server.url)
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    assert "sift-128-euclidean.hdf5" in out
    assert "first download" in out
    status, out, _ = run(capsys, *words, "--offline", "--json")
    (file,) = json.loads(out)
    assert (file["bytes"], file["published"]) == (7, False)
    assert Path(file["path"]).read_bytes() == b"content"
    assert len(server.requests) == 1

    server.put("sift-128-euclidean.hdf5", b"another")
    status, out, err = run(capsys, *words, "--again")
    assert (status, out) == (1, "")
    assert err.startswith("vicinal: ")
    assert "lock.json" in err
    status, _, err = run(capsys, "datasets", "fetch", "sift-128-euclid")
    assert status == 2
    assert "did you mean" in " ".join(err.split())
    status, _, err = run(
        capsys, "datasets", "fetch", "gist-960-euclidean", "--base-url", server.url
    )
    assert status == 1
    assert "404" in err
