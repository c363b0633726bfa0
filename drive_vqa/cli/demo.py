"""The whole path from nothing, in one call: what a newcomer runs first.

Each step is the ordinary command's function with ordinary settings; only the sizes are small. A second call does what is
missing and nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drive_vqa.cli.whole_store import make_store
from drive_vqa.store import Store
from drive_vqa.tracking import default_uri

logger = logging.getLogger(__name__)

STEPS = 6
SCENE_S = 12.0
BATCH_SIZE = 64
QUESTIONS: dict[str, Any] = {
    "families": ("object", "ego", "future"),
    "kinds": ("single", "sequence"),
    "keyframe_step_s": 1.0,
    "max_marks": 4,
    "max_pairs": 2,
    "max_triples": 1,
    "test_fraction": 0.2,
}
"""What a tiny model can be asked in minutes. Of eight drives two are kept for the test, so that intervals are over drives."""
UNSEEN: dict[str, Any] = {"town": "oldtown", "first_scene": 7000}
"""The tiny model comes from drives through the other towns."""
SHORT = ("max_steps=200",)
"""The recipe in a few minutes; only what it is about is asked."""


def demo(out: Path, *, scenes: int, seed: int, workers: int | None) -> int:
    """Synthesize, ingest, fuse, generate, train, predict, score and report.

    Args:
        out: folder for everything that is made.
        scenes: synthetic drives of 12 s.
        seed: of the world.
        workers: processes; default: the number of cores.
    """
    store = _make_store(out, scenes, seed, workers)
    _train_and_score(store, out)
    _say_where(out)
    return 0


def _make_store(out: Path, scenes: int, seed: int, workers: int | None) -> Store:
    from sensors.synth.synthesize import synthesize

    out.mkdir(parents=True, exist_ok=True)
    with _step(1, f"{scenes} synthetic drives"):
        synthesize(out / "drives", scenes=scenes, seed=seed, duration_s=SCENE_S, workers=workers, **UNSEEN)
    with _step(2, "logs → tracks → questions"):
        return make_store(out / "drives", "nuscenes", out / "store", QUESTIONS, workers)


def _train_and_score(store: Store, out: Path) -> None:
    from drive_vqa.vlm import RUN_FILE
    from eval.evaluate import evaluate
    from eval.predict import predict, vlm_answerer
    from eval.report import write_report
    from finetune.config import load_recipe
    from finetune.sft import finetune

    tracking_uri = default_uri(out)
    run, predictions = out / "run", out / "predictions.parquet"
    recipe = load_recipe("tiny", SHORT)
    with _step(3, "training of a tiny VLM"):
        if not (run / RUN_FILE).is_file():
            finetune(store, recipe, model="tiny", out=run, resume=True, tracking_uri=tracking_uri)
    with _step(4, "answers on held-out drives"):
        if not predictions.is_file():
            asked = vlm_answerer("tiny", run)
            named: dict[str, Any] = {"model_name": asked.name, "types": recipe.types}
            predict(store, "test", asked.answer, predictions, batch_size=BATCH_SIZE, **named)
    with _step(5, "scores"):
        headline = evaluate(store, predictions, out / "evaluation", tracking_uri=tracking_uri)
    with _step(6, "report"):
        write_report(out / "evaluation", out / "report.html")
    logger.info("\n%s", headline)


@contextmanager
def _step(number: int, title: str) -> Iterator[None]:
    logger.info("[%d/%d] %s", number, STEPS, title)
    started = time.monotonic()
    yield
    logger.info("      %.0f s", time.monotonic() - started)


def _say_where(out: Path) -> None:
    logger.info("\nreport:  %s", (out / "report.html").resolve())
    logger.info("MLflow:  mlflow ui --backend-store-uri %s", default_uri(out))
