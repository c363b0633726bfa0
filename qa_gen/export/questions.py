"""Write the questions of a store in the format of another tool: `drive-vqa export STORE --to …`.

A log is the unit of work: logs are read, drawn and written one by one in any number of processes, then joined in log order.
So memory does not grow with the store, the bytes do not depend on the number of workers, and an export that was killed goes
on where it was when it is started again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.executor import Summary, map_logs, write_errors
from drive_vqa.store import Store
from drive_vqa.traces import Dialect
from qa_gen.export import hf, llamafactory, lmms_eval, messages, ms_swift, open_o3, stride_bench, vlmevalkit
from qa_gen.export.card import hub_fields, write_card
from qa_gen.export.counts import Counts, count_log, merge
from qa_gen.export.job import Job, LogJob, begin, end, plan
from qa_gen.export.records import Choose, LogQuestions, read_log
from qa_gen.export.trace_settings import NO_TRACES, TraceSettings, trace_settings

STEP = "export"
ERRORS = "errors-export.jsonl"
EVALUATION = ("val", "test", "bench")


@dataclass(frozen=True)
class Format:
    """How one format is written.

    Attributes:
        write_log: writes what one log adds.
        finish: joins what the finished logs have added; None where nothing is joined.
        load: how the result is loaded, as Markdown.
        choose: takes the questions that the format can hold; None: all.
        splits: that are exported where none are asked for; empty: all.
        traces: whether the assistant may say a reasoning trace.
        chains: dialect of the chains that the format is always made of; None: of short answers.
    """

    write_log: Callable[[LogJob, LogQuestions], None]
    finish: Callable[[Job, Sequence[LogJob]], None] | None
    load: str
    choose: Choose | None = None
    splits: tuple[str, ...] = ()
    traces: bool = False
    chains: Dialect | None = None


FORMATS: dict[str, Format] = {
    "messages": Format(messages.write_log, messages.finish, messages.LOAD, traces=True),
    "llamafactory": Format(llamafactory.write_log, llamafactory.finish, llamafactory.LOAD, traces=True),
    "ms-swift": Format(ms_swift.write_log, ms_swift.finish, ms_swift.LOAD),
    "vlmevalkit": Format(vlmevalkit.write_log, vlmevalkit.finish, vlmevalkit.LOAD, vlmevalkit.choose, EVALUATION),
    "lmms-eval": Format(lmms_eval.write_log, lmms_eval.finish, lmms_eval.LOAD, None, EVALUATION),
    "stride-bench": Format(
        stride_bench.write_log, stride_bench.finish, stride_bench.LOAD, stride_bench.choose, ("bench",)
    ),
    "open-o3": Format(open_o3.write_log, open_o3.finish, open_o3.LOAD, open_o3.choose, chains="open_o3"),
    "hf": Format(hf.write_log, None, hf.LOAD),
}
"""All formats by the name that `--to` takes."""


def export_questions(
    store: Store,
    to: str,
    out: Path,
    *,
    splits: Sequence[str] = (),
    workers: int | None = None,
    size_px: tuple[int, int] | None = None,
    traces: str = NO_TRACES,
    trace_dialect: str = "drive",
    trace_seed: int = 0,
) -> Summary:
    """Write the questions of a store in the format of another tool.

    Args:
        store: with questions (`drive-vqa generate`).
        to: a key of `FORMATS`.
        out: new or empty folder, or one where the same export was begun before.
        splits: to export; empty: what the format is for, see `Format.splits`.
        workers: processes; the result does not depend on it.
        size_px: (width, height) of the images; None: as they are. Boxes in answers and traces follow.
        traces: what the assistant says: none (the short answer), chain, corrected, direct or mixed, see `qa_gen.tracing.write`.
        trace_dialect: how traces are written down, see `drive_vqa.traces`.
        trace_seed: chooses the styles of mixed traces, and what goes wrong in corrected ones.

    Returns:
        What became of each log; failures are also in `errors-export.jsonl`. The export ends without the failed logs; a
        later call tries them again.

    Raises:
        ConfigError: no such format, or a split, size or trace that cannot be, or a format that takes no traces.
        StoreError: there are no such questions, or `out` holds something else.
    """
    if to not in FORMATS:
        raise ConfigError(f"there is no format {to!r} of questions; formats are {', '.join(FORMATS)}")
    settings = _trace_settings(store, to, traces, trace_dialect, trace_seed)
    job, logs = plan(store, to, out, splits, FORMATS[to].splits, size_px, settings)
    if not begin(job):
        return Summary(done=(), skipped=tuple(log.log_id for log in logs))
    summary = map_logs(_export_log, logs, step=STEP, workers=workers)
    write_errors(out / ERRORS, summary)
    _finish(job, [log for log in logs if log.is_done], complete=not summary.failures)
    return summary


def _trace_settings(store: Store, to: str, traces: str, dialect: str, seed: int) -> TraceSettings | None:
    always = FORMATS[to].chains
    if traces == NO_TRACES:
        return None if always is None else trace_settings(store, "chain", always, 0)
    if always is not None:
        raise ConfigError(f"--traces {traces}: {to} is always made of chains, leave the option out")
    if not FORMATS[to].traces:
        able = ", ".join(name for name, form in FORMATS.items() if form.traces)
        raise ConfigError(f"--traces {traces}: {to} takes no traces; formats that do are {able}")
    return trace_settings(store, traces, dialect, seed)


def _export_log(log: LogJob) -> bool:
    """Whether there was something to do."""
    if log.is_done:
        return False
    shutil.rmtree(log.parts, ignore_errors=True)
    log.parts.mkdir(parents=True)
    form = FORMATS[log.job.to]
    questions = read_log(log, form.choose)
    form.write_log(log, questions)
    log.mark_done(count_log(log, questions))
    return True


def _finish(job: Job, logs: Sequence[LogJob], *, complete: bool) -> None:
    """Join what the finished logs have added."""
    if not logs:
        return
    form, counts = FORMATS[job.to], merge(log.counts() for log in logs)
    if not counts.questions:
        raise StoreError(
            f"{job.store.root} has no question of {', '.join(job.splits)} that {job.to} can hold (are there images?): choose "
            "another split or format"
        )
    splits = [split for split in job.splits if (split,) in counts.by("split")]
    if form.finish is not None:
        form.finish(job, logs)
    fields = {**hub_fields(counts), **hf.front_matter(splits)} if job.to == "hf" else None
    write_card(job.out / "README.md", counts, form.load, fields, job.traces)
    if complete:
        end(job, _numbers(counts))


def _numbers(counts: Counts) -> dict[str, object]:
    """What `export.json` keeps of the counts."""
    by_split = {split: count for (split,), count in sorted(counts.by("split").items())}
    by_type = {kind: count for (kind,), count in sorted(counts.by("type").items())}
    return {"questions": by_split, "groups": counts.groups.total(), "types": by_type}
