"""README.md of an export: what it holds, how it is loaded, whose terms hold, which biases are known.

For a Hugging Face data-set folder it starts with the YAML that the hub and `datasets` read.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drive_vqa._version import __version__
from drive_vqa.store import replacing
from qa_gen.export.counts import ANSWERS_A_TYPE, Counts
from qa_gen.export.licences import strictest
from qa_gen.export.trace_settings import TraceSettings

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
SIZES_ABOVE = ((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"))
WORST = 10
FORMS = ("open", "choice", "yes_no")
STYLE_WORDS = {
    "chain": "where the images show what the answer rests on, what follows from that, the answer",
    "corrected": "a chain in which one box or time is wrong at first, noticed and mended, if any image shows what the answer "
    "rests on",
    "direct": "the answer alone, between tags",
}
DIALECT_WORDS = {
    "drive": "steps with regions, boxes, times and places on the ground between tags",
    "vigorl": "steps that each end in a point, without other tags",
    "treevgr": "steps with boxes between tags, all else in plain words",
    "open_o3": "steps with regions, boxes and times between tags, times counted from the first image",
}


def write_card(
    path: Path,
    counts: Counts,
    load: str,
    front_matter: Mapping[str, Any] | None = None,
    traces: TraceSettings | None = None,
) -> None:
    """Write README.md.

    Args:
        path: of the file.
        counts: of the export.
        load: how it is loaded, as Markdown.
        front_matter: YAML to start with.
        traces: what the assistant says; None: the short answers.
    """
    parts = [_opening(counts), _loading(load), _table_of_counts(counts), _terms(counts), _biases(counts)]
    if traces is not None:
        parts.insert(2, _traces(counts, traces))
    text = "\n".join(part.rstrip() + "\n" for part in parts)
    with replacing(path) as temporary:
        temporary.write_text(_yaml(front_matter) + text, encoding="utf-8")


def hub_fields(counts: Counts) -> dict[str, Any]:
    """What the hub wants to know of a data set: licence, tasks, language, size."""
    terms = strictest(counts.sources)
    total = counts.questions.total()
    size = next((name for bound, name in (*SIZES, *SIZES_ABOVE) if total < bound), "100M<n<1B")
    named = {"license_name": terms.name, "license_link": terms.url} if terms.hub_id == "other" else {}
    return {
        "license": terms.hub_id,
        **named,
        "pretty_name": "drive-vqa questions",
        "language": ["en"],
        "task_categories": ["visual-question-answering"],
        "tags": ["autonomous-driving", "spatial-reasoning", "synthetic" if terms.rank == 0 else "driving-logs"],
        "size_categories": [size],
    }


def _yaml(content: Mapping[str, Any] | None) -> str:
    if content is None:
        return ""
    import yaml

    return f"---\n{yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)}---\n\n"


def _opening(counts: Counts) -> str:
    questions, groups = counts.questions.total(), counts.groups.total()
    return f"""# Driving questions

{questions:,} questions about {groups:,} groups of images from {sum(counts.sources.values()):,} driving logs, made by drive-vqa
{__version__} from tracks. An agent asked about is a numbered region in the images. Answers are computed, not written by
people or models. Bearings are in degrees, 0 straight ahead and positive to the left; distances in metres between box
centres on the ground; "now" is the last image of a group.
"""


def _loading(load: str) -> str:
    return f"## Loading\n\n{load.strip()}\n"


def _traces(counts: Counts, traces: TraceSettings) -> str:
    rows = _rows([style, counts.styles[style,], STYLE_WORDS[style]] for style in traces.styles)
    return f"""## Reasoning traces

What the assistant says is not the short answer alone but a trace that ends in it: {DIALECT_WORDS[traces.dialect]} (dialect
`{traces.dialect}`, `--traces {traces.traces}`, `--trace-seed {traces.seed}`). All that is stated comes from the tracks. Boxes and
points are in whole pixels of the images here.

{_table(["style", "traces", "what it is"], rows)}
"""


def _table_of_counts(counts: Counts) -> str:
    splits = _rows([split, n, counts_of_groups(counts, split)] for (split,), n in sorted(counts.by("split").items()))
    families = _rows([family, *(_forms(counts, "family", family))] for (family,) in sorted(counts.by("family")))
    types = _rows([family, kind, *_forms(counts, "type", kind)] for family, kind in sorted(counts.by("family", "type")))
    parts = [
        "## Counts",
        _table(["split", "questions", "groups"], splits),
        _table(["family", *FORMS], families),
        "### By type",
        _table(["family", "type", *FORMS], types),
    ]
    return "\n\n".join(parts)


def counts_of_groups(counts: Counts, split: str) -> int:
    """Groups of a split."""
    return sum(count for key, count in counts.groups.items() if key[0] == split)


def _forms(counts: Counts, name: str, value: str) -> list[int]:
    found = counts.by(name, "form")
    return [found[value, form] for form in FORMS]


def _terms(counts: Counts) -> str:
    rows = _rows(
        [terms.source, logs, terms.name, "yes" if terms.commercial else "no", terms.url]
        for terms, logs in sorted(counts.sources.items(), key=lambda item: (item[0].rank, item[0].source))
    )
    hardest = strictest(counts.sources)
    use = "" if hardest.commercial else " Commercial use of the whole is not allowed."
    return f"""## Licences

Images and boxes come from the source logs, and their makers' terms hold for what was taken from them. The strictest of them is
**{hardest.name}** ({hardest.source}), so treat the whole as under it.{use}

{_table(["source", "logs", "licence", "commercial use", "terms"], rows)}

The wording of the questions comes from drive-vqa (Apache 2.0).
"""


def _biases(counts: Counts) -> str:
    parts = [
        "## Known biases",
        "- Only agents that a camera shows are marked, and only those that the tracks know: what the labels or the tracker "
        "missed is never asked about.\n"
        "- Truth is as good as the tracks: speeds and futures are measured from boxes, with their noise.\n"
        "- Regions are boxes in the image, not outlines: they cover some road and sky beside the agent.\n"
        "- Questions are made from templates: their English is plainer and more regular than people's.",
        f"Logs by place: {_listed(counts.places)}.",
        f"Marked agents by category: {_listed(counts.categories)}.",
        f"The first agent asked about moves: {_listed(counts.moving)} (questions).",
    ]
    return "\n\n".join([*parts, *_priors(counts)])


def _priors(counts: Counts) -> list[str]:
    """How far one gets without looking: the share of the most frequent answer."""
    answers: dict[tuple[str, str], dict[str, int]] = {}
    for (kind, form, answer), count in counts.answers.items():
        answers.setdefault((kind, form), {})[answer] = count
    few = {key: found for key, found in answers.items() if len(found) <= ANSWERS_A_TYPE}
    if not few:
        return []
    share = {key: max(found.values()) / sum(found.values()) for key, found in few.items()}
    worst = sorted(share, key=lambda key: (-share[key], key))[:WORST]
    rows = _rows(
        [kind, form, sum(few[kind, form].values()), _most(few[kind, form]), f"{100 * share[kind, form]:.0f} %"]
        for kind, form in worst
    )
    table = _table(["type", "form", "questions", "most frequent answer", "its share"], rows)
    return ["Answers that one guesses without looking, where they are chosen from a few, the worst first:", table]


def _most(found: Mapping[str, int]) -> str:
    return min(found, key=lambda answer: (-found[answer], answer))


def _listed(counter: Mapping[tuple[str, ...], int]) -> str:
    total = sum(counter.values())
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{_plain(key[0])} {count:,} ({100 * count / total:.0f} %)" for key, count in ordered) or "none"


def _rows(rows: Iterable[Sequence[object]]) -> list[list[str]]:
    return [[f"{cell:,}" if isinstance(cell, int) else _plain(str(cell)) for cell in row] for row in rows]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text from outside that can neither break a table nor be taken for HTML."""
    return html.escape(" ".join(text.split())[:200]).replace("|", "&#124;")
