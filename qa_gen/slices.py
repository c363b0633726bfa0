"""By what scores are broken down: facts about the first marked agent of a question.

`difficulty` goes by the KITTI rules of thumb (Geiger et al., CVPR 2012), with the visible share in place of its hand-made
levels: easy: at least 40 px high and 85 % visible; moderate: 25 px and 50 %; else hard. In a log without cameras it is by
distance: within 20 m, within 40 m, farther.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from drive_vqa.categories import CATEGORIES
from drive_vqa.schema import QUESTIONS
from drive_vqa.time_to_collision import time_to_collision_s, ttc_bins
from qa_gen.asked import Asked
from qa_gen.groups import MOVING_MPS
from qa_gen.relations.manoeuvres import MANOEUVRES, manoeuvre_codes

SLICE_DECIMALS = 2
DIFFICULTIES = ("easy", "moderate", "hard")
LEAST_HEIGHT_PX = (40.0, 25.0)
LEAST_VISIBLE = (0.85, 0.5)
MOST_DISTANCE_M = (20.0, 40.0)


@dataclass(frozen=True, eq=False)
class Slices:
    """Facts about each mark of each group of one kind, (groups, marks); NaN, -1 and None: not known.

    Attributes:
        category: code.
        distance_m: from the ego, now.
        visible_fraction: in the present image that shows it best; NaN without cameras.
        moving: 1 or 0.
        ttc_bin: name of the bin of the time to collision.
        difficulty: index into DIFFICULTIES.
        relation: index into MANOEUVRES.
    """

    category: Int[np.ndarray, "g k"]
    distance_m: Float[np.ndarray, "g k"]
    visible_fraction: Float[np.ndarray, "g k"]
    moving: Int[np.ndarray, "g k"]
    ttc_bin: np.ndarray
    difficulty: Int[np.ndarray, "g k"]
    relation: Int[np.ndarray, "g k"]


def slices_of(asked: Asked) -> Slices:
    """The facts of all marks.

    Args:
        asked: one subject a mark, in the order of groups and slots.
    """
    shape = asked.groups.tracks.shape
    place = asked.group, asked.slots[:, 0]
    agent, config = asked.now(), asked.config
    ego_box = np.array([config.ego_centre_x_m, 0.0, config.ego_length_m, config.ego_width_m, 0.0])
    ttc_s = time_to_collision_s(ego_box, asked.ego_speed_mps(), agent.ground_box, agent.vx_mps, agent.vy_mps)
    height_px, visible = _best_view(asked)
    moving = np.where(np.isnan(agent.speed_mps), -1, agent.speed_mps > MOVING_MPS)

    def table(values: np.ndarray, missing: object) -> np.ndarray:
        made = np.full(shape, missing, dtype=values.dtype)
        made[place] = values
        return made

    return Slices(
        table(agent.category, -1),
        table(agent.distance_m, np.nan),
        table(visible, np.nan),
        table(moving, -1),
        table(ttc_bins(ttc_s), None),
        table(_difficulty(height_px, visible, agent.distance_m), -1),
        table(manoeuvre_codes(asked), -1),
    )


def _best_view(asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """Height of the image box and visible share in the present image that shows most of a mark; NaN where none does."""
    now = [context for context, offset_s in enumerate(asked.groups.offsets_s) if offset_s == 0]
    regions = np.stack([asked.region(context) for context in now], axis=1)
    best = np.argmax(np.nan_to_num(regions[..., 4], nan=-1.0), axis=1)
    region = regions[np.arange(len(regions)), best]
    return region[:, 3] - region[:, 1], region[:, 4]


def _difficulty(height_px: np.ndarray, visible: np.ndarray, distance_m: np.ndarray) -> np.ndarray:
    unseen = np.isnan(visible)
    easy, moderate = (
        np.where(unseen, distance_m <= far, (height_px >= high) & (visible >= share))
        for far, high, share in zip(MOST_DISTANCE_M, LEAST_HEIGHT_PX, LEAST_VISIBLE, strict=True)
    )
    return np.where(easy, 0, np.where(moderate, 1, 2))


def slice_column(
    slices: Slices, group: Int[np.ndarray, "n"], slot: Int[np.ndarray, "n"], in_view_at_t: Int[np.ndarray, "n"]
) -> pa.StructArray:
    """The `slices` column of questions about groups of one kind.

    Args:
        slices: of that kind.
        group: number of each question's group in it.
        slot: of the first mark; -1 where the question has none: all its slices are null.
        in_view_at_t: 1, 0 or -1 for not known.
    """
    none = slot < 0

    def names(codes: np.ndarray, words: tuple[str, ...]) -> pa.Array:
        masked = none | (codes < 0)
        return pa.array(words, pa.string()).take(pa.array(np.where(masked, 0, codes), mask=masked))

    def numbers(values: np.ndarray) -> pa.Array:
        return pa.array(np.round(values, SLICE_DECIMALS), mask=none | np.isnan(values))

    def truths(values: np.ndarray) -> pa.Array:
        return pa.array(values > 0, mask=none | (values < 0))

    at = group, slot
    ttc = slices.ttc_bin[at]
    ttc[none] = None
    columns = {
        "category": names(slices.category[at], tuple(CATEGORIES)),
        "distance_m": numbers(slices.distance_m[at]),
        "visible_fraction": numbers(slices.visible_fraction[at]),
        "moving": truths(slices.moving[at]),
        "in_view_at_t": truths(in_view_at_t),
        "ttc_bin": pa.array(ttc, pa.string()),
        "difficulty": names(slices.difficulty[at], DIFFICULTIES),
        "relation": names(slices.relation[at], tuple(name.replace(" ", "_") for name in MANOEUVRES)),
    }
    fields = list(QUESTIONS.field("slices").type)
    return pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields)
