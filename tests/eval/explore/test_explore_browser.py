"""The page in a real browser, at the widths of a desktop and of a phone."""

import json
import time

import pytest

from tests.browser import NEEDS_BROWSER, WIDTHS, opened
from tests.eval.report_world import LOG, SCRIPT

pytestmark = NEEDS_BROWSER
WAIT_S = 20
BOXES = "return document.querySelectorAll('#cameras .box').length"
LISTED = (
    "return [...document.querySelectorAll(arguments[0] + ' li[data-question]')].map((item) => item.dataset.question)"
)


@pytest.fixture(scope="module", params=WIDTHS)
def browser(request, served):
    """A browser that has opened the page."""
    with opened(served.address, request.param) as driver:
        yield driver


def _wait(browser, script, *arguments, until=bool):
    """What a script returns, once it is as wanted."""
    end_s = time.monotonic() + WAIT_S
    while not until(found := browser.execute_script(script, *arguments)):
        assert time.monotonic() < end_s, f"{script} stays {found!r}; {browser.execute_script('return location.href')}"
        time.sleep(0.05)
    return found


def _go(browser, state):
    browser.execute_script("location.hash = arguments[0]", state)


def _at(browser, frame):
    _go(browser, f"#/moment?log={LOG}&frame={frame}")
    _wait(
        browser,
        "return document.querySelector('#when').textContent",
        until=lambda text: text.startswith(f"frame {frame} "),
    )
    image = f"frame {frame}"
    _wait(browser, "return document.querySelector('#cameras img')?.alt ?? ''", until=lambda text: text.endswith(image))


def _press(browser, key):
    browser.execute_script(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))", key
    )


def test_a_log_opens_with_images_boxes_and_questions(browser):
    assert _wait(browser, BOXES) >= 3
    loaded = "return [...document.querySelectorAll('#cameras img')].map((image) => image.naturalWidth)"
    assert _wait(browser, loaded, until=lambda widths: len(widths) == 2 and min(widths) > 0)
    assert _wait(browser, LISTED, "#moment")
    assert browser.execute_script("return document.querySelectorAll('#above .foot').length") == 3


def test_nothing_leaves_the_server_and_nothing_fails(browser, served):
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert len(urls) > 8
    assert [url for url in urls if not url.startswith((served.address, "data:"))] == []


def test_nothing_is_wider_than_the_page(browser):
    for state in (f"#/moment?log={LOG}&frame=2&question=sign-2-1", "#/questions", "#/metrics"):
        _go(browser, state)
        view = state.partition("?")[0].removeprefix("#/")
        shown = "return document.querySelector(arguments[0] + ' :is(li[data-question], tbody tr)') !== null"
        _wait(browser, shown, f"#{view}:not([hidden])")
        width = browser.execute_script("return document.documentElement.clientWidth")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, state


def test_names_of_metrics_are_not_broken_within_a_word(browser):
    _go(browser, "#/metrics")
    broken = """
        const codes = [...document.querySelectorAll("#metric-tables th code")].filter((code) => code.offsetParent);
        const lines = (part) => { const range = new Range(); range.selectNode(part); return range.getClientRects().length; };
        const parts = codes.flatMap((code) => [...code.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE));
        return parts.length ? parts.filter((part) => lines(part) > 1 && !part.data.includes("-")).map((part) => part.data) : null;
    """
    assert _wait(browser, broken, until=lambda found: found is not None) == []


def test_boxes_lie_on_the_drawn_objects(browser):
    _at(browser, 2)
    found = browser.execute_script(
        """
        const [wire] = document.querySelectorAll('.camera [data-track="lead"] .wire');
        const box = wire.getBBox(), image = wire.closest(".panel").querySelector("img").getBoundingClientRect();
        const shown = wire.getBoundingClientRect();
        return [box.x, box.y, box.x + box.width, box.y + box.height, (shown.left - image.left) / image.width];
        """
    )
    # 15 m ahead, 4 × 2 × 1.6 m, focal length 200 px, camera 1.6 m up: the near face is 13 m away
    assert found[:4] == pytest.approx([160 - 200 / 13, 90, 160 + 200 / 13, 90 + 200 * 1.6 / 13], abs=0.3)
    assert found[4] == pytest.approx(found[0] / 320, abs=0.02)


def test_left_is_left_in_the_cameras_and_from_above(browser):
    _at(browser, 1)
    middles = browser.execute_script(
        """
        const middle = (node) => node.getBoundingClientRect().left + node.getBoundingClientRect().width / 2;
        const off = (shape, frame) => middle(document.querySelector(shape)) - middle(document.querySelector(frame));
        return [off('.camera [data-track="walker"] .wire', ".panel"), off('#above [data-track="walker"] .foot', "#above .ego")];
        """
    )
    assert max(middles) < 0


def test_the_slider_and_the_arrow_keys_move_through_time(browser):
    _at(browser, 1)
    slide = (
        "const slider = document.querySelector('#slider'); slider.value = 3; slider.dispatchEvent(new Event('input'))"
    )
    browser.execute_script(slide)
    shown = "return document.querySelector('#cameras img').alt"
    _wait(browser, shown, until=lambda text: text.endswith("frame 3"))
    _press(browser, "ArrowRight")
    _wait(browser, shown, until=lambda text: text.endswith("frame 4"))
    _press(browser, "ArrowLeft")
    _wait(browser, shown, until=lambda text: text.endswith("frame 3"))
    assert "frame=3" in browser.execute_script("return location.hash")


def test_it_plays_and_pauses(browser):
    _at(browser, 1)
    _press(browser, " ")
    _wait(browser, "return location.hash", until=lambda text: "frame=2" in text)
    _press(browser, " ")
    assert browser.execute_script("return document.querySelector('#play').textContent") == "Play"


def test_a_tapped_box_is_followed_everywhere(browser):
    _at(browser, 1)
    tap = "document.querySelector('.camera [data-track=\"lead\"]').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    browser.execute_script(tap)
    chosen = "return [...document.querySelectorAll('.chosen')].map((node) => node.closest('figure, ul').id || 'camera')"
    assert set(_wait(browser, chosen)) == {"camera", "above", "track-list"}
    assert "15.0 m" in browser.execute_script("return document.querySelector('#track-facts').textContent")
    _press(browser, "Escape")
    _wait(browser, chosen, until=lambda found: found == [])


def test_filters_leave_what_fits_and_stand_in_the_address(browser):
    _at(browser, 2)
    everything = _wait(browser, LISTED, "#moment")
    select = """
        const field = document.querySelector('#moment [name="family"]');
        field.value = "ego"; field.dispatchEvent(new Event("change"));
    """
    browser.execute_script(select)
    assert _wait(browser, LISTED, "#moment", until=lambda ids: len(ids) < len(everything)) == ["in_my_path-2-0"]
    assert "family=ego" in browser.execute_script("return location.hash")


def test_a_question_opens_with_its_answers_and_the_images_that_were_shown(browser):
    _at(browser, 1)
    _press(browser, "j")
    opened = "return document.querySelectorAll('#moment li[aria-current] .context img').length"
    assert _wait(browser, opened) == 2
    first = browser.execute_script("return document.querySelector('li[aria-current]').dataset.question")
    _press(browser, "j")
    _wait(browser, "return document.querySelector('li[aria-current]').dataset.question", until=lambda now: now != first)
    assert _wait(browser, "return document.querySelectorAll('.answerer').length")
    assert _wait(browser, "return document.querySelectorAll('.camera .plate').length")


def test_a_number_leads_to_its_questions_and_they_to_their_moment(browser, evaluated_world):
    metrics = json.loads((evaluated_world / "evaluation" / "metrics.json").read_text())
    cases = metrics["safety.dangerous_far_rate"]["n"]
    _go(browser, "#/metrics?search=dangerous_far")
    link = "const link = document.querySelector('#metric-tables td a'); if (link) link.click(); return Boolean(link)"
    _wait(browser, link)
    ids = _wait(browser, LISTED, "#questions", until=lambda ids: len(ids) == cases)
    assert {"localization_t1-1-0", "localization_t0-1-1"} <= set(ids)
    _go(browser, "#/questions?metric=safety.dangerous_far_rate&outcome=dangerous")
    assert _wait(browser, LISTED, "#questions", until=lambda now: len(now) == 1) == ["localization_t1-1-0"]
    browser.execute_script("document.querySelector('#questions li a').click()")
    _wait(browser, "return document.querySelector('#moment:not([hidden]) li[aria-current]')?.dataset.question ?? ''")
    assert "80 meters" in browser.execute_script("return document.querySelector('li[aria-current]').textContent")


def test_a_question_of_an_address_is_shown_whatever_the_filters_leave(browser):
    _go(browser, f"#/moment?log={LOG}&frame=1&type=in_my_path&question=sign-1-1")
    _wait(browser, LISTED, "#moment", until=lambda ids: ids == ["sign-1-1", "in_my_path-1-0"])


def test_what_does_not_exist_is_told(browser):
    _go(browser, "#/moment?log=nothing")
    told = "const place = document.querySelector('#error'); return place.hidden ? '' : place.textContent"
    assert "no log" in _wait(browser, told)
    _at(browser, 1)
    _wait(browser, told, until=lambda text: text == "")


def test_hostile_text_is_shown_and_never_run(browser):
    _go(browser, f"#/moment?log={LOG}&frame=1&text=sign&track=walker")
    _wait(browser, LISTED, "#moment", until=lambda ids: ids == ["sign-1-1"])
    assert SCRIPT in browser.execute_script("return document.querySelector('#moment').textContent")
    assert browser.execute_script("return window.hacked === undefined")
    assert browser.execute_script("return document.scripts.length") == 1
