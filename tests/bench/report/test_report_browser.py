"""The HTML file in a real browser: drawn, quiet, offline, usable by keyboard, on a phone and in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.report.__main__ import report
from bench.report.read.arguments import Request
from tests.bench.report.browser import BINARY, Browser
from tests.bench.report.synthetic import begin, ended, options, put, sweep

pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    evil = "<script>document.title='hacked'</script>"
    put(folder / "runs", *sweep(["net2net", "s2d", "s3d", "static", evil.replace("/", "")], steps=[0.01, 0.1]))
    put(folder / "runs", ended(options("fast_s2d", 0), "refused", "<img src=x onerror=\"document.title='hacked'\">"))
    begin(folder / "runs", options("s3d", 7))
    report(Request(runs_dir=str(folder / "runs"), out=folder / "out"))
    return folder / "out" / "index.html"


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(started: Browser, page: Path) -> Iterator[Browser]:
    started.open(page)
    yield started
    assert started.problems == []
    assert set(started.requests) == {page.resolve().as_uri()}


def count(browser: Browser, selector: str) -> Any:
    """How many elements match."""
    return browser.run(f"document.querySelectorAll({selector!r}).length")


def test_charts_are_drawn_and_no_markup_is_run(browser: Browser) -> None:
    assert count(browser, "figure.chart") == 5
    assert count(browser, "figure.chart:first-of-type .series") == 5
    assert browser.run("[...document.querySelectorAll('.point')].every(p => !/NaN/.test(p.outerHTML))")
    assert "hacked" not in browser.run("document.title")
    assert count(browser, "img") == 0


def test_methods_axes_and_front_can_be_chosen(browser: Browser) -> None:
    browser.run("document.querySelector('.legend button').click()")
    assert browser.run("document.querySelector('.legend button').getAttribute('aria-pressed')") == "false"
    assert count(browser, "figure.chart:first-of-type .series") == 4
    browser.run("document.querySelectorAll('.controls input')[1].click()")
    assert count(browser, ".front") == 1
    title = "document.querySelectorAll('.plot')[0].querySelectorAll('.title')[1].textContent"
    places = "[...document.querySelectorAll('figure.chart:first-of-type .point')].map(p => p.outerHTML).join()"
    before = browser.run(places)
    choose = "const s = document.querySelector('select'); s.value = 3; s.dispatchEvent(new Event('change'))"
    browser.run(f"{{ {choose} }}")
    assert browser.run(title) == "Seconds"
    assert browser.run(places) != before
    logarithmic = browser.run(places)
    browser.run("document.querySelectorAll('.controls input')[0].click()")
    assert browser.run(places) != logarithmic
    browser.run("document.querySelectorAll('.legend button').forEach(b => b.ariaPressed === 'true' && b.click())")
    assert browser.run("document.querySelector('.plot').textContent") == "No method is shown."


def test_keyboard_reaches_everything_in_order_and_reads_points(browser: Browser) -> None:
    seen = []
    for _ in range(60):
        browser.key("Tab")
        seen.append(browser.run("(e => e.getAttribute('class') || e.id || e.tagName)(document.activeElement)"))
        ring = "getComputedStyle(document.activeElement).outlineStyle"
        assert browser.run(ring) != "none", f"no visible focus on {seen[-1]}"
        if seen[-1] == "plot":
            break
    assert seen[:2] == ["skip", "theme"]
    assert seen[-4:-1] == ["SELECT", "INPUT", "INPUT"]
    browser.key("ArrowRight")
    browser.key("ArrowRight")
    tip = "document.querySelector('.tip').textContent"
    assert "rung 1" in browser.run(tip)
    assert browser.run("document.querySelector('[aria-live]').textContent") == browser.run(tip)
    first = browser.run(tip).split("\n")[0]
    browser.key("ArrowDown")
    assert browser.run(tip).split("\n")[0] != first
    browser.key("Escape")
    assert browser.run("document.querySelector('.tip').hidden")
    browser.key("Tab")
    browser.key(" ")
    assert browser.run("document.activeElement.getAttribute('aria-pressed')") == "false"


def test_the_skip_link_leads_to_the_results(browser: Browser) -> None:
    browser.key("Tab")
    browser.key("Enter")
    assert browser.run("document.activeElement.id") == "main"


def test_pointing_at_a_point_tells_its_values(browser: Browser) -> None:
    browser.run("document.querySelector('.plot').scrollIntoView({block: 'center', behavior: 'instant'})")
    browser.settle()
    box = "document.querySelectorAll('.point')[2].getBoundingClientRect()"
    x, y = browser.run(f"[{box}.x + 4, {box}.y + 4]")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    browser.settle()
    assert not browser.run("document.querySelector('.tip').hidden")
    assert "parameters" in browser.run("document.querySelector('.tip').textContent")


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_overflows(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    browser.settle()
    assert browser.run("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('.plot')].every(p => p.getBoundingClientRect().right <= innerWidth)"
    assert browser.run(wide)
    assert browser.run("[...document.querySelectorAll('button,select,summary')].every(b => b.offsetHeight >= 24)")


def test_dark_by_preference_and_by_button(browser: Browser, page: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.open(page, dark=True)
    dark = browser.run(ground)
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(15, 19, 24)")
    assert browser.run("document.getElementById('theme').textContent") == "Light"
    browser.run("document.getElementById('theme').click()")
    assert browser.run(ground) == light


def test_text_has_contrast_in_both_schemes(browser: Browser, page: Path) -> None:
    luminance = (
        "c => c.match(/[0-9.]+/g).slice(0, 3)"
        ".map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)"
        ".reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0)"
    )
    script = f"""(() => {{
        const lum = {luminance};
        const ground = lum(getComputedStyle(document.body).backgroundColor);
        const ratio = c => (Math.max(c, ground) + 0.05) / (Math.min(c, ground) + 0.05);
        const texts = [...document.querySelectorAll('p, small, a, td, th, button')];
        const marks = [...document.querySelectorAll('.legend .point, .legend svg > :last-child')];
        return [Math.min(...texts.map(e => ratio(lum(getComputedStyle(e).color)))),
                Math.min(...marks.map(e => ratio(lum(getComputedStyle(e).fill))))];
    }})()"""
    for dark in (False, True):
        browser.open(page, dark=dark)
        text, mark = browser.run(script)
        assert text >= 4.5
        assert mark >= 3


def test_structure_for_screen_readers(browser: Browser) -> None:
    levels = browser.run("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    every = "[...document.querySelectorAll({!r})].every({})"
    assert browser.run(every.format("table", "t => t.caption && t.querySelector('th[scope=col]')"))
    assert browser.run(every.format("tbody tr", "r => r.firstElementChild.scope === 'row'"))
    assert browser.run(every.format("a", "a => document.getElementById(a.hash.slice(1))"))
    assert browser.run(every.format("select,input", "e => e.labels.length"))
    assert browser.run("(i => i.length === new Set(i).size)([...document.querySelectorAll('[id]')].map(e => e.id))")
