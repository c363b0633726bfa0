"""The comparison page in a headless browser: flipped questions, filters and keys, at both widths, without a request."""

from __future__ import annotations

import json

import pytest

from eval.compare import compare
from eval.evaluate import evaluate
from tests.browser import NEEDS_BROWSER, WIDTHS, opened
from tests.eval.conftest import write_world

pytestmark = NEEDS_BROWSER
EVIL = "<img src=x onerror=document.title='owned'></script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """`after` cannot say where the hours are, in words that would run in a careless page."""
    root = tmp_path_factory.mktemp("compared")
    store = write_world(root / "store", {"a": "test", "b": "test"})
    rows = store.read_all("questions", ["qa_id", "answer", "type"]).to_pylist()
    runs = {
        "before": {row["qa_id"]: row["answer"] for row in rows},
        "after": {row["qa_id"]: EVIL if row["type"] in ("clock", "bearing") else row["answer"] for row in rows},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)
        for name, told in runs.items():
            lines = (json.dumps({"qa_id": key, "text": text}) for key, text in told.items())
            (root / f"{name}.jsonl").write_text("\n".join(lines))
            evaluate(store, root / f"{name}.jsonl", root / name)
    compare([root / "before", root / "after"], root / "out")
    return (root / "out/comparison.html").as_uri()


@pytest.mark.parametrize("width", WIDTHS)
def test_flips_are_listed_filtered_and_walked_through(page, width):
    with opened(page, width) as browser:
        wait = "return document.querySelectorAll('#rows li').length"
        for _ in range(100):
            if browser.execute_script(wait):
                break
        assert browser.execute_script(wait) == 25  # 2 logs × 3 moments × 8 questions, in pages
        assert "48" in browser.find_element("id", "matches").text
        assert EVIL in browser.find_element("css selector", "#rows li").text
        assert browser.title != "owned"
        browser.execute_script("document.querySelector('#next').click()")
        assert browser.execute_script(wait) == 23
        first = browser.execute_script(
            "const select = document.querySelector('#choices select'); select.selectedIndex = 1;"
            "select.dispatchEvent(new Event('change')); return document.querySelectorAll('#rows li').length"
        )
        assert first > 0
        browser.find_element("tag name", "body").send_keys("j")
        assert browser.execute_script("return document.activeElement.tagName") == "LI"
        assert browser.execute_script("return document.documentElement.scrollWidth") <= WIDTHS[width]
        requests = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        sent = [one["params"]["request"]["url"] for one in requests if one["method"] == "Network.requestWillBeSent"]
        assert [url for url in sent if not url.startswith(("file:", "data:", "blob:"))] == []
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
