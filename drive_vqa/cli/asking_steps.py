"""What the commands do that ask a model."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from drive_vqa.errors import ConfigError
from drive_vqa.region_forms import RegionForm
from drive_vqa.store import Store

if TYPE_CHECKING:
    from eval.predict import Answering, Selection
    from eval.predict.shown import Control

logger = logging.getLogger(__name__)

SERVER_ONLY = ("served_name", "checkpoint", "units", "size", "concurrency", "max_tokens", "price_in", "price_out")
LOADED_ONLY = ("adapter", "device")


class _Asked(NamedTuple):
    """Who answers, what it is called, how it wants regions named, and what else its answers depend on."""

    answering: Answering
    name: str
    regions: RegionForm
    settings: dict[str, Any]


def selection(arguments: argparse.Namespace, split: str, regions: RegionForm = "marks") -> Selection:
    """The questions that the command line names."""
    from eval.predict import Selection

    chosen = {name: getattr(arguments, name) for name in ("families", "types", "forms", "kinds", "limit")}
    return Selection(split, regions=regions, **chosen)


def _predict(arguments: argparse.Namespace) -> int:
    if arguments.samples > 1 and arguments.temperature is None:
        raise ConfigError("--samples needs --temperature: without it all answers to a question are the same")
    from eval.controls.asking import asked_under, can_ask
    from eval.controls.by_name import control_of
    from eval.predict import ask_questions
    from qa_gen.rewording import reword

    store = Store.open(arguments.store)
    control = control_of(arguments.control, seed=arguments.seed, reword=reword)
    asked = (_served if "://" in arguments.model else _loaded)(arguments, control)
    outcome = ask_questions(
        store,
        selection(arguments, arguments.split, asked.regions),
        asked_under(control, asked.answering),
        arguments.out,
        model_name=asked.name,
        settings=asked.settings,
        samples=arguments.samples,
        prices=_prices(arguments),
        can_ask=partial(can_ask, control),
    )
    logger.info("%s\npredictions: %s", outcome.sentence(), outcome.path)
    return outcome.exit_status


def _loaded(arguments: argparse.Namespace, control: Control) -> _Asked:
    """A model that is loaded here: with looks, if the adapter was tuned to take some."""
    _refuse(arguments, SERVER_ONLY, "goes with a server as --model only")
    from drive_vqa.vlm import Sampling
    from eval.predict import in_batches, vlm_answerer
    from finetune.zoom.answerer import open_zoom_answerer, tuned_zoom

    drawn = None if arguments.temperature is None else Sampling(arguments.temperature, seed=arguments.seed)
    named = {"device": arguments.device, "control": control, "sampling": drawn}
    looks = None if arguments.adapter is None else tuned_zoom(arguments.adapter)
    if looks is None:
        asked = vlm_answerer(arguments.model, arguments.adapter, **named)
    else:
        asked = open_zoom_answerer(arguments.model, arguments.adapter, looks, **named)
    settings = {"weights": _weights(arguments), "seed": arguments.seed, "control": control.name}
    if drawn is not None:
        settings |= {"temperature": arguments.temperature, "batch_size": arguments.batch_size}
    return _Asked(in_batches(asked.answer, arguments.batch_size), asked.name, asked.regions, settings)


def _weights(arguments: argparse.Namespace) -> str:
    """Which ones answer, so that no answers of others are mixed with theirs."""
    from drive_vqa.vlm import model_folder
    from drive_vqa.weights_digest import weights_digest

    run = arguments.adapter
    if run is None:
        return weights_digest(model_folder(arguments.model))
    return weights_digest(run / ("adapter" if (run / "adapter").is_dir() else "model"))


def _served(arguments: argparse.Namespace, control: Control) -> _Asked:
    """A model on a server."""
    _refuse(arguments, LOADED_ONLY, "goes with a model that is loaded here, not with a server")
    from eval.predict.endpoint import CONCURRENCY, ask_served, open_served

    served = open_served(
        arguments.model,
        served_name=arguments.served_name,
        checkpoint=arguments.checkpoint,
        unit=arguments.units,
        size_px=arguments.size,
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
        seed=arguments.seed,
    )
    answering = ask_served(served, concurrency=arguments.concurrency or CONCURRENCY, control=control)
    settings = {**served.settings, "control": control.name}
    return _Asked(answering, control.model_name(Path(served.model).name), served.regions, settings)


def _prices(arguments: argparse.Namespace) -> Any:
    """What a server takes; None where that is not told."""
    if arguments.price_in is None and arguments.price_out is None:
        return None
    from eval.predict.outcome import Prices

    return Prices(arguments.price_in or 0.0, arguments.price_out or 0.0)


def _refuse(arguments: argparse.Namespace, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(arguments, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} {why}")


def _search(arguments: argparse.Namespace) -> int:
    from finetune.search.run import Harvest, search
    from finetune.search.teachers import open_teacher
    from finetune.search.tree import SearchSettings

    store = Store.open(arguments.store)
    settings = SearchSettings(
        simulations=arguments.per_question,
        children=arguments.children,
        depth=arguments.depth,
        calls=arguments.calls,
        seed=arguments.seed,
    )
    summary = search(
        store,
        arguments.split,
        open_teacher(
            arguments.teacher,
            served_name=arguments.served_name,
            unit=arguments.units,
            size_px=arguments.size,
            adapter=arguments.adapter,
            device=arguments.device,
            temperature=arguments.temperature,
        ),
        arguments.out,
        settings=settings,
        harvest=Harvest(arguments.chains, arguments.only_verified),
        limit=arguments.limit,
        workers=arguments.workers or 1,
    )
    logger.info(
        "search: %d searched, %d done before, %d failed; %s has %d chains of %d questions",
        *(summary.searched, summary.skipped, len(summary.failed), arguments.out, summary.chains, summary.solved),
    )
    if summary.refused:
        reasons = ", ".join(f"{why} {count}" for why, count in sorted(summary.refused.items()))
        logger.info("proposals that were neither a step nor an answer: %s", reasons)
    return summary.exit_status


def _confidence(arguments: argparse.Namespace) -> int:
    from eval.predict import open_vlm
    from eval.voting.confidence import ask_confidence, vlm_doubter

    store = Store.open(arguments.store)
    vlm, _ = open_vlm(arguments.model, arguments.adapter, arguments.device)
    out = ask_confidence(
        store,
        arguments.predictions,
        vlm_doubter(vlm),
        arguments.out,
        dialect=arguments.traces,
        batch_size=arguments.batch_size,
    )
    logger.info("confidences: %s", out)
    return 0


def _vote(arguments: argparse.Namespace) -> int:
    from eval.voting.run import vote_predictions

    compared = vote_predictions(
        Store.open(arguments.store),
        arguments.predictions,
        arguments.out,
        count=arguments.samples,
        confidence=arguments.confidence,
    )
    for name, told in compared["methods"].items():
        accuracy, requests = 100 * told["accuracy"]["value"], told["requests"]
        logger.info("%s: accuracy %.1f %% with %.1f requests a question", name, accuracy, requests)
    if short := compared["questions_with_fewer_samples"]:
        logger.warning("%d of %d questions have fewer than %d samples", short, compared["questions"], arguments.samples)
    logger.info("voted: %s, compared: %s", arguments.out, arguments.out.with_suffix(".json"))
    return 0


ASKING: dict[str, Callable[[argparse.Namespace], int]] = {
    "predict": _predict,
    "search": _search,
    "confidence": _confidence,
    "vote": _vote,
}
