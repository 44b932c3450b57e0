"""The page and the figures made of results: what is in them, and what must not get out of them."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import invented_results as invented
import pytest

from vicinal.bench import tables, wording
from vicinal.bench.charts import figures_of
from vicinal.bench.figures import Look, log_ticks, stretched
from vicinal.bench.results import Results, read_results
from vicinal.bench.style import Palette
from vicinal.cli import app

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \"'<!--"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    path = tmp_path_factory.mktemp("results") / "invented.jsonl"
    return read_results([invented.write(path, invented.lines())])


def report(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        app(["bench", "report", *map(str, words)], prog_name="vicinal")
    status = ended.value.code
    assert isinstance(status, int)
    return status


class Elements(HTMLParser):
    """Tags with their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str | None, str]] = []
        self._script: str | None = None
        self._inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of results in which every name is hostile."""
    folder = tmp_path_factory.mktemp("page")
    content = invented.lines(data=HOSTILE)
    for line in content:
        for field in ("contender", "version", "why", "name", "where", "bound_by"):
            if isinstance(line.get(field), str):
                line[field] += HOSTILE
        if line["kind"] == "ratio":
            line["reference"] += HOSTILE
        if line["kind"] == "contender":
            line["flags"] = {HOSTILE: HOSTILE}
            for point in line["points"]:
                point["params"] = {HOSTILE: HOSTILE}
        if line["kind"] == "run":
            line["command"] = line["machine"]["cpu"] = HOSTILE
    path = invented.write(folder / "invented.jsonl", content)
    assert report(path, "-o", folder / "report.html") == 0
    return (folder / "report.html").read_text(encoding="utf-8")


def test_hostile_names_stay_text(page: str) -> None:
    found = Elements(page)
    # Three of ours: the specifications, the libraries, and what draws.
    assert [kind for kind, _ in found.scripts] == ["application/json", None, None]
    assert not [tag for tag, _ in found.tags if tag == "img"]
    assert not [names for _, names in found.tags if any(name.startswith("on") for name in names)]
    specs = json.loads(found.scripts[0][1])
    assert any(HOSTILE in json.dumps(spec).replace('\\"', '"') for spec in specs.values())


def test_page_fetches_nothing_and_runs_only_its_own_scripts(page: str) -> None:
    found = Elements(page)
    assert not [tag for tag, _ in found.tags if tag in ("link", "iframe", "object", "embed")]
    assert not [names for _, names in found.tags if "src" in names]
    targets = [str(names["href"]) for _, names in found.tags if "href" in names]
    assert targets
    assert all(target.startswith("#") for target in targets)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [
        str(names["content"]) for _, names in found.tags
        if names.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    for kind, script in found.scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert (f"'sha256-{digest}'" in policy) == (kind is None)
    assert len(page.encode()) < 3_000_000


def test_page_says_all_numbers_in_tables(tmp_path: Path, results: Results) -> None:
    path = invented.write(tmp_path / "invented.jsonl", invented.lines())
    out = tmp_path / "a folder" / "page.html"
    out.parent.mkdir()
    assert report(path, "-o", out) == 0
    page = out.read_text(encoding="utf-8")
    assert f"vicinal bench report {path} -o &#39;{out}&#39;" in page
    assert "invented: the import ended with SIGILL" in page
    assert "Invented CPU, 2 CPUs, 8 GiB" in page
    assert results.runs[0].command in page
    for contender in results.contenders:
        assert page.count(f"<td>{contender.name}</td>") >= 1
        for point in contender.points:
            assert f'<td class="number">{wording.rate(point.rate)}</td>' in page
    for ratio in results.ratios:
        assert wording.ratio(ratio) in page


def test_figures_are_written_as_svg_and_png(tmp_path: Path, results: Results) -> None:
    path = invented.write(tmp_path / "invented.jsonl", invented.lines())
    folder = tmp_path / "figures"
    assert report(path, "-o", tmp_path / "page.html", "--figures", folder) == 0
    names = {"recall", "ratio", "size-speed", "size-recall", "build", "memory", "exact"}
    wanted = {f"{name}-invented-128" for name in names} | {"roofline"}
    assert {file.stem for file in folder.iterdir()} == wanted
    for name in wanted:
        png = (folder / f"{name}.png").read_bytes()
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
        root = ElementTree.parse(folder / f"{name}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        text = "".join(root.itertext())
        shown = {"roofline": "score_block sq8 128", "exact-invented-128": "vicinal Flat"}
        assert text.count(shown.get(name, "ScaNN")) == 1, name
        assert "var(" not in (folder / f"{name}.svg").read_text(encoding="utf-8")


def test_every_point_is_in_its_figure(results: Results) -> None:
    look = Look(Palette(results.contenders), page=True)
    figures = {f.name: f for group in figures_of(results, look).values() for f in group}
    curves = figures["recall-invented-128"]
    rows: list[dict[str, Any]] = curves.spec["data"]["values"]
    wanted = {
        (c.name, stretched(point.recall), point.rate)
        for c in results.contenders
        for point in c.points
        if c.family != "flat"
    }
    assert {(row["contender"], row["x"], row["y"]) for row in rows} == wanted
    assert curves.points == len(wanted) == len(rows)
    assert figures["roofline"].points == len(results.kernels)
    assert figures["build-invented-128"].points == len([c for c in results.contenders if c.build])
    exact = [c.name for c in results.contenders if c.family == "flat"]
    curved = [ratio for ratio in results.ratios if ratio.contender not in exact]
    assert figures["ratio-invented-128"].points == len(curved)
    assert figures["exact-invented-128"].points == len(exact) == 2


def test_a_library_has_one_hue_and_each_contender_its_own_mark(results: Results) -> None:
    palette = Palette(results.contenders)
    looks = {(palette[n].light, palette[n].shape) for n in palette.names}
    assert len(looks) == len(palette.names)
    assert palette["faiss HNSW32"].light != palette["hnswlib"].light
    backwards = Palette(c for c in results.contenders if c.library == "vicinal")
    assert backwards["vicinal HNSW f32"] == palette["vicinal HNSW f32"]


@pytest.mark.parametrize(
    ("low", "high"), [(80, 2500), (0.9, 1.6), (3000, 3500), (1, 1e6), (40, 90)]
)
def test_log_axes_have_a_few_round_marks(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 3 <= len(ticks) <= 10
    assert all(low <= tick <= high for tick in ticks)


def test_tables_count_in_words_that_say_the_unit(results: Results) -> None:
    (study,) = results.studies()
    full = tables.full_table(study)
    assert full is not None
    assert len(full.rows) == len(study.measured)
    assert {len(row) for row in full.rows} == {len(full.headings)}
    row = dict(zip(full.headings, next(r for r in full.rows if r[0] == "hnswlib"), strict=True))
    assert row["× hnswlib"] == "1"
    assert row["build s"] == "9.0"
    assert row["index MB"] == "12"  # 4.6 bytes x 128 dimensions x 20,000
    assert row["bytes/vector"] == "589"  # 588.8
    strong = [full.rows[i][0] for i in sorted(full.strong)]
    assert strong == [row[0] for row in full.rows if row[0].startswith("vicinal")]
    said = tables.headline(study)
    assert said is not None
    assert "vicinal HNSW SQ8" in said
    assert "SVS Vamana LVQ8" in said


def test_headline_claims_nothing_of_who_was_not_there(tmp_path: Path) -> None:
    path = invented.write(tmp_path / "peers.jsonl", invented.lines(contenders=2))
    (study,) = read_results([path]).studies()
    said = tables.headline(study)
    assert said is not None
    assert said.startswith("at recall 0.95 the fastest of the others (hnswlib)")
    content = invented.lines()
    for line in content:
        if line.get("library") == "vicinal":
            line["at_recall"]["0.95"] = None
    (study,) = read_results([invented.write(tmp_path / "low.jsonl", content)]).studies()
    said = tables.headline(study)
    assert said is not None
    assert said.startswith("no form of vicinal reaches recall 0.95")


def test_a_busy_machine_is_named(tmp_path: Path, results: Results) -> None:
    assert tables.busy_line(results.runs[0].machine) is None
    content = invented.lines(contenders=1)
    content[0]["machine"]["load"] = 1.9  # of two processors
    path = invented.write(tmp_path / "busy.jsonl", content)
    assert report(path, "-o", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "The machine was busy when the run began (load 1.9 on 2 CPUs)" in page


def test_a_bound_beyond_all_measure_is_left_out(results: Results) -> None:
    bounds = {"read_bytes_per_s": 8e9, "odd_bytes_per_s": 10**400, "huge_s": 1.7e308}
    table = tables.bounds_table(replace(results.runs[0], bounds=bounds))
    assert table is not None
    assert table.rows == (("read", "8.00 GB/s"),)


def test_recall_is_never_rounded_up() -> None:
    assert wording.recall(0.99996) == "0.9999"
    assert wording.recall(1.0) == "1.0000"
    assert wording.recall(0.95) == "0.9500"


def test_a_damaged_file_ends_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = invented.write(tmp_path / "spoilt.jsonl", invented.lines(contenders=1))
    path.write_text(path.read_text() + '{"kind": "contender", "run"')
    capfd.readouterr()
    assert report(path, "-o", tmp_path / "page.html") == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "spoilt.jsonl: line " in err
    assert err.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("module", ["jinja2", "vl_convert"])
def test_a_missing_package_says_how_to_get_it(tmp_path: Path, module: str) -> None:
    path = invented.write(tmp_path / "invented.jsonl", invented.lines(contenders=1))
    code = (
        "import sys\n"
        f"sys.modules[{module!r}] = None\n"  # what import then says is what a missing package says
        "from vicinal.cli import main\n"
        f"sys.argv = ['vicinal', 'bench', 'report', {str(path)!r}, '-o', 'page.html']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install jinja2 vl-convert-python" in done.stderr
    assert done.stderr.count("\n") == 1
