"""Rates of dangerous mistakes (eval.safety), over the answers that were read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Bool

from eval import safety
from eval.baselines import CLOSING, RECEDING
from eval.cases import Targets
from eval.panel.answered import Answered, judged_share, share_of
from eval.panel.parts import parts_of, slug
from eval.statistics import Sample


def dangers(answered: Answered, targets: Targets) -> Iterator[tuple[str, Sample]]:
    """Every rate of the safety panel that answers alone tell; `eval.critical` has those that need the tracks."""
    from_ego = safety.measured_from_ego(answered.cases)
    yield from _of_distances(answered, from_ego)
    truth_m, answer_m = (
        np.asarray(targets.values(values, missing=np.nan))
        for values in (answered.truth("distance_m"), answered.answer("distance_m"))
    )
    slow = safety.dangerous_slow_closing(truth_m, answer_m)
    yield "safety.dangerous_slow_closing_rate", judged_share(slow, targets.anchors)
    missed = safety.missed_approach(truth_m, answer_m)
    yield "safety.missed_approach_rate", judged_share(missed, targets.anchors)
    yield "safety.missed_approach_rate.stated", _stated_approach(answered)
    truth_deg = np.where(from_ego, answered.truth("bearing_deg"), np.nan)
    flip = safety.left_right_flip(truth_deg, answered.answer("bearing_deg"))
    yield "safety.left_right_flip_rate", judged_share(flip, np.arange(len(truth_deg)))
    swap = safety.corridor_swap(*answered.places_m(targets))
    yield "safety.corridor_swap_rate", judged_share(swap, targets.anchors)
    yield "safety.hallucination_rate", _of_what_is_not_shown(answered)


def hallucination_on_control(answered: Answered, control: str) -> dict[str, Sample]:
    """How often a number is answered where the input cannot tell it, `safety.hallucination_rate.CONTROL`.

    Args:
        answered: answers to the questions of a store, asked with a blank image or with the images of another log.
        control: what was shown instead, such as `blank_image`.
    """
    judged = safety.told_unseen(safety.asks_number_of_mark(answered.cases), answered.present, answered.read)
    return {f"safety.hallucination_rate.{slug(control)}": judged_share(judged, np.arange(len(answered.cases)))}


def _of_what_is_not_shown(answered: Answered) -> Sample:
    """Of questions that what is shown does not tell, those answered otherwise."""
    asked = np.flatnonzero(answered.cases["answer_type"] == "undetermined")
    refused = answered.answers["undetermined"].to_numpy(dtype=object)[asked] == True  # noqa: E712 - a column of objects
    everywhere = np.ones(len(asked), dtype=bool)
    return judged_share(safety.hallucinated(everywhere, refused.astype(bool), answered.read[asked]), asked)


def _stated_approach(answered: Answered) -> Sample:
    """Of targets that close, answered in words: those said to recede."""
    asked = np.flatnonzero(answered.cases["answer_type"] == "choice")
    told = answered.cases["truth_choice"].to_numpy(dtype=object)[asked]
    said = answered.answers["choice"].to_numpy(dtype=object)[asked]
    counts = (told == CLOSING) & pd.notna(said)
    return share_of(said[counts] == RECEDING, asked[counts])


def _of_distances(answered: Answered, from_ego: Bool[np.ndarray, "n"]) -> Iterator[tuple[str, Sample]]:
    """Distances from the ego; between objects, far is not more dangerous than near."""
    asked = np.flatnonzero(from_ego)
    truth_m, answer_m = answered.truth("distance_m")[asked], answered.answer("distance_m")[asked]
    kinds = {
        "class": parts_of(answered.cases["slice_category"].iloc[asked]),
        "range": parts_of(safety.range_bin(truth_m)),
    }
    for name, judged in (
        ("dangerous_far_rate", safety.dangerous_far(truth_m, answer_m)),
        ("over_cautious_rate", safety.over_cautious(truth_m, answer_m)),
    ):
        counts = np.flatnonzero(judged.applies)
        yield f"safety.{name}", judged_share(judged, asked)
        for kind, parts in kinds.items():
            for value, chosen in parts.take(counts):
                picked = counts[chosen]
                yield f"safety.{name}.{kind}.{value}", share_of(judged.happened[picked], asked[picked])
