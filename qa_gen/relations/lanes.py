"""How the lane of an agent stands to the ego's: the same, beside it, against it or across it.

All in the ground plane: a map gives no height that a centre line and a box share, so the ego's pose counts as a place and a
heading. Places are complex numbers, x + iy in metres. An agent is in a lane where the lane's centre line is within `REACH_M` of
its centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Int
from scipy.spatial import cKDTree

from drive_vqa.geometry import wrap_deg
from qa_gen.drive import Lanes
from qa_gen.relations.margins import first_that_holds

RELATIONS = ("my lane", "the lane to my left", "the lane to my right", "a lane of oncoming traffic", "a crossing lane")
REACH_M = 2.0
ALONG_DEG = 45.0
"""A lane turned by no more than this from the ego's heading can be the ego's; two that differ by more cross."""
AGAINST_DEG = 135.0
OWN_BELOW_M = 1.2
"""Farther from the middle of my lane than this: not clearly in it."""
BESIDE_FROM_M, BESIDE_TO_M = 2.3, 4.7
"""How far from the middle of my lane the traffic of a lane beside it is."""
PIECE_M = 4.0
"""Centre lines are cut into pieces no longer than this, so that those near a place are found by their middles."""
MOST_M = 10_000.0
"""A map with a longer straight line is broken; the line is left out."""


@dataclass(frozen=True, eq=False)
class LanePieces:
    """Pieces of centre lines in the global frame, by lane and along it.

    Attributes:
        start: where each begins.
        towards: its direction, of length 1.
        heading_deg: the same as an angle.
        length_m: its length, more than 0.
        lane: its lane.
        first: index of each lane's first piece, with the end after the last.
        middles: their middles, as points.
    """

    start: Complex[np.ndarray, "s"]
    towards: Complex[np.ndarray, "s"]
    heading_deg: Float[np.ndarray, "s"]
    length_m: Float[np.ndarray, "s"]
    lane: Int[np.ndarray, "s"]
    first: Int[np.ndarray, "l1"]
    middles: cKDTree

    def distance_m(self, piece: Int[np.ndarray, "p"], place: Complex[np.ndarray, "p"]) -> Float[np.ndarray, "p"]:
        """From each piece to a place."""
        local = self.local(piece, place)
        return np.asarray(np.abs(local - np.minimum(np.maximum(local.real, 0.0), self.length_m[piece])))

    def local(self, piece: Int[np.ndarray, "p"], place: Complex[np.ndarray, "p"]) -> Complex[np.ndarray, "p"]:
        """A place as seen from the start of each piece: metres along it, and to its left."""
        return np.asarray((place - self.start[piece]) * self.towards[piece].conj())


class Beside(NamedTuple):
    """Pieces within reach of some places; one entry a pair, by place, then by piece."""

    place: Int[np.ndarray, "p"]
    piece: Int[np.ndarray, "p"]
    distance_m: Float[np.ndarray, "p"]


@lru_cache(maxsize=2)
def lane_pieces(lanes: Lanes) -> LanePieces:
    """Cut the centre lines of a map; kept for the logs at hand."""
    start, end = (points_m[:, 0] + 1j * points_m[:, 1] for points_m in (lanes.start_xy_m, lanes.end_xy_m))
    good = np.isfinite(start) & np.isfinite(end)
    step = np.where(good, end, 0.0) - np.where(good, start, 0.0)
    length_m = np.abs(step)
    good &= (length_m > 0.0) & (length_m <= MOST_M)
    order = np.flatnonzero(good)[np.argsort(lanes.lane[good], kind="stable")]
    parts = np.ceil(length_m[order] / PIECE_M).astype(np.int64)
    segment = np.repeat(order, parts)
    part = np.arange(len(segment)) - np.repeat(np.cumsum(parts) - parts, parts)
    step, length_m = step[segment] / np.repeat(parts, parts), length_m[segment] / np.repeat(parts, parts)
    start = start[segment] + part * step
    lane = lanes.lane[segment]
    first = np.searchsorted(lane, np.arange(lane.max(initial=-1) + 2))
    middles = cKDTree(_points(start + 0.5 * step))
    return LanePieces(start, step / length_m, np.degrees(np.angle(step)), length_m, lane, first, middles)


def lane_relation(
    lanes: Lanes,
    ego_xy_m: Float[np.ndarray, "e 2"],
    ego_yaw_deg: Float[np.ndarray, "e"],
    ego: Int[np.ndarray, "n"],
    xy_m: Float[np.ndarray, "n 2"],
) -> Int[np.ndarray, "n"]:
    """Index into RELATIONS of the lane that each agent is in; -1 where that is not clear.

    Args:
        lanes: the map.
        ego_xy_m: the ego in the global frame at some moments.
        ego_yaw_deg: its heading there.
        ego: the moment at which each agent is seen.
        xy_m: the agent, in the ego frame of that moment.
    """
    pieces = lane_pieces(lanes)
    own = ego_xy_m[:, 0] + 1j * ego_xy_m[:, 1]
    place = own[ego] + np.exp(1j * np.radians(ego_yaw_deg[ego])) * (xy_m[:, 0] + 1j * xy_m[:, 1])
    lane = _own_lane(pieces, own, ego_yaw_deg)[ego]
    beside = _beside(pieces, place)
    nearest = _least_of_runs(beside.place, beside.distance_m)
    agent = beside.place[nearest]
    off_deg = np.full(len(ego), np.nan)
    off_deg[agent] = np.abs(wrap_deg(pieces.heading_deg[beside.piece[nearest]] - ego_yaw_deg[ego[agent]]))
    off_deg[(lane < 0) | _at_junction(pieces, beside, len(ego))] = np.nan
    left_m = _left_of_lane_m(pieces, np.where(off_deg < ALONG_DEG, lane, -1), place)
    return first_that_holds(
        np.abs(left_m) < OWN_BELOW_M,
        (left_m > BESIDE_FROM_M) & (left_m < BESIDE_TO_M),
        (left_m < -BESIDE_FROM_M) & (left_m > -BESIDE_TO_M),
        off_deg > AGAINST_DEG,
        (off_deg >= ALONG_DEG) & (off_deg <= AGAINST_DEG),
    )


def _own_lane(
    pieces: LanePieces, own: Complex[np.ndarray, "e"], ego_yaw_deg: Float[np.ndarray, "e"]
) -> Int[np.ndarray, "e"]:
    """The nearest lane that runs the ego's way; -1 where there is none."""
    beside = _beside(pieces, own)
    along = np.abs(wrap_deg(pieces.heading_deg[beside.piece] - ego_yaw_deg[beside.place])) <= ALONG_DEG
    beside = Beside(*(values[along] for values in beside))
    nearest = _least_of_runs(beside.place, beside.distance_m)
    lane = np.full(len(own), -1)
    lane[beside.place[nearest]] = pieces.lane[beside.piece[nearest]]
    return lane


def _beside(pieces: LanePieces, places: Complex[np.ndarray, "n"]) -> Beside:
    """All pieces within reach of each place; none for a place that is NaN."""
    known = np.flatnonzero(np.isfinite(places))
    if not len(known) or not len(pieces.lane):
        return Beside(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    reach_m = REACH_M + 0.5 * PIECE_M + 1e-6
    pairs = cKDTree(_points(places[known])).sparse_distance_matrix(pieces.middles, reach_m, output_type="ndarray")
    key = np.sort(known[pairs["i"]] * len(pieces.lane) + pairs["j"])
    place, piece = np.divmod(key, len(pieces.lane))
    distance_m = pieces.distance_m(piece, places[place])
    within = distance_m <= REACH_M
    return Beside(place[within], piece[within], distance_m[within])


def _at_junction(pieces: LanePieces, beside: Beside, count: int) -> Bool[np.ndarray, "n"]:
    """Which places are beside two lanes whose directions there differ by more than ALONG_DEG."""
    key = beside.place * len(pieces.first) + pieces.lane[beside.piece]
    nearest = _least_of_runs(key, beside.distance_m)
    place = beside.place[nearest]
    rank = np.arange(len(place)) - np.searchsorted(place, place)
    heading_deg = np.full((count, rank.max(initial=0) + 1), np.nan)
    heading_deg[place, rank] = pieces.heading_deg[beside.piece[nearest]]
    apart_deg = np.abs(wrap_deg(heading_deg[:, :, None] - heading_deg[:, None, :]))
    return np.asarray((apart_deg > ALONG_DEG).any(axis=(1, 2)))


def _left_of_lane_m(
    pieces: LanePieces, lane: Int[np.ndarray, "n"], places: Complex[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """How far each place is to the left of a lane's centre line; NaN where it is beyond the ends or the lane is -1."""
    asked = np.flatnonzero(lane >= 0)
    first, end = pieces.first[lane[asked]], pieces.first[lane[asked] + 1]
    count = end - first
    entry = np.repeat(np.arange(len(asked)), count)
    piece = np.arange(len(entry)) - np.repeat(np.cumsum(count) - count - first, count)
    nearest = piece[_least_of_runs(entry, pieces.distance_m(piece, places[asked][entry]))]
    local = pieces.local(nearest, places[asked])
    beyond = ((nearest == first) & (local.real < 0.0)) | (
        (nearest == end - 1) & (local.real > pieces.length_m[nearest])
    )
    left_m = np.full(len(lane), np.nan)
    left_m[asked] = np.where(beyond, np.nan, local.imag)
    return left_m


def _least_of_runs(run: Int[np.ndarray, "p"], values: Float[np.ndarray, "p"]) -> Int[np.ndarray, "r"]:
    """Index of the least value in each run of equal neighbours, the first of equals."""
    if not len(run):
        return np.zeros(0, dtype=np.int64)
    begins = np.flatnonzero(np.r_[True, run[1:] != run[:-1]])
    least = np.repeat(np.minimum.reduceat(values, begins), np.diff(np.r_[begins, len(run)]))
    found = np.flatnonzero(values == least)
    return np.asarray(found[np.r_[True, run[found][1:] != run[found][:-1]]])


def _points(places: Complex[np.ndarray, "n"]) -> Float[np.ndarray, "n 2"]:
    return np.stack([places.real, places.imag], axis=-1)
