"""Two ways to ask many questions: a batch after the other, for a model that is loaded, and side by side, for one on a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import groupby, islice

from drive_vqa.errors import ModelError
from eval.predict.asked import Answer, Answering, PromptedQuestion, Unanswered

Told = tuple[PromptedQuestion, Answer | Unanswered]

LISTEN_S = 0.5
"""Longest wait for answers before looking up: an interrupt that comes just as a wait begins is heard only when it ends."""


def in_batches(answer: Callable[[list[PromptedQuestion]], Sequence[Answer | Unanswered]], batch_size: int) -> Answering:
    """Who answers a batch as who answers questions as they come; the time of a batch is shared out evenly.

    Args:
        answer: gives one answer to each question, in order; else ModelError is raised.
        batch_size: questions in a batch at most. A group that fits into one is not divided: its frames are read once.
    """

    def answering(questions: Iterable[PromptedQuestion]) -> Generator[Told, None, None]:
        for batch in _batches(questions, batch_size):
            started_s = time.perf_counter()
            answers = answer(batch)
            latency_s = (time.perf_counter() - started_s) / len(batch)
            if len(answers) != len(batch):
                raise ModelError(
                    f"the model gave {len(answers)} answers to {len(batch)} questions: one is needed for each"
                )
            for asked, said in zip(batch, answers, strict=True):
                yield asked, said if isinstance(said, Unanswered) else replace(said, latency_s=latency_s)

    return answering


def _batches(questions: Iterable[PromptedQuestion], size: int) -> Iterator[list[PromptedQuestion]]:
    """Whole groups where they fit, in order."""
    batch: list[PromptedQuestion] = []
    for _, group in groupby(
        questions, lambda asked: (asked.store.root, asked.group["log_id"], asked.group["group_id"])
    ):
        while part := list(islice(group, size)):
            if len(batch) + len(part) > size:
                yield batch
                batch = []
            batch += part
    if batch:
        yield batch


def side_by_side(
    ask: Callable[[PromptedQuestion], Answer | Unanswered], concurrency: int, give_up: Callable[[], None]
) -> Answering:
    """Who answers one question as who answers several at a time; answers come in the order in which they are ready.

    Args:
        ask: answers a question, in a thread of its own; what it raises ends asking.
        concurrency: questions at a time; twice as many are taken in advance.
        give_up: makes all that `ask` still waits for end at once, for when asking is broken off.
    """

    def answering(questions: Iterable[PromptedQuestion]) -> Generator[Told, None, None]:
        questions, running = iter(questions), dict[Future[Answer | Unanswered], PromptedQuestion]()
        with ThreadPoolExecutor(concurrency, "ask") as pool:
            try:
                while True:
                    for asked in islice(questions, 2 * concurrency - len(running)):
                        running[pool.submit(ask, asked)] = asked
                    if not running:
                        return
                    for future in wait(running, LISTEN_S, FIRST_COMPLETED).done:
                        yield running.pop(future), future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                give_up()
                raise

    return answering
