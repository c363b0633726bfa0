"""What is indexed, counted, read and shown."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.marks import marked_frames
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from drive_vqa.vlm import FAMILIES, ChatProcessor, Vlm
from finetune import lesson as lesson_module
from finetune.collate import Collator
from finetune.config import Evaluation, FinetuneConfig
from finetune.dataset import BrokenLessonError, LessonDataset, Row, Visit, data_digest, lesson_texts, read_index
from finetune.plan import Plan

VAL: dict[str, Any] = {"split": "val", "evaluation": Evaluation(split="train")}

FIVE = [f"a-0/{number}" for number in range(5)]


def _views(path: str | None, count: int = 1) -> list[Row]:
    view = {"frame": 0, "camera": "front", "path": path, "width": 168, "height": 112}
    return [{**view, "offset_s": 0.5 * (place - count + 1)} for place in range(count)]


def _group(number: int, log_id: str, path: str | None = "0.png", kind: str = "single", count: int = 1) -> Row:
    region = {"context": count - 1, "u0_px": 10.0, "v0_px": 20.0, "u1_px": 50.0, "v1_px": 60.0, "visible_fraction": 1.0}
    mark = {
        "mark": 3,
        "track_id": "t",
        "category": "car",
        "description": "the nearest car",
        "regions": [region],
    }
    where = {"group_id": f"{log_id}-{number}", "kind": kind, "log_id": log_id, "frame": number, "split": "train"}
    return {**where, "context": _views(path, count), "marks": [mark]}


def _question(group: Row, number: int, **more: Any) -> Row:
    row = {
        "qa_id": f"{group['group_id']}/{number}",
        "group_id": group["group_id"],
        "log_id": group["log_id"],
        "family": "ego",
        "type": "speed",
        "form": "open",
        "answer_type": "speed",
        "marks": [3],
        "question": f"How fast is Region 3, asked {number} times?",
        "answer": f"{number}.5 m/s",
        "split": "train",
    }
    return {**row, **more}


def _make(root: Path, logs: Mapping[str, tuple[list[Row], list[Row]]]) -> Store:
    (root / "source").mkdir()
    Image.new("RGB", (168, 112), (90, 120, 30)).save(root / "source" / "0.png")
    store = Store.create(root / "store")
    for log_id, (groups, questions) in logs.items():
        log = {"log_id": log_id, "source_format": "painted", "source_root": "../source"}
        for table, rows in {"logs": [log], "groups": groups, "questions": questions}.items():
            store.write(table, log_id, table_from_rows(table, rows), "test")
    return store


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two logs; the second has a clip whose answers are boxes, and questions of other splits, families and types."""
    one, two, clip = _group(0, "a"), _group(0, "b"), _group(1, "b", kind="clip", count=3)
    first = [_question(one, number) for number in range(5)]
    boxed = {
        "type": "where_stops",
        "family": "when_where",
        "answer_type": "box",
        "question": "Where does Region 3 stop?",
    }
    box = {"truth": {"u0_px": 10.0, "v0_px": 20.0, "u1_px": 50.0, "v1_px": 60.0}, "answer": "[10, 20, 50, 60]"}
    second = [
        _question(clip, 0, **boxed, **box),
        _question(two, 0, question="Which marked region is nearest to me?", type="nearest_mark", answer="Region 3"),
        _question(two, 1, options=["1.5 m/s", "9.0 m/s"], form="choice", answer_type="choice"),
        _question(two, 2, split="val"),
        _question(clip, 1),
    ]
    return _make(tmp_path_factory.mktemp("mixed"), {"a": ([one], first), "b": ([two, clip], second)})


def _asked(dataset: LessonDataset) -> list[str]:
    return [question["qa_id"] for number in range(len(dataset)) for question in dataset.lesson(number).questions]


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({}, [*FIVE, "b-0/0", "b-0/1", "b-1/0", "b-1/1"]),
        (VAL, ["b-0/2"]),
        ({"families": ("when_where",)}, ["b-1/0"]),
        ({"types": ("nearest_mark", "where_stops")}, ["b-0/0", "b-1/0"]),
        ({"kinds": ("clip",)}, ["b-1/0", "b-1/1"]),
        ({"kinds": ("clip", "single"), "types": ("speed",), "tokens_per_row": 170}, [*FIVE, "b-0/1", "b-1/1"]),
        ({"regions": "boxes"}, [*FIVE, "b-0/1", "b-1/1"]),
    ],
)  # fmt: skip
def test_exactly_what_was_chosen_is_learned(
    mixed: Store, config: FinetuneConfig, processor: ChatProcessor, settings: dict[str, Any], ids: list[str]
) -> None:
    """With boxes, neither a question about marks as such nor one whose answer is the box that names it can be asked."""
    chosen = replace(config, **settings)
    index = read_index(mixed, chosen, processor)
    dataset = LessonDataset(mixed, index, chosen)
    assert _asked(dataset) == ids
    assert index.questions == len(ids)
    assert sum(1 for _ in lesson_texts(mixed, chosen)) == 2 * len(ids)
    assert {index.kinds[kind] for kind in index.kind} <= {"single", "clip"}


@pytest.mark.parametrize("model_type", FAMILIES)
@pytest.mark.parametrize("regions", ["marks", "boxes"])
def test_tokens_are_counted_exactly(
    mixed: Store, family_vlm: Callable[[str], Vlm], config: FinetuneConfig, model_type: str, regions: Any
) -> None:
    """Against what the collator makes of each question alone: its images are counted once for all."""
    processor = family_vlm(model_type).processor
    chosen = replace(config, regions=regions, tokens_per_row=4096)
    index = read_index(mixed, chosen, processor)
    dataset = LessonDataset(mixed, index, chosen)
    collator = Collator.of(processor, chosen, 4096)
    for number, tokens in enumerate(index.tokens):
        shown = dataset.shown(number)
        samples = collator.samples(shown, processor.images(shown.frames))
        shared = _common([sample.prompt for sample in samples])
        images = processor.images(shown.frames)
        probe = {**shown.lesson.questions[0], "question": "?", "options": None}
        bare = collator.samples(replace(shown, lesson=replace(shown.lesson, questions=(probe,))), images)[0].prompt
        frames = len(_common([bare, samples[0].prompt]))
        assert frames <= len(shared)
        exact = frames + sum(len(sample.prompt) - frames + len(sample.answer) for sample in samples)
        length = collator([[shown]])["input_ids"].shape[1]
        assert length <= tokens == exact
        assert tokens - length == (len(_shared_prefix(samples)) - frames) * (len(samples) - 1)


def _shared_prefix(samples: Any) -> Any:
    """What all prompts share, without the last token of any."""
    return _common([sample.prompt[:-1] for sample in samples])


def _common(sequences: Any) -> Any:
    alike = itertools.takewhile(lambda tokens: len(set(tokens)) == 1, zip(*sequences, strict=False))
    return tuple(tokens[0] for tokens in alike)


def test_large_groups_are_cut_into_lessons_that_lose_nothing(
    dataset: LessonDataset, config: FinetuneConfig, processor: ChatProcessor
) -> None:
    small = replace(config, tokens_per_row=int(dataset.index.tokens.max()) - 20)
    index = read_index(dataset.store, small, processor)
    cut = LessonDataset(dataset.store, index, small)
    assert len(cut) == 2 * len(dataset)
    assert index.tokens.max() <= small.tokens_per_row
    assert _asked(cut) == _asked(dataset)
    with pytest.raises(
        ConfigError, match=r"group group-0 takes \d+ tokens with its images, and a row 60: raise tokens_per_row"
    ):
        read_index(dataset.store, replace(config, tokens_per_row=60), processor)


def _trace(store: Store, log_id: str, group: Mapping[str, Any], question: Mapping[str, Any]) -> str:
    del store
    return f"Region 3 of {log_id} in {group['group_id']}, so {question['answer']}"


def test_answers_of_a_writer(mixed: Store, config: FinetuneConfig, processor: ChatProcessor) -> None:
    chosen = replace(config, answers="chain", kinds=("single",))
    index = read_index(mixed, chosen, processor, writer=_trace)
    dataset = pickle.loads(pickle.dumps(LessonDataset(mixed, index, chosen, writer=_trace)))
    assert dataset.lesson(0).questions[1]["answer"] == "Region 3 of a in a-0, so 1.5 m/s"
    assert index.tokens[0] > read_index(mixed, config, processor).tokens[0] + 5
    boxed = replace(chosen, regions="boxes", types=("speed",))
    turned = LessonDataset(mixed, read_index(mixed, boxed, processor, writer=_trace), boxed, writer=_trace)
    assert turned.lesson(0).questions[1]["answer"] == "The car at [10, 20, 50, 60] of a in a-0, so 1.5 m/s"
    with pytest.raises(ConfigError, match="answers=chain needs a writer"):
        read_index(mixed, chosen, processor)


def test_nothing_to_learn_is_told(mixed: Store, config: FinetuneConfig, processor: ChatProcessor) -> None:
    with pytest.raises(StoreError, match=r"families ego, future in split 'bench'; splits with questions: train, val"):
        read_index(mixed, replace(config, split="bench", families=("ego", "future")), processor)
    with pytest.raises(StoreError, match=r"that can be asked with regions=boxes: use regions=marks"):
        read_index(mixed, replace(config, types=("nearest_mark",), regions="boxes"), processor)


@pytest.mark.parametrize(
    ("group", "question", "message"),
    [
        (_group(0, "a", path=None), {}, "group a-0 of log a has no images"),
        ({**_group(0, "a"), "context": []}, {}, "group a-0 of log a has no images"),
        (_group(0, "a"), {"group_id": "a-7"}, "log a has questions about the group a-7, which is not there"),
        (_group(0, "a"), {"answer": None}, "a-0/0 of log a has no answer"),
        (_group(0, "a"), {"question": None}, "a-0/0 of log a has no question"),
    ],
)
def test_broken_stores_are_told(
    tmp_path: Path, config: FinetuneConfig, processor: ChatProcessor, group: Row, question: Row, message: str
) -> None:
    store = _make(tmp_path, {"a": ([group], [_question(group, 0, **question)])})
    with pytest.raises(StoreError, match=message):
        read_index(store, config, processor)


@pytest.mark.parametrize(("damage", "why"), [("gone", "is missing"), ("cut", "is not a readable image")])
@pytest.mark.parametrize("workers", [0, 1])
def test_broken_images_name_file_and_group(
    tmp_path: Path, config: FinetuneConfig, processor: ChatProcessor, damage: str, why: str, workers: int
) -> None:
    """Also from a worker, whose errors torch wraps in a traceback."""
    group = _group(0, "a", path="0.jpg")
    store = _make(tmp_path, {"a": ([group], [_question(group, 0)])})
    path = tmp_path / "source" / "0.jpg"
    Image.effect_noise((168, 112), 80).convert("RGB").save(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1500])
    else:
        path.unlink()
    dataset = LessonDataset(store, read_index(store, config, processor), config)
    with pytest.raises(BrokenLessonError) as caught:
        list(DataLoader(dataset, batch_sampler=[[(Visit(0, 0),)]], collate_fn=list, num_workers=workers))
    message = str(caught.value)
    assert message.startswith("group a-0 cannot be shown: ")
    assert str(path) in message
    assert why in message
    assert "Traceback" not in message


def test_frames_are_marked_as_the_recipe_says(mixed: Store, config: FinetuneConfig, processor: ChatProcessor) -> None:
    """Drawn with marks, bare with boxes; the same with frames kept; other colours with other numbers."""
    index = read_index(mixed, config, processor)
    lesson = LessonDataset(mixed, index, config).lesson(0)
    drawn = marked_frames(mixed, lesson.group, config.image_size_px)[0].tobytes()
    bare = marked_frames(mixed, lesson.group, config.image_size_px, style="none")[0].tobytes()
    assert drawn != bare
    for kept in (False, True):
        for regions, expected in (("marks", drawn), ("boxes", bare)):
            chosen = replace(config, cache_images=kept, regions=regions)
            dataset = LessonDataset(mixed, index, chosen)
            assert [dataset.shown(0, visit).frames[0].tobytes() for visit in (0, 1)] == [expected] * 2
        chosen = replace(config, cache_images=kept, renumber_marks=True)
        dataset = LessonDataset(mixed, index, chosen)
        for visit in range(3):
            shown = dataset.shown(0, visit)
            again = marked_frames(mixed, shown.lesson.group, config.image_size_px)[0]
            assert shown.frames[0].tobytes() == again.tobytes()
            assert f"Region {shown.lesson.group['marks'][0]['mark']}," in shown.lesson.questions[0]["question"]
        assert len({dataset.shown(0, visit).frames[0].tobytes() for visit in range(4)}) > 1


def test_digest_is_of_what_is_learned(mixed: Store, config: FinetuneConfig, processor: ChatProcessor) -> None:
    index = read_index(mixed, config, processor)
    digest = data_digest(mixed, index, config)
    assert digest == data_digest(mixed, index, replace(config, seed=5, batch_size=3, tokens_per_row=4096))
    others = [replace(config, families=("ego",)), replace(config, regions="boxes"), replace(config, **VAL)]
    assert len({digest, *(data_digest(mixed, index, other) for other in others)}) == 4
    part = read_index(mixed, replace(config, kinds=("clip",)), processor)
    assert data_digest(mixed, part, config) != digest, "other logs"
    before = mixed.manifest()
    mixed.write_manifest("generate", {})
    assert before != mixed.manifest()
    assert data_digest(mixed, index, config) == digest, "the manifest knows the same files"


def test_sample_of_an_index(dataset: LessonDataset) -> None:
    index = dataset.index
    assert [len(index.sample(count, 0)) for count in (1, 4, 8, 11, 12, 99)] == [1, 1, 2, 2, 3, 3]
    assert len({tuple(index.sample(4, seed).group) for seed in range(9)}) == 3
    assert index.sample(8, 1).questions == 8


def test_long_epochs_leave_no_file_open_and_memory_flat(
    tmp_path: Path, config: FinetuneConfig, processor: ChatProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 questions of 40 logs in five passes; only the tables of a few logs may be kept in memory."""
    logs = {}
    for number in range(40):
        group = _group(0, f"log-{number}")
        logs[f"log-{number}"] = ([group], [_question(group, asked) for asked in range(50)])
    chosen = replace(config, tokens_per_row=4000)
    store = _make(tmp_path, logs)
    index = read_index(store, chosen, processor)
    monkeypatch.setattr(lesson_module, "TABLE_BYTES", 50_000)
    dataset = LessonDataset(store, index, chosen)
    plan = Plan.make(index, replace(chosen, gradient_accumulation=1, epochs=5))
    questions, handles, kept = 0, [], []
    for rows in DataLoader(dataset, batch_sampler=plan, collate_fn=list):
        questions += sum(len(shown.lesson.questions) for row in rows for shown in row)
        handles.append(len(list(Path("/proc/self/fd").iterdir())))
        kept.append(dataset._reader.kept_bytes())
    assert questions == 5 * index.questions == 10_000
    assert handles[-1] <= handles[1]
    assert max(handles) <= handles[1] + 1
    assert 0 < max(kept) <= 50_000


def test_what_a_worker_gets_is_small(dataset: LessonDataset, processor: ChatProcessor, config: FinetuneConfig) -> None:
    """No image and no table travels; what arrives works."""
    caching = LessonDataset(dataset.store, dataset.index, replace(config, cache_images=True))
    fresh = len(pickle.dumps(caching))
    caching.shown(0)
    assert len(pickle.dumps(caching)) == fresh < 10_000
    collator = pickle.loads(pickle.dumps(Collator.of(processor, config, 4096)))
    here, there = (
        Collator.of(processor, config, 4096)([dataset[(Visit(1, 0),)]]),
        collator([pickle.loads(pickle.dumps(caching))[(Visit(1, 0),)]]),
    )
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name], there[name]) for name in here)
