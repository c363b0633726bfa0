"""What each command does: resolve its settings, call the part, turn the outcome into an exit status."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from drive_vqa.cli.arguments import TRACK_EXPORTS
from drive_vqa.cli.asking_steps import ASKING
from drive_vqa.cli.judging_steps import JUDGING
from drive_vqa.errors import ConfigError, DriveVqaError, StoreError
from drive_vqa.executor import Summary
from drive_vqa.store import Store

logger = logging.getLogger(__name__)

RECIPES = {"tiny": "tiny", "scratch": "tiny_base"}
"""What models are usually tuned by; others by `stride`."""


SCENES = 4
"""That are made up unless a number is given."""


def exit_status(error: DriveVqaError) -> int:
    """2 for wrong use, 1 for what went wrong in the data."""
    return 2 if isinstance(error, ConfigError) else 1


def _synth(arguments: argparse.Namespace) -> int:
    from sensors.synth.synthesize import synthesize

    named = {
        "scenes": arguments.scenes,
        "town": arguments.town,
        "duration_s": arguments.duration,
        "rig": arguments.rig,
        "first_scene": arguments.first,
        "camera_height_m": arguments.camera_height and tuple(arguments.camera_height),
        "weather_shares": arguments.weather,
    }
    given = {name: value for name, value in named.items() if value is not None}
    if arguments.replay is not None:
        if given:
            raise ConfigError(
                "--scenes, --town, --duration, --rig, --first, --camera-height and --weather are of made-up traffic, not for "
                f"--replay, which draws a log as it is; given: {', '.join(given)}"
            )
        return _replay(arguments)
    if arguments.calibration is not None:
        raise ConfigError("--calibration goes with --replay only")
    synthesize(arguments.out, seed=arguments.seed, workers=arguments.workers, **{"scenes": SCENES, **given})
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    from sensors.reader import list_logs, read_log
    from sensors.synth.replay import replay

    logs = list_logs(arguments.replay, arguments.format)
    replay(
        arguments.out,
        logs,
        read_log=read_log,
        calibration=arguments.calibration,
        seed=arguments.seed,
        workers=arguments.workers,
    )
    return 0


def _ingest(arguments: argparse.Namespace) -> int:
    from sensors.ingest import ingest

    summary = ingest(
        arguments.source,
        arguments.format,
        arguments.out,
        version=arguments.version,
        rate_hz=arguments.rate_hz,
        workers=arguments.workers,
    )
    return _report("ingest", summary, arguments.out)


def _fuse(arguments: argparse.Namespace) -> int:
    from drive_vqa.config import load_config
    from sensors.fuse import FuseConfig, fuse

    store = Store.open(arguments.store)
    config = load_config(FuseConfig, arguments.config, [*arguments.overrides, f"source={arguments.source}"])
    if not arguments.max_range > 0:
        raise ConfigError(f"--max-range must be above 0, is {arguments.max_range}")
    summary = fuse(store, config, detections=arguments.detections, workers=arguments.workers)
    status = _report("fuse", summary, arguments.store)
    if arguments.evaluate:
        _judge(store, arguments, [*summary.done, *summary.skipped])
    return status


def _judge(store: Store, arguments: argparse.Namespace, log_ids: list[str]) -> None:
    from sensors.quality.write import write_quality

    page = write_quality(
        store,
        store.root / "quality",
        log_ids=log_ids,
        max_range_m=arguments.max_range,
        devkit=arguments.devkit,
        settings={"source": arguments.source},
        tracking_uri=arguments.tracking_uri,
    )
    logger.info("quality: %s", page)


def _export(arguments: argparse.Namespace) -> int:
    traces = _trace_options(arguments)
    store = Store.open(arguments.store)
    if arguments.to in TRACK_EXPORTS:
        _export_tracks(store, arguments)
        return 0
    from qa_gen.export import export_questions

    splits = tuple(arguments.split.split(",")) if arguments.split else ()
    summary = export_questions(
        store, arguments.to, arguments.out, splits=splits, workers=arguments.workers, size_px=arguments.size, **traces
    )
    logger.info("%s: %s", arguments.to, arguments.out)
    return _report("export", summary, arguments.out)


def _trace_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Those that were given."""
    named = {"trace_dialect": arguments.trace_dialect, "trace_seed": arguments.trace_seed}
    given = {name: value for name, value in named.items() if value is not None}
    if arguments.traces == "none":
        if given:
            raise ConfigError(f"--{next(iter(given)).replace('_', '-')} goes with --traces only")
        return {}
    if arguments.to in TRACK_EXPORTS:
        raise ConfigError(f"--traces {arguments.traces}: {arguments.to} holds tracks, not questions")
    return {"traces": arguments.traces, **given}


def _export_tracks(store: Store, arguments: argparse.Namespace) -> None:
    from sensors.export.kitti_tracking import export_kitti_tracking
    from sensors.export.nuscenes_tracking import export_nuscenes_tracking

    writers = {"kitti-tracking": export_kitti_tracking, "nuscenes-tracking": export_nuscenes_tracking}
    writers[arguments.to](store, arguments.out)
    logger.info("%s: %s", arguments.to, arguments.out)


def _view(arguments: argparse.Namespace) -> int:
    from sensors.view.film import write_birds_eye

    store = Store.open(arguments.store)
    tracked = store.log_ids("tracks")
    if not tracked:
        raise StoreError(f"{store.root} has no tracks yet: run `drive-vqa fuse {store.root}`")
    log_id = arguments.log or tracked[0]
    out = arguments.out or Path(f"{log_id}.gif")
    if out.suffix.lower() == ".rrd":
        from sensors.view.recording import write_recording

        write_recording(store, log_id, out)
    else:
        write_birds_eye(store, log_id, out)
    logger.info("view: %s", out)
    return 0


def _generate(arguments: argparse.Namespace) -> int:
    from drive_vqa.config import load_config
    from qa_gen.catalogue import list_types
    from qa_gen.config import GenerateConfig
    from qa_gen.counts import counts_sentence
    from qa_gen.generate import generate

    overrides = list(arguments.overrides)
    for name in ("families", "forms"):
        if getattr(arguments, name):
            overrides.append(f"{name}=[{getattr(arguments, name)}]")
    config = load_config(GenerateConfig, arguments.config, overrides)
    if arguments.list:
        print(list_types(config.families))
        return 0
    if arguments.store is None:
        raise ConfigError("generate needs a STORE (or --list)")
    store = Store.open(arguments.store)
    options = {"workers": arguments.workers, "executor": arguments.executor, "address": arguments.address}
    status = _report("generate", generate(store, config, **options), arguments.store)
    logger.info("%s", counts_sentence(store))
    if arguments.preview:
        _preview(store, arguments.preview)
    return status


def _preview(store: Store, per_type: int) -> None:
    from qa_gen.preview import write_preview
    from qa_gen.preview.tracing import tracer

    page = write_preview(store, store.root / "preview.html", per_type=per_type, tracer=tracer)
    logger.info("preview: %s", page)


def _finetune(arguments: argparse.Namespace) -> int:
    from finetune.config import load_recipe
    from finetune.sweep import parse_axes

    recipe = arguments.recipe or _usual_recipe(arguments, RECIPES.get(arguments.model, "stride"))
    axes = parse_axes(arguments.sweep or [])
    if axes:
        return _sweep(arguments, recipe, axes)
    _train(arguments, load_recipe(recipe, arguments.overrides), arguments.out, resume=arguments.resume)
    return 0


def _usual_recipe(arguments: argparse.Namespace, usual: str) -> str:
    """What a run that is resumed was made with; else the usual one."""
    made_with = arguments.out / "config.yaml"
    return str(made_with) if arguments.resume and made_with.is_file() else usual


def _sweep(arguments: argparse.Namespace, recipe: str, axes: Any) -> int:
    from finetune.sweep import sweep

    result = sweep(
        recipe,
        arguments.overrides,
        axes,
        out=arguments.out,
        train=lambda config, out, resume: _train(arguments, config, out, resume=resume),
        resume=arguments.resume,
        tracking_uri=arguments.tracking_uri,
    )
    logger.info("best: %s, all: %s", result.best, arguments.out / "sweep.csv")
    return 1 if result.failed else 0


def _train(arguments: argparse.Namespace, config: Any, out: Path, *, resume: bool) -> Mapping[str, float]:
    """One run; its last losses."""
    from finetune.sft import finetune

    store = Store.open(arguments.store)
    trained = finetune(
        store,
        config,
        model=arguments.model,
        out=out,
        resume=resume,
        device=arguments.device,
        tracking_uri=None if arguments.sweep else arguments.tracking_uri,
        answers=_answers(store, config),
    )
    logger.info("trained: %s", trained.weights)
    return trained.metrics


def _answers(store: Store, config: Any) -> Any:
    """Who writes what is learned to say, where that is more than the plain answer."""
    if config.answers == "plain":
        return None
    if config.answers == "records":
        from finetune.search.recorded import RecordedAnswers

        return RecordedAnswers(Path(config.records), config.dialect, config.seed)
    from qa_gen.export.trace_settings import trace_settings
    from qa_gen.tracing.answers import TraceAnswers

    return TraceAnswers(trace_settings(store, config.answers, config.dialect, config.seed))


def _refine(arguments: argparse.Namespace) -> int:
    from finetune.refine.config import load_recipe
    from finetune.refine.run import refine

    recipe = arguments.recipe or _usual_recipe(arguments, "drive")
    refined = refine(
        Store.open(arguments.store),
        load_recipe(recipe, arguments.overrides),
        adapter=arguments.adapter,
        out=arguments.out,
        resume=arguments.resume,
        device=arguments.device,
        tracking_uri=arguments.tracking_uri,
    )
    logger.info("refined: %s", refined.adapter)
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from finetune.merge import merge

    merged = merge(arguments.run, arguments.out, base=arguments.model, dtype=arguments.dtype, device=arguments.device)
    logger.info("merged: %s", merged)
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from drive_vqa.cli.demo import demo

    return demo(arguments.out, scenes=arguments.scenes, seed=arguments.seed, workers=arguments.workers)


def _bench(arguments: argparse.Namespace) -> int:
    from drive_vqa.cli.bench import bench

    return bench(arguments.out, scenes=arguments.scenes, real=arguments.real, workers=arguments.workers)


def _experiment(arguments: argparse.Namespace) -> int:
    from drive_vqa.cli.experiment import Places, experiment, listed, write_page

    places = Places(arguments.bench, arguments.out, arguments.real)
    if arguments.list:
        print(listed(places, arguments.rows, arguments.seeds))
        return 0
    is_run = arguments.rows or arguments.results is None
    status = experiment(places, arguments.rows, arguments.seeds) if is_run else 0
    if arguments.results is not None:
        write_page(places, arguments.results)
    return status


def _doctor(arguments: argparse.Namespace) -> int:
    from drive_vqa.cli.doctor import examine, show

    checks = examine()
    print(show(checks, as_json=arguments.json))
    return 0 if all(check.works or not check.needed for check in checks) else 1


def _report(step: str, summary: Summary, out: Path) -> int:
    """Say what became of the logs."""
    counts = f"{len(summary.done)} done, {len(summary.skipped)} up to date, {len(summary.failures)} failed"
    logger.info("%s: %s", step, counts)
    if summary.failures:
        logger.info("what failed is in %s", out / f"errors-{step}.jsonl")
    return summary.exit_status


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "synth": _synth,
    "ingest": _ingest,
    "fuse": _fuse,
    "generate": _generate,
    "export": _export,
    "view": _view,
    "finetune": _finetune,
    "refine": _refine,
    "merge": _merge,
    **ASKING,
    **JUDGING,
    "bench": _bench,
    "experiment": _experiment,
    "demo": _demo,
    "doctor": _doctor,
}
