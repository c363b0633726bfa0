"""Try the parser of traces with hostile texts: `python -m eval.reasoning.fuzz [--count N] [--seed S]`.

Each text (see `eval.reasoning.hostile`) is read in every dialect, floods first. Printed are how many had no faults, how often
each fault was found, and the slowest in processor time. An exception or a claim that cannot be ends the run, and names its text.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from random import Random

from drive_vqa.traces import DIALECTS, Dialect
from eval.reasoning.claims import MAX_CLAIMS
from eval.reasoning.hostile import floods, make_text
from eval.reasoning.read import MAX_CHARACTERS, read_trace
from eval.reasoning.trace import PlaceClaim, PointClaim, ReadTrace, SeenClaim

_FIRST_S = -1.5
_SHOWN_CHARACTERS = 60
_NOTED_CHARACTERS = 1000


@dataclass
class Fuzzed:
    """What a run found.

    Attributes:
        reads: texts times dialects.
        well_formed: of them, without faults.
        faults: how often each was found.
        slowest_s: processor time.
        slowest: dialect, length and beginning of that text.
    """

    reads: int = 0
    well_formed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""

    def add(self, text: str, dialect: Dialect) -> None:
        """Read a text and count.

        Raises:
            ValueError: a claim that cannot be.
        """
        started = time.process_time()
        trace = read_trace(text, dialect, first_s=_FIRST_S)
        took_s = time.process_time() - started
        if took_s > self.slowest_s:
            shown = text[:_SHOWN_CHARACTERS]
            self.slowest_s, self.slowest = took_s, f"{dialect}, {len(text):,} characters, {shown!r}"
        check(trace)
        self.reads += 1
        self.well_formed += trace.well_formed
        self.faults.update(trace.faults)


def check(trace: ReadTrace) -> None:
    """What holds for every text.

    Raises:
        ValueError: it does not hold.
    """
    claims: list[SeenClaim | PointClaim | PlaceClaim] = [*trace.seen, *trace.points, *trace.places]
    if not all(math.isfinite(number) for claim in claims for number in _numbers(claim)):
        raise ValueError("a claim has a number that is not finite")
    if not all(0 <= claim.step < len(trace.steps) for claim in claims):
        raise ValueError("a claim is of no step")
    if len(claims) > MAX_CLAIMS or sum(map(len, trace.steps)) > MAX_CHARACTERS:
        raise ValueError("more was read than the limits allow")
    if not all(map(str.strip, trace.steps)) or trace.answer == "" or (trace.well_formed and trace.answer is None):
        raise ValueError("a step or the answer says nothing")


def _numbers(claim: SeenClaim | PointClaim | PlaceClaim) -> list[float]:
    told = [] if claim.offset_s is None else [claim.offset_s]
    if isinstance(claim, SeenClaim):
        return [*told, *claim.box_px]
    if isinstance(claim, PointClaim):
        return [*told, claim.u_px, claim.v_px]
    return [*told, claim.distance_m, claim.bearing_deg]


def fuzz(texts: Iterable[str]) -> Fuzzed:
    """Read texts in every dialect."""
    found = Fuzzed()
    for text in texts:
        for dialect in DIALECTS:
            try:
                found.add(text, dialect)
            except Exception as error:
                error.add_note(f"read as {dialect}: {text[:_NOTED_CHARACTERS]!r}")
                raise
    return found


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(prog="python -m eval.reasoning.fuzz", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="of texts besides the floods")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random = Random(arguments.seed)  # noqa: S311
    found = fuzz(chain(floods(), (make_text(random) for _ in range(arguments.count))))
    lines = [f"{found.reads:,} reads, none raised; {found.well_formed:,} without faults"]
    lines += [f"{count:>12,} {fault}" for fault, count in found.faults.most_common()]
    lines += [f"slowest {1000 * found.slowest_s:.1f} ms: {found.slowest}"]
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
