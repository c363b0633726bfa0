"""`docs/questions.md`, made from the code: `python -m qa_gen.catalogue_page > docs/questions.md`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields

from qa_gen import slices
from qa_gen.ask import BENCH_TYPES
from qa_gen.balance import MOST_OFFERS
from qa_gen.catalogue import TYPES, example, with_regions
from qa_gen.config import FAMILIES, FORMS, KINDS, GenerateConfig
from qa_gen.forms import BREAK_MARGIN_DEG, CHAINS, CLAIM_MARGIN, CLAIM_UNITS, SEPARATION
from qa_gen.groups import MOVING_MPS, UNSEEN_BEARING_DEG
from qa_gen.phrasebook import UNIT, threshold_text
from qa_gen.question_type import CARRIERS, LEAST_WORDINGS, NUMERIC, QuestionType
from qa_gen.relations import manoeuvres

ABOUT_FAMILY = {
    "object": "One image: marked agents, what they are, and how they stand to each other.",
    "ego": "Images of one moment: where marked agents are as seen from my car.",
    "future": "Four front images up to now: what is so now, and what will be in up to 3 seconds.",
    "when_where": "A clip of front images: when something happened to a marked agent, and where in the image it was then.",
    "unanswerable": "What is asked cannot be told from the images; the answer is that it cannot be determined.",
}
MOST_SHOWN = 12
"""Choices, parameters and thresholds that one entry lists."""


def questions_page() -> str:
    """The page as Markdown: what holds for all questions, then one entry a type; horizons of one type share an entry."""
    parts = [_introduction(GenerateConfig()), _overview()]
    for family in FAMILIES:
        parts.append(f"## {family}\n\n{ABOUT_FAMILY[family]}\n")
        parts += [_entry(kinds) for kinds in folded(_of_family(family))]
    return "\n".join([*parts, _manoeuvres(), _settings()])


def _settings() -> str:
    """What `key=value` behind `drive-vqa generate STORE` sets, from the class that holds it."""
    text = inspect.cleandoc(GenerateConfig.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    meanings = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
    defaults = {field.name: field.default for field in fields(GenerateConfig)}
    rows = [f"| `{name}` | `{_plain(defaults[name])}` | {' '.join(meaning.split())} |" for name, meaning in meanings]
    head = "As `key=value` behind `drive-vqa generate STORE`, such as `max_marks=4 need_images=false`, or in YAML (`--config`)."
    return "\n".join(["## Settings", "", head, "", "| key | standard | meaning |", "|---|---|---|", *rows, ""])


def _plain(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value).lower()


def folded(types: Iterable[QuestionType]) -> list[list[QuestionType]]:
    """Types in order; those that differ in their horizon alone stand together."""
    entries: dict[str, list[QuestionType]] = {}
    for kind in types:
        entries.setdefault(re.sub(r"_t\d$", "_t", kind.name), []).append(kind)
    return list(entries.values())


def _of_family(family: str) -> list[QuestionType]:
    return [kind for kind in TYPES.values() if kind.family == family]


def _introduction(config: GenerateConfig) -> str:
    parts = [_conventions(config), _groups(config), _forms(), _choosing(config)]
    return "\n".join(
        [
            "# Questions",
            "",
            "<!-- Made by `python -m qa_gen.catalogue_page > docs/questions.md`; a test compares the two. -->",
            "",
            f"{len(TYPES)} types in {len(FAMILIES)} families. Numbers here are those of the code; settings are given with "
            "their standard value.",
            "",
            *(re.sub(r"(?<!\n)\n *(?![\n|-])", " ", part.rstrip()) + "\n" for part in parts),
        ]
    )


def _conventions(config: GenerateConfig) -> str:
    return f"""## Conventions

- *I* and *my car* are the ego. The ego frame has x forward, y to the left, z up; its origin is the source's, see
  [tables.md](tables.md). A, B and C are the marked agents in the roles `{{a}}`, `{{b}}` and `{{c}}`; a *mark* is a marked agent.
- Distances are between the ego origin and the center of a box, or between centers, in the ground plane, unless a type says
  "outlines": boxes seen from above; my car's is {config.ego_length_m:g} m by {config.ego_width_m:g} m with its center
  {config.ego_centre_x_m:g} m ahead of the origin.
- A *bearing* is where something is, a *heading* where it points: degrees, 0 straight ahead, left positive, from -180 to 180. On
  the clock 12 is straight ahead and 3 to the right.
- Speeds are over the ground. *At the horizon* is in 0, 1, 2 or 3 s, the number at the end of a name; the frame taken is the one
  nearest to that time, within {config.time_tolerance_s:g} s. A place at the horizon is told from where I am **then**, unless the
  type says otherwise.
- Where an input is not known, or the answer is too near the edge between two answers for a person to tell, the question is not
  asked: each entry says where. Truths are stored to three decimals; a wording asks, and is answered, in the units it names.
"""


def _groups(config: GenerateConfig) -> str:
    offsets = ", ".join(f"{offset_s:g}" for offset_s in config.context_offsets_s)
    return f"""## Groups and marks

| group | what is shown |
|---|---|
| single | the front image |
| surround | the images of all cameras |
| sequence | front images at {offsets} s |
| clip | {config.clip_images} front images, {config.clip_step_s:g} s apart, the last one now |
| target | for the split `bench`: a sequence with one mark |

There is a moment every {config.keyframe_step_s:g} s ({config.bench_step_s:g} s for `target`). Up to {config.max_marks} agents are
marked with random numbers from 0 to 9, the same in all images of a group: what can move by itself, up to
{config.max_distance_m:g} m away, {config.min_visible_fraction:.0%} visible and {config.min_box_px:g} px wide and high; first
what moves (above {MOVING_MPS:g} m/s) or is vulnerable, then what is large in the image. In a log without cameras it is what
lies within {UNSEEN_BEARING_DEG:g} degrees of straight ahead. Questions about two marks are asked of up to {config.max_pairs}
pairs a group, those about three of up to {config.max_triples} triples.
"""


def _forms() -> str:
    apart = ", ".join(f"{name} {_apart(name)}" for name in SEPARATION if name in NUMERIC and name != "count")
    return f"""## Forms

- **open**: the type's own wordings ({LEAST_WORDINGS} or more), answered with a number and its unit, a list of regions, an
  interval, a box, or "cannot be determined".
- **choice**: the same wordings with up to {MOST_OFFERS} lettered options where the answer is a number, else with the
  answers that are in balance (below), or all marks in question. Options of a number are the true answers to the same question
  about other subjects of the same group, at least so far apart: {apart}.
- **yes_no**: a claim in one of {len(CARRIERS)} carriers, such as "{CARRIERS[0].replace("{claim}", "…")}" Types that are yes or no
  by nature are asked in their own words.
"""


def _apart(answer_type: str) -> str:
    """How far options must be apart."""
    share, units = SEPARATION[answer_type]
    unit = {"meters": "m", "seconds": "s"}.get(word := UNIT.get(answer_type, "hour"), word)
    return f"{share:.0%} of the value and {units:g} {unit}" if share else f"{units:g} {unit}"


def _choosing(config: GenerateConfig) -> str:
    claim_units = ", ".join(f"{name} {units:g} {UNIT[name]}" for name, units in CLAIM_UNITS.items())
    chains, bench = (", ".join(f"`{name}`" for name in names) for names in (CHAINS, _titles(BENCH_TYPES)))
    return f"""## What is kept, and how answers are balanced

- **yes_no**: in each log and split, for each category of the first mark and each claim, threshold or parameter, as many are
  true as false. A claim of a number takes the nearest threshold below or above the truth, and is left out within
  {CLAIM_MARGIN:.0%} of it (or {claim_units}), and for an angle within {BREAK_MARGIN_DEG:g} degrees of straight behind.
- **choice**, answers of a type: in each log and split, one question of each answer stands together with one of every other answer
  that has as many, and they are offered just those answers: among questions with the same options each is right equally often.
  Numbers likewise: all subjects of an offer are asked with the same options. Marks need no balance, as their numbers are random.
- **open**, a number: from the fullest bins of answers so many are left out that {config.flatten:.0%} of a log's questions remain.
  {chains} at 0 to 3 s are kept or left out together, in training only; the bench is not thinned at all.
- **Near-duplicates**: a mark is asked about again only when its place in the ego frame, its speed or my speed has changed by more
  than {config.least_change:g} (m, m/s), or after {config.repeat_after_s:g} s; likewise my car
  by its own place and speed. A pair or triple needs one such mark.
- **Splits**: by recording and road, never by frame: logs cut from one recording, or whose egos drove more than
  {config.place_overlap:.0%} of the shorter path on the same road, stay together; about {config.val_fraction:.0%} of the logs are
  `val`, {config.test_fraction:.0%} `test`. `bench`: up to {config.bench_groups} groups from the logs of `test`,
  each with {len(BENCH_TYPES)} open questions about one target: {bench}.
- **Slices** describe the first mark. `difficulty`: easy from {slices.LEAST_HEIGHT_PX[0]:g} px high and
  {slices.LEAST_VISIBLE[0]:.0%} visible, moderate from {slices.LEAST_HEIGHT_PX[1]:g} px and {slices.LEAST_VISIBLE[1]:.0%}, else
  hard; without cameras by distance: {slices.MOST_DISTANCE_M[0]:g} m, {slices.MOST_DISTANCE_M[1]:g} m, farther. `relation`: see
  [Maneuvers](#maneuvers).
"""


def _overview() -> str:
    rows = ["## Overview", "", "| family | types | forms | groups |", "|---|---|---|---|"]
    for family in FAMILIES:
        types = _of_family(family)
        forms = ", ".join(form for form in FORMS if any(form in kind.forms for kind in types))
        groups = ", ".join(group for group in KINDS if any(group in kind.group_kinds for kind in types))
        rows.append(f"| [{family}](#{family}) | {len(types)} | {forms} | {groups} |")
    return "\n".join([*rows, ""])


def _entry(kinds: Sequence[QuestionType]) -> str:
    """One type, or one at several horizons; told of the farthest."""
    kind = kinds[-1]
    if any(other.definition != kind.definition for other in kinds):
        raise ValueError(f"question types of one name need one definition: {', '.join(other.name for other in kinds)}")
    facts = [
        f"answer: {kind.answer_type}",
        f"forms: {', '.join(kind.forms)}",
        f"groups: {', '.join(kind.group_kinds)}{_more_groups(kinds)}",
        *_horizon(kinds),
        f"tolerance: {kind.tolerance}",
    ]
    lines = [f"### {_title(kinds)}", "", kind.definition, "", f"- {'; '.join(facts)}", f"- wording: “{example(kind)}”"]
    lines += [f"- {name}: {', '.join(texts)}" for name, texts in _lists(kind) if texts]
    return "\n".join([*lines, ""])


def _title(kinds: Sequence[QuestionType]) -> str:
    last = f"…t{kinds[-1].name[-1]}" if len(kinds) > 1 else ""
    return f"{kinds[0].name}{last}"


def _titles(names: Sequence[str]) -> list[str]:
    return [_title(kinds) for kinds in folded(TYPES[name] for name in names)]


def _more_groups(kinds: Sequence[QuestionType]) -> str:
    """Groups that only nearer horizons are asked about."""
    more = [
        f"{group} at {other.horizon_s:g} s"
        for other in kinds
        for group in other.group_kinds
        if group not in kinds[-1].group_kinds
    ]
    return f" ({', '.join(more)} too)" if more else ""


def _horizon(kinds: Sequence[QuestionType]) -> Iterable[str]:
    if kinds[-1].horizon_s:
        yield f"horizon: {', '.join(f'{kind.horizon_s:g}' for kind in kinds)} s"


def _lists(kind: QuestionType) -> Iterable[tuple[str, list[str]]]:
    """What an entry lists."""
    claim = kind.claims[0] if kind.claims else ""
    if kind.thresholds:
        claim = claim.replace("{v}", threshold_text(kind, kind.thresholds[len(kind.thresholds) // 2]))
    yield "claim", [f"“{with_regions(claim)}”"] if claim else []
    yield "thresholds", _first([f"{threshold:g}" for threshold in kind.thresholds])
    yield "choices", _first([with_regions(choice) for choice in kind.choices])
    yield "parameters", _first(list(kind.parameters))


def _first(texts: list[str]) -> list[str]:
    return texts if len(texts) <= MOST_SHOWN else [*texts[:MOST_SHOWN], f"and {len(texts) - MOST_SHOWN} more"]


def _manoeuvres() -> str:
    """What `qa_gen.relations.manoeuvres` says of itself, without its first sentence."""
    told = inspect.cleandoc(manoeuvres.__doc__ or "").split("\n\n", 1)[1]
    return f"## Maneuvers\n\nThe type `manoeuvre` and the slice `relation`; the agent asked about is the target.\n\n{told}\n"


if __name__ == "__main__":
    sys.stdout.write(questions_page())
