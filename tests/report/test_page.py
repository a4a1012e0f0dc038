"""A report as one page, read as text and by a browser."""

import re
import shutil
import subprocess

import pytest
from reports import report

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --virtual-time-budget=2000"
).split()


@pytest.fixture
def path(tmp_path):
    report().to_html(tmp_path / "report.html")
    return tmp_path / "report.html"


def test_the_page_needs_nothing_else(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"<(?:link|img|iframe|script src)", text) == []
    assert set(re.findall(r'(?:src|href)="([^#"][^"]*)', text)) == set()
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_names_are_text(path):
    text = path.read_text(encoding="utf-8")
    assert "<b>x" not in text
    assert text.count("&lt;b&gt;x&lt;/b&gt;") >= 4  # In the tables and in the figures.


def test_figures_have_the_colour_of_the_text_and_names_of_their_own(path):
    text = path.read_text(encoding="utf-8")
    assert "currentColor" in text
    assert "#010203" not in text
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names))
    assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', text)) <= set(names)


def _opened(path, tmp_path, fragment=""):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [CHROMIUM, *OPTIONS, profile, "--dump-dom", f"{path.as_uri()}{fragment}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout


def _shown(page):
    table = re.search(r'<table id="trials">.*?</table>', page, re.S)[0]
    return re.findall(r'<tr><td data-value="(\d+)"', table)


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("", ["1", "2", "3"]),
        ("#sort=trials,7", ["2", "1", "3"]),
        ("#sort=trials,7,down", ["3", "1", "2"]),
        ("#sort=trials,6,down", ["3", "1", "2"]),  # What has no metric comes last.
        ("#sort=trials,99", ["1", "2", "3"]),
    ],
    ids=["as written", "up", "down", "unknown last", "no such column"],
)
def test_a_browser_runs_and_sorts_it(path, tmp_path, fragment, expected):
    page = _opened(path, tmp_path, fragment)
    assert 'data-ready="yes"' in page
    assert page.count("<svg") == 6
    assert _shown(page) == expected
