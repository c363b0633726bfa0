"""The preview in a real browser, at the width of a desktop and of a phone."""

import json

import pytest

from qa_gen.preview import write_preview
from tests.browser import NEEDS_BROWSER, WIDTHS, opened
from tests.qa_gen.preview_world import SCRIPT, write_world

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    return write_preview(write_world(folder), folder / "preview.html", per_type=3).as_uri()


@pytest.fixture(scope="module", params=WIDTHS)
def browser(request, page):
    """A browser that has opened the page."""
    with opened(page, request.param) as driver:
        yield driver


def test_opens_without_errors_and_without_the_network(browser, page):
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert page in urls
    assert [url[:80] for url in urls if url != page and not url.startswith("data:")] == []


def test_nothing_is_wider_than_the_page(browser):
    browser.execute_script("for (const node of document.querySelectorAll('details')) node.open = true")
    width = browser.execute_script("return document.documentElement.clientWidth")
    assert width in WIDTHS.values() or 1280 - 20 <= width <= 1280
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    wide = """
        return [...document.querySelectorAll("body *")]
          .filter((node) => !node.closest("svg") && node.getBoundingClientRect().right > innerWidth + 1)
          .map((node) => node.tagName + "." + node.className);
    """
    assert browser.execute_script(wide) == []


def test_images_load_and_have_a_text(browser):
    widths = browser.execute_script("return [...document.images].map((image) => image.naturalWidth)")
    assert len(widths) == 1 + 2 + 4 + 8
    assert min(widths) > 0
    assert browser.execute_script("return [...document.images].every((image) => image.alt.length > 0)")


def test_hostile_text_is_shown_and_never_run(browser):
    assert browser.execute_script("return window.hacked === undefined")
    assert browser.execute_script("return document.scripts.length") == 1
    assert SCRIPT in browser.execute_script("return document.querySelector('.question').textContent")


def _choose(browser, name, value):
    script = """
        const select = document.querySelector(`select[name="${arguments[0]}"]`);
        select.value = arguments[1];
        select.dispatchEvent(new Event("change", {bubbles: true}));
    """
    browser.execute_script(script, name, value)


def _shown(browser):
    return browser.execute_script(
        "return [...document.querySelectorAll('.card')].filter((card) => card.offsetParent !== null)"
        ".map((card) => [card.dataset.family, card.dataset.type, card.dataset.form].join(' '))"
    )


def test_filters_hide_questions_and_moments_without_any(browser):
    everything = _shown(browser)
    _choose(browser, "family", "ego")
    assert {name.split()[0] for name in _shown(browser)} == {"ego"}
    _choose(browser, "form", "choice")
    some = _shown(browser)
    assert {tuple(name.split()[::2]) for name in some} == {("ego", "choice")}
    assert (
        browser.execute_script("return document.querySelector('#shown').textContent")
        == f"{len(some)} of {len(everything)}"
    )
    moments = "return [...document.querySelectorAll('.moment:not([hidden])')].map((moment) => moment.id)"
    assert all(name.endswith("-surround") for name in browser.execute_script(moments))
    _choose(browser, "type", "where_starts")
    assert _shown(browser) == []
    assert browser.execute_script("return document.querySelector('#none').offsetParent !== null")
    for name in ("family", "type", "form"):
        _choose(browser, name, "")
    assert _shown(browser) == everything


def test_a_frame_becomes_large_when_tapped(browser):
    width = "return document.querySelector('.frames-8 img').offsetWidth"
    before = browser.execute_script(width)
    browser.execute_script("document.querySelector('.frames-8 button').click()")
    assert browser.execute_script(width) > 1.5 * before
    browser.execute_script("document.querySelector('.frames-8 button').click()")
    assert browser.execute_script(width) == before
