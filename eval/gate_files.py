"""What a gate found, as files for CI: JUnit XML, a test case a verdict, and a short Markdown summary, worst first."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from drive_vqa.store import replacing
from eval.gate import GateResult, Limit, Verdict, in_words

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""

MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def write_junit(result: GateResult, path: Path) -> None:
    """Write a JUnit test suite, which CI servers show as tests.

    Args:
        result: of `eval.gate.check_gate`.
        path: the XML file; its folder is made where absent.
    """
    counts = {"tests": str(len(result.verdicts)), "failures": str(len(result.broken)), "errors": "0", "skipped": "0"}
    suites = Element("testsuites", counts)
    suite = SubElement(suites, "testsuite", {"name": "gate", **counts, "time": "0"})
    for verdict in result.verdicts:
        name = _xml_text(f"{verdict.metric} {limit_in_words(verdict.limit)}")
        case = SubElement(suite, "testcase", {"classname": "drive-vqa.gate", "name": name, "time": "0"})
        if verdict.holds:
            SubElement(case, "system-out").text = _xml_text(verdict.sentence)
        else:
            SubElement(case, "failure", {"type": "limit", "message": _xml_text(verdict.sentence)})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n")


def write_summary(result: GateResult, path: Path) -> None:
    """Write the verdicts as Markdown, broken limits and narrow margins first.

    Args:
        result: of `eval.gate.check_gate`.
        path: the Markdown file; its folder is made where absent.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(summary(result), encoding="utf-8", errors="backslashreplace")


def summary(result: GateResult) -> str:
    """The verdicts as Markdown."""
    held = f"{len(result.verdicts) - len(result.broken)} of {len(result.verdicts)} limits hold"
    head = f"**Gate {'passed' if result.passed else 'failed'}**: {held}."
    ordered = sorted(result.verdicts, key=lambda verdict: (verdict.holds, verdict.margin, verdict.metric))
    rows = [_row(verdict) for verdict in ordered]
    return "\n".join([head, "", "| | metric | measured | limit |", "|---|---|---|---|", *rows, ""])


def limit_in_words(limit: Limit) -> str:
    """The limit: "at least 0.6 (lower bound, n ≥ 100)"."""
    sides = [("at least", "lower", limit.at_least), ("at most", "upper", limit.at_most)]
    given = [(words, side, value) for words, side, value in sides if value is not None]
    held = " and ".join(f"{words} {value:g}" for words, _, value in given)
    by = " and ".join(side for _, side, _ in given) + " bound" if limit.on == "bound" else "value"
    return f"{held} ({by}{f', n ≥ {limit.min_n}' if limit.min_n > 1 else ''})"


def _row(verdict: Verdict) -> str:
    told = (
        "holds" if verdict.holds else "**BREAKS**",
        *map(markdown_cell, (verdict.metric, in_words(verdict.measured))),
    )
    return f"| {' | '.join(told)} | {markdown_cell(limit_in_words(verdict.limit))} |"


def markdown_cell(text: str) -> str:
    """Shown as it is, in one cell of a table."""
    return MARKDOWN.sub(r"\\\1", " ".join(NOT_XML.sub("\ufffd", text).split()))


def _xml_text(text: str) -> str:
    return NOT_XML.sub("\ufffd", text)
