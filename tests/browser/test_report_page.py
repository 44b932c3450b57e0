"""The page of ``vicinal bench report`` in a real browser: Debian's Chromium, headless, offline.

Driven through the driver that Debian builds from the same source, so that both always fit.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import invented_results as invented
import pytest

pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

HOSTILE = "</script><script>document.title='run'</script><img src=x onerror=alert(1)>"
CONTENT = invented.lines()
MEASURED = [line for line in CONTENT if line["kind"] == "contender" and line["points"]]
EXACT = [line["contender"] for line in MEASURED if line["family"] == "flat"]
CURVED = [line for line in MEASURED if line["family"] != "flat"]
FIGURES = ("recall", "ratio", "size-speed", "size-recall", "build", "memory")
MAX_BYTES = 3_000_000
PHONE = 390  # CSS pixels


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page made of invented numbers, one of them with a hostile name."""
    folder = tmp_path_factory.mktemp("page")
    results = invented.write(folder / "invented.jsonl", CONTENT)
    extra = invented.lines(data="invented-two", run="20000102T000000Z", contenders=3)
    for line in extra:
        if line.get("contender") == "faiss HNSW32-SQ8":
            line["contender"] += HOSTILE
    invented.write(folder / "extra.jsonl", extra)
    out = folder / "report.html"
    command = [sys.executable, "-m", "vicinal", "bench", "report", results, folder / "extra.jsonl"]
    subprocess.run([*command, "-o", out], check=True, cwd=folder)
    return out


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Chromium without a network."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Chromium: apt-get install chromium chromium-driver")
        pytest.skip("needs Chromium: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = chromium
    folder = tmp_path_factory.mktemp("chromium")
    words = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    words += [f"--user-data-dir={folder}", "--force-color-profile=srgb", "--hide-scrollbars"]
    words += ["--disable-background-networking", "--disable-component-update"]
    # The page is ours, and root has no sandbox in a container.
    words += ["--no-sandbox"] if os.geteuid() == 0 else []
    for word in words:
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    try:
        made.execute_cdp_cmd("Network.enable", {})
        made.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
        )
        yield made
    finally:
        made.quit()


@pytest.fixture
def opened(browser: webdriver.Chrome, page: Path) -> Iterator[webdriver.Chrome]:
    """The page drawn on a desktop, in light colours."""
    show(browser, page)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def show(
    browser: webdriver.Chrome,
    page: Path,
    *,
    width: int = 1280,
    height: int = 900,
    scheme: str = "light",
    phone: bool = False,
) -> None:
    """Open the page and wait until its figures are drawn."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # what earlier pages said
    browser.get(page.as_uri())
    WebDriverWait(browser, 60).until(
        lambda b: b.execute_script("return document.documentElement.dataset.drawn")
    )


def run(browser: webdriver.Chrome, script: str, *args: object) -> Any:
    return browser.execute_script(script, *args)


def marks(browser: webdriver.Chrome, figure: str, kind: str) -> int:
    """Marks of data in a figure; those of axes are groups of another role."""
    selector = f"#{figure} .mark-{kind}.role-mark path"
    return int(run(browser, "return document.querySelectorAll(arguments[0]).length", selector))


def test_every_point_of_the_file_is_drawn(opened: webdriver.Chrome) -> None:
    points = sum(len(line["points"]) for line in CURVED)
    assert marks(opened, "recall-invented-128", "symbol") == points
    assert marks(opened, "recall-invented-128", "line") == len(CURVED)
    assert marks(opened, "exact-invented-128", "rect") == len(EXACT) == 2
    ratios = [line for line in CONTENT if line["kind"] == "ratio"]
    ratios = [line for line in ratios if line["contender"] not in EXACT]
    assert marks(opened, "ratio-invented-128", "symbol") == len(ratios)
    kernels = [line for line in CONTENT if line["kind"] == "kernel"]
    assert marks(opened, "roofline", "symbol") == len(kernels)
    reached = [line for line in CURVED if line["at_recall"]["0.95"]]
    assert marks(opened, "size-speed-invented-128", "symbol") == len(reached)
    assert marks(opened, "size-recall-invented-128", "symbol") == len(CURVED)
    assert marks(opened, "build-invented-128", "rect") == len(MEASURED)
    assert marks(opened, "memory-invented-128", "rect") == 3 * len(MEASURED)  # peak, kept, index
    drawn = int(run(opened, "return document.documentElement.dataset.drawn"))
    assert drawn == 2 * len(FIGURES) + 2  # the second data set has no exact search; kernels


def test_marks_have_colours_that_can_be_seen(opened: webdriver.Chrome) -> None:
    """A colour that is a variable of the page must have a value in the drawing."""
    fills = run(
        opened,
        "return [...document.querySelectorAll('#recall-invented-128 .mark-symbol path')]"
        ".map(path => getComputedStyle(path).fill)",
    )
    assert len(set(fills)) == len(CURVED)
    assert not {"rgb(0, 0, 0)", "none", "rgb(255, 255, 255)"} & set(fills)


def test_hovering_tells_what_a_point_is(opened: webdriver.Chrome) -> None:
    line = next(line for line in CONTENT if line.get("contender") == "vicinal HNSW SQ8")
    point = line["points"][3]
    rate = f"{sorted(point['rates'])[2]:,.0f}"
    paths = opened.find_elements(
        By.CSS_SELECTOR, "#recall-invented-128 .mark-symbol.role-mark path"
    )
    (path,) = [
        path
        for path in paths
        if "contender: vicinal HNSW SQ8;" in (label := str(path.get_attribute("aria-label")))
        and f"queries/s: {rate};" in label
    ]
    run(opened, "arguments[0].scrollIntoView({block: 'center'})", path)
    ActionChains(opened).move_to_element(path).perform()
    tip = opened.find_element(By.ID, "vg-tooltip-element")
    WebDriverWait(opened, 10).until(lambda _: tip.is_displayed())
    cells = [
        [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
        for row in tip.find_elements(By.TAG_NAME, "tr")
    ]
    assert cells[0] == ["contender", "vicinal HNSW SQ8"]
    assert cells[1] == ["parameters", "ef=32"]
    assert cells[2][0] == "recall@10"
    assert abs(float(cells[2][1]) - point["recall"]) < 1.01e-4
    assert cells[3] == ["queries/s", rate]
    assert cells[5] == ["version", "vicinal 0.0.1"]
    box, window = tip.rect, opened.execute_script("return [innerWidth, innerHeight]")
    assert box["width"] < 400 < window[0]
    ActionChains(opened).move_to_element(opened.find_element(By.TAG_NAME, "h1")).perform()
    WebDriverWait(opened, 10).until(lambda _: not tip.is_displayed())


def test_choosing_a_contender_dims_the_others(opened: webdriver.Chrome) -> None:
    opacities = (
        "return [...document.querySelectorAll('#recall-invented-128 .mark-line path')]"
        ".map(path => getComputedStyle(path).opacity)"
    )
    chip = opened.find_element(By.CSS_SELECTOR, "#data-invented-128 .chip")
    assert set(run(opened, opacities)) == {"1"}
    chip.click()
    WebDriverWait(opened, 10).until(lambda b: "0.12" in run(b, opacities))
    assert Counter(run(opened, opacities))["1"] == 1
    assert chip.get_attribute("aria-pressed") == "true"
    chip.click()
    WebDriverWait(opened, 10).until(lambda b: set(run(b, opacities)) == {"1"})
    assert chip.get_attribute("aria-pressed") == "false"


def test_nothing_is_fetched_and_nothing_goes_wrong(opened: webdriver.Chrome, page: Path) -> None:
    said = opened.get_log("browser")
    assert said == []
    events = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    failed = [event for event in events if event["method"] == "Network.loadingFailed"]
    assert failed == []
    assert page.stat().st_size < MAX_BYTES


def test_hostile_names_are_shown_and_not_run(opened: webdriver.Chrome) -> None:
    assert "run" not in opened.title.split()
    chips = opened.find_elements(By.CSS_SELECTOR, "#data-invented-two .chip span")
    assert f"faiss HNSW32-SQ8{HOSTILE}" in [chip.text for chip in chips]
    assert opened.find_elements(By.TAG_NAME, "img") == []
    path = next(
        path
        for path in opened.find_elements(By.CSS_SELECTOR, "#recall-invented-two path[aria-label]")
        if HOSTILE in str(path.get_attribute("aria-label"))
    )
    run(opened, "arguments[0].scrollIntoView({block: 'center'})", path)
    ActionChains(opened).move_to_element(path).perform()
    tip = opened.find_element(By.ID, "vg-tooltip-element")
    WebDriverWait(opened, 10).until(lambda _: HOSTILE in tip.text)
    assert opened.find_elements(By.TAG_NAME, "img") == []
    assert "run" not in opened.title.split()


def test_light_and_dark_differ(browser: webdriver.Chrome, page: Path) -> None:
    shots, papers, inks = [], [], []
    for scheme in ("light", "dark"):
        show(browser, page, scheme=scheme)
        shots.append(browser.get_screenshot_as_png())
        papers.append(run(browser, "return getComputedStyle(document.body).backgroundColor"))
        labels = "#recall-invented-128 .role-axis-label text"
        inks.append(
            run(
                browser,
                "return getComputedStyle(document.querySelector(arguments[0])).fill",
                labels,
            )
        )
    assert shots[0] != shots[1]
    for paper, ink in zip(papers, inks, strict=True):
        assert contrast(paper, ink) >= 4.5  # WCAG 2, level AA
    assert brightness(papers[0]) > 0.9 > 0.1 > brightness(papers[1])


def brightness(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_phone_never_scrolls_sideways(browser: webdriver.Chrome, page: Path) -> None:
    show(browser, page, width=PHONE, height=844, phone=True)
    sizes = run(
        browser,
        "for (const part of document.querySelectorAll('details')) part.open = true;"
        "const root = document.documentElement;"
        "return [root.scrollWidth, document.body.scrollWidth, innerWidth, visualViewport.width]",
    )
    assert sizes == [PHONE] * 4
    wide = run(
        browser,
        "return [...document.querySelectorAll('body *')].filter(part => !part.closest('.scroll *')"
        " && part.getBoundingClientRect().right > innerWidth + 0.5).map(part => part.outerHTML)",
    )
    assert wide == []
    smallest = run(
        browser,
        "return Math.min(...[...document.querySelectorAll('svg.marks text')].map("
        "text => parseFloat(getComputedStyle(text).fontSize)))",
    )
    assert smallest >= 11
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_prints_to_paper(opened: webdriver.Chrome) -> None:
    printed = opened.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF-")
    pages = pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ")
    assert 3 <= pages <= 30
    # Figures are drawings, not pictures: what the pages hold has many strokes and fills.
    drawn = b"".join(_inflated(pdf))
    assert drawn.count(b" l\n") + drawn.count(b" c\n") > 500


def _inflated(pdf: bytes) -> Iterator[bytes]:
    for part in pdf.split(b"stream\n")[1:]:
        try:
            yield zlib.decompressobj().decompress(part)
        except zlib.error:
            continue
