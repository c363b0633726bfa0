"""lmms-eval: a task folder, to be given by `--include_path OUT --tasks drive_vqa`.

    OUT/drive_vqa_<split>.yaml      the task of a split, all with the tag drive_vqa
    OUT/utils.py                    ours: images, prompt, target, score (`lmms_eval_utils`)
    OUT/data/<split>.parquet        one question a row, images by name
    OUT/images/<group_id>/          the images, once a group

See https://github.com/EvolvingLMMs-Lab/lmms-eval/blob/main/docs/guides/task_guide.md. Data files are named relative to the
YAML file, which lmms-eval resolves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa._version import __version__
from drive_vqa.prompt import build_messages
from drive_vqa.schema import TRUTH
from drive_vqa.store import replacing
from qa_gen.export.chat import captions_and_text, text_after_images
from qa_gen.export.images import draw_images
from qa_gen.export.job import Job, LogJob
from qa_gen.export.records import BATCH_ROWS, LogQuestions

TAG = "drive_vqa"
NAMES = ("qa_id", "group_id", "family", "type", "form", "answer_type", "question", "options", "answer", "truth")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in NAMES[:7]),
        ("options", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("truth", TRUTH),
        ("images", pa.list_(pa.string())),  # relative to the task folder
        ("captions", pa.list_(pa.string())),  # of the images
        ("text", pa.string()),  # after images with captions
        ("prompt", pa.string()),  # after images without
    ]
)
UTILS = Path(__file__).with_name("lmms_eval_utils.py")

LOAD = """
```
lmms-eval --include_path THIS_FOLDER --tasks drive_vqa_test --model …
```

`--tasks drive_vqa` runs all splits. How answers are judged stands at the top of `utils.py`.
"""


def write_log(log: LogJob, questions: LogQuestions) -> None:
    """Write the images and rows of one log."""
    images = {name: draw_images(log, group, log.job.out) for name, group in questions.groups.items()}
    for split in log.splits:
        with pq.ParquetWriter(log.parts / f"{split}.parquet", SCHEMA, compression="zstd") as writer:
            for batch in _batches(questions, split, images):
                writer.write_batch(batch)


def finish(job: Job, logs: Sequence[LogJob]) -> None:
    """Join the rows of all logs, and write the tasks and their functions."""
    (job.out / "data").mkdir(parents=True, exist_ok=True)
    for split in job.splits:
        families = _join(logs, split, job.out / "data" / f"{split}.parquet")
        _write_text(job.out / f"{TAG}_{split}.yaml", task_yaml(split, sorted(families)))
    _write_text(job.out / "utils.py", UTILS.read_text(encoding="utf-8"))


def task_yaml(split: str, families: Sequence[str]) -> str:
    """The task of a split.

    Args:
        split: its name.
        families: of its questions: each has a metric of its own.
    """
    import yaml

    metrics = ["accuracy", *(f"accuracy_{family}" for family in families)]
    task = {
        "task": f"{TAG}_{split}",
        "tag": [TAG],
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": {split: f"data/{split}.parquet"}},
        "test_split": split,
        "output_type": "generate_until",
        **{name: _function(name) for name in ("doc_to_visual", "doc_to_text", "doc_to_messages", "doc_to_target")},
        "process_results": _function("process_results"),
        "generation_kwargs": {"max_new_tokens": 64, "temperature": 0, "do_sample": False},
        "metric_list": [
            {"metric": metric, "aggregation": _function("aggregate"), "higher_is_better": True} for metric in metrics
        ],
        "lmms_eval_specific_kwargs": {"default": {"pre_prompt": "", "post_prompt": ""}},
        "metadata": [{"version": __version__}],
    }

    class Dumper(yaml.SafeDumper):
        """Writes functions as lmms-eval's `!function`."""

        def ignore_aliases(self, _data: Any) -> bool:
            """Anchors would hide that a value is written twice."""
            return True

    Dumper.add_representer(_Function, lambda dumper, function: dumper.represent_scalar("!function", function.name))
    return yaml.dump(task, Dumper=Dumper, sort_keys=False)


class _Function:
    """A function of `utils.py`, as YAML names it."""

    def __init__(self, name: str) -> None:
        self.name = f"utils.{name}"


def _function(name: str) -> _Function:
    return _Function(name)


def _batches(questions: LogQuestions, split: str, images: Mapping[str, Sequence[str]]) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    for group, question in questions.rows(split, also=("truth",)):
        captions, text = captions_and_text(build_messages(group, question)[0]["content"])
        shown = {"images": images[group["group_id"]], "captions": captions, "text": text}
        rows.append({**{name: question[name] for name in NAMES}, **shown, "prompt": text_after_images(group, question)})
        if len(rows) == BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, SCHEMA)
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, SCHEMA)


def _join(logs: Sequence[LogJob], split: str, path: Path) -> set[str]:
    """Join the rows of a split; the families that it has."""
    families: set[str] = set()
    with replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for piece in (log.parts / f"{split}.parquet" for log in logs if split in log.splits):
            for batch in pq.ParquetFile(piece).iter_batches(batch_size=BATCH_ROWS * 16):
                families.update(batch.column("family").unique().to_pylist())
                writer.write_batch(batch)
    return families


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
