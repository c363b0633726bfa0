"""The list of questions in a real browser: pages over parts, filters, search and keys, with 100,000 questions too."""

import pytest

from eval.report import write_report
from eval.report.listing import FIELDS, INDEX, ROWS
from eval.report.parts import ROWS_OF_PART, pack, pack_rows
from eval.report.severity import OUTCOMES
from eval.report.shell import HERE, fill, write_page
from tests.browser import NEEDS_BROWSER, opened
from tests.eval.report_world import IMAGE, SCRIPT, built_world

pytestmark = NEEDS_BROWSER

COUNT = 100_000
KINDS = ["car", "pedestrian", IMAGE]
TEMPLATE = (
    '{% extends "base.html" %}{% block body %}{% include "cards.html" %}{% include "questions.html" %}{% endblock %}'
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The list of a small world."""
    world = built_world(tmp_path_factory.getbasetemp())
    page = write_report(world / "evaluation", tmp_path_factory.mktemp("list") / "report.html")
    with opened(page.as_uri()) as driver:
        yield driver


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A list of 100,000 questions; one in a thousand is dangerous, and question 77,777 says so."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "list.html").write_text(TEMPLATE)
    outcomes = [0] * 100 + [3] * (COUNT - 100)
    kinds, logs = [number % 3 for number in range(COUNT)], [number % 2 for number in range(COUNT)]
    filters = [
        {"name": "outcome", "title": "Outcome", "keys": [*OUTCOMES], "values": [*OUTCOMES.values()], "codes": outcomes},
        {"name": "type", "title": "Type", "keys": ["distance"], "values": ["Distance"], "codes": [0] * COUNT},
        {"name": "class", "title": "Kind of object", "keys": KINDS, "values": KINDS, "codes": kinds},
        {"name": "log", "title": "Log", "keys": ["b", "a"], "values": ["b", "a"], "codes": logs},
    ]
    index = {"count": COUNT, "rows_of_part": ROWS_OF_PART, "filters": filters, "frames": list(range(COUNT, 0, -1))}
    rows = (_row(number) for number in range(COUNT))
    content = {"cards": [], "families": [], "outcomes": OUTCOMES, "grounding": {}, "looked": False, "frame_bytes": 0}
    html = fill(
        "list.html",
        content | {"listed": COUNT, "answered": COUNT, "text_limit": 400},
        styles=[HERE / "questions.css"],
        scripts=[HERE / name for name in ("parts.js", "cards.js", "detail.js", "questions.js")],
        parts=[pack(INDEX, index), *pack_rows(ROWS, FIELDS, rows)],
        templates=folder,
    )
    with opened(write_page(html, folder / "large.html").as_uri(), "phone") as driver:
        yield driver


def _row(number):
    text = "needle" if number == 77_777 else "10.0 meters"
    return [f"q{number}", f"How far is Region {number}?", [], f"[image]\n{number}", "9.0 meters", text, "", [], [IMAGE]]


UNTIL = """
    const done = arguments[arguments.length - 1], test = new Function("return " + arguments[0]), end = Date.now() + 50000;
    const look = () => (test() ? done(true) : Date.now() > end ? done(document.body.innerText) : setTimeout(look, 20));
    look();
"""


def until(browser, condition):
    assert browser.execute_async_script(UNTIL, condition) is True


def counted(browser, number):
    until(browser, f"document.querySelector('#matches').textContent.startsWith('{number} of ')")


def press(browser, *keys):
    """Keys go to what has the focus, as in a browser."""
    for key in keys:
        browser.execute_script(
            "const event = new KeyboardEvent('keydown', {key: arguments[0], bubbles: true});"
            "(document.activeElement ?? document.body).dispatchEvent(event)",
            key,
        )


def choose(browser, name, value):
    browser.execute_script(
        "const select = document.querySelector(arguments[0]); select.value = arguments[1];"
        "select.dispatchEvent(new Event('change'))",
        f"#{name}",
        value,
    )


def search(browser, words):
    browser.execute_script(
        "const field = document.querySelector('#search'); field.value = arguments[0];"
        "field.dispatchEvent(new Event('input'))",
        words,
    )


def first(browser):
    return browser.execute_script("return document.querySelector('#rows .question')?.textContent")


def text_of(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0]).textContent", selector)


def test_the_worst_stand_first_and_every_question_is_there(small):
    counted(small, 30)
    until(small, "document.querySelectorAll('#rows li').length === 25")
    outcomes = small.execute_script("return [...document.querySelectorAll('#rows li')].map((line) => line.className)")
    assert outcomes[:2] == ["dangerous", "dangerous"]
    assert outcomes == sorted(outcomes, key=list(OUTCOMES).index)
    assert first(small).startswith("in_my_path of region 0?")


def test_keys_go_through_the_list_over_the_end_of_a_page(small):
    press(small, "j", "j", "k")
    focused = "return [...document.querySelectorAll('#rows button')].indexOf(document.activeElement)"
    assert small.execute_script(focused) == 0
    press(small, *["ArrowDown"] * 24)
    assert small.execute_script(focused) == 24
    press(small, "j")
    until(
        small,
        "document.querySelector('#place').textContent === 'page 2 of 2' && document.activeElement.closest('#rows')",
    )
    press(small, "k")
    until(
        small,
        "document.querySelector('#place').textContent === 'page 1 of 2' && document.activeElement.closest('#rows')",
    )
    assert small.execute_script(focused) == 24
    press(small, "ArrowRight")
    until(
        small,
        "document.querySelector('#place').textContent === 'page 2 of 2' && document.activeElement.closest('#rows')",
    )
    press(small, "ArrowLeft")
    until(
        small,
        "document.querySelector('#place').textContent === 'page 1 of 2' && document.activeElement.closest('#rows')",
    )


def test_an_opened_question_shows_all_of_it_with_the_frames_of_its_card(small):
    small.execute_script("document.querySelector('#rows li:nth-child(2) button').click()")
    until(small, "document.querySelector('#detail').open")
    told = text_of(small, "#detail")
    for words in ("2 of 30", "5.3 times as far", "80 meters, 0 degrees", "+65.0 m", "[image]\nNow:\n[image]", SCRIPT):
        assert words in told
    assert small.execute_script("return document.querySelectorAll('#detail .frames img').length") == 2
    assert small.execute_script("return document.querySelectorAll('#detail script').length") == 0
    press(small, "j")
    until(small, "document.querySelector('#detail').textContent.includes('3 of 30')")
    small.execute_script("document.querySelector('#detail .before').click()")
    until(small, "document.querySelector('#detail').textContent.includes('2 of 30')")
    small.execute_script("document.querySelector('#detail .close').click()")
    until(small, "!document.querySelector('#detail').open && document.activeElement.closest('#rows li:nth-child(2)')")


def test_slash_searches_and_question_mark_tells_the_keys(small):
    press(small, "?")
    assert small.execute_script("return document.querySelector('#keys').open")
    small.execute_script("document.querySelector('#keys').close()")
    press(small, "/")
    assert small.execute_script("return document.activeElement.id") == "search"
    press(small, "j")
    assert small.execute_script("return document.activeElement.id") == "search"
    search(small, "CANNOT tell")
    counted(small, 1)
    search(small, "")
    counted(small, 30)


def test_filters_combine_and_clear(small):
    choose(small, "filter-outcome", "0")
    counted(small, 2)
    choose(small, "filter-family", "0")
    counted(small, 1)
    small.execute_script("document.querySelector('#choices').reset()")
    counted(small, 30)


def test_nothing_is_fetched_and_no_text_runs(small):
    requested = [entry["message"] for entry in small.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert [message for message in requested if '"url":"http' in message] == []
    assert small.execute_script("return window.hacked === undefined")
    assert [entry for entry in small.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_hundred_thousand_questions_are_turned_filtered_and_ordered(large):
    counted(large, "100,000")
    assert large.execute_script("return document.querySelectorAll('*').length") < 2_000
    choose(large, "filter-outcome", "0")
    counted(large, "100")
    choose(large, "filter-outcome", "")
    counted(large, "100,000")
    choose(large, "order", "time")
    until(large, "document.querySelector('#rows .question')?.textContent === 'How far is Region 99998?'")
    choose(large, "order", "worst")
    until(large, "document.querySelector('#rows .question')?.textContent === 'How far is Region 0?'")


def test_a_search_goes_through_all_parts(large):
    search(large, "needle")
    counted(large, 1)
    until(large, "document.querySelector('#rows .question')?.textContent === 'How far is Region 77777?'")
    search(large, "")
    counted(large, "100,000")


def test_few_parts_are_held_at_once(large):
    held = large.execute_async_script(
        "const done = arguments[0]; (async () => { const first = Parts.read('questions-0');"
        " for (let part = 1; part < 20; part += 1) await Parts.read(`questions-${part}`);"
        " done([first === Parts.read('questions-0'), Parts.read('questions-19') === Parts.read('questions-19')]) })()"
    )
    assert held == [False, True]


def test_on_a_phone_the_list_is_no_wider_than_the_page(large):
    assert large.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    large.execute_script("document.querySelector('#rows button').click()")
    until(large, "document.querySelector('#detail').open")
    assert large.execute_script("return document.querySelector('#detail').scrollWidth <= innerWidth")
    assert "drive-vqa explore STORE" in text_of(large, "#detail")
    assert large.execute_script("return document.querySelector('#detail img') === null")
