"""The report in a real browser, at the width of a desktop and of a phone."""

import json

import pytest

from eval.report import write_report
from tests.browser import NEEDS_BROWSER, WIDTHS, opened
from tests.eval.report_world import SCRIPT, built_world

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    world = built_world(tmp_path_factory.getbasetemp())
    return write_report(world / "evaluation", tmp_path_factory.mktemp("browser") / "report.html").as_uri()


@pytest.fixture(scope="module", params=WIDTHS)
def browser(request, page):
    """A browser that has opened the report."""
    with opened(page, request.param) as driver:
        yield driver


def test_opens_without_errors_and_without_the_network(browser, page):
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert page in urls
    assert [url[:80] for url in urls if url != page and not url.startswith("data:")] == []


def test_nothing_is_wider_than_the_page(browser):
    width = browser.execute_script("return document.documentElement.clientWidth")
    assert width in WIDTHS.values() or 1280 - 20 <= width <= 1280
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    wide = """
        const inScroller = (node) => node.closest(".scroll, nav") !== null;
        return [...document.querySelectorAll("body *")]
          .filter((node) => !inScroller(node) && !node.closest("svg") && node.getBoundingClientRect().right > innerWidth + 1)
          .map((node) => node.tagName + "." + node.className);
    """
    assert browser.execute_script(wide) == []


def test_only_tables_scroll_and_what_is_said_of_them_does_not(browser):
    inside = "return document.querySelectorAll('.scroll :is(caption, figcaption)').length"
    assert browser.execute_script(inside) == 0
    note = "return document.getElementById(document.querySelector('.headline').getAttribute('aria-describedby')).textContent"
    assert "95 % interval" in browser.execute_script(note)


def test_counts_stand_beside_the_names_of_the_parts(browser):
    heads = "return [...document.querySelectorAll('.slice thead tr')].map((row) => row.children[1].textContent)"
    found = browser.execute_script(heads)
    assert found
    assert set(found) <= {"Targets × times", "Targets", "Questions", "Cases"}


def test_images_load(browser):
    widths = browser.execute_script("return [...document.images].map((image) => image.naturalWidth)")
    assert len(widths) > 10
    assert min(widths) > 0
    assert browser.execute_script("return [...document.images].every((image) => image.alt.length > 0)")


def test_hostile_text_is_shown_and_never_run(browser):
    assert browser.execute_script("return window.hacked === undefined")
    assert browser.execute_script("return document.querySelectorAll('script:not([type])').length") == 4
    assert SCRIPT in browser.execute_script("return document.querySelector('h1').textContent")
    answers = browser.execute_script("return [...document.querySelectorAll('.said')].map((node) => node.textContent)")
    assert SCRIPT in answers


def test_injected_scripts_are_refused_by_the_policy(browser):
    browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.injected = 1'; "
        "document.body.append(script)"
    )
    assert browser.execute_script("return window.injected === undefined")
    browser.execute_script("document.body.lastElementChild.remove()")
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def _shown(browser):
    return browser.execute_script(
        "return [...document.querySelectorAll('.card:not([hidden])')].map((card) => card.dataset.outcome)"
    )


def _click(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def test_filters_hide_cards_and_bring_them_back(browser):
    everything = _shown(browser)
    _click(browser, '.filters [data-value="unreadable"]')
    assert set(_shown(browser)) == {"unreadable"}
    assert browser.execute_script("return document.querySelector('#shown').textContent") == f"2 of {len(everything)}"
    _click(browser, '.filters [data-value="all"][data-key="outcome"]')
    assert _shown(browser) == everything


def test_a_small_frame_becomes_large_when_tapped(browser):
    widths = "return [...document.querySelector('.frames').children].map((frame) => frame.offsetWidth)"
    before = browser.execute_script(widths)
    _click(browser, ".frames button")
    after = browser.execute_script(widths)
    assert before[0] < before[1]
    assert after[0] > after[1]


def test_arrow_keys_go_from_card_to_card(browser):
    go = """
        const cards = [...document.querySelectorAll(".card")];
        cards[0].focus();
        cards[0].dispatchEvent(new KeyboardEvent("keydown", {key: arguments[0], bubbles: true}));
        return cards.indexOf(document.activeElement);
    """
    assert browser.execute_script(go, "ArrowRight") == 1
    assert browser.execute_script(go, "ArrowLeft") == 0
