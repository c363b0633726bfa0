"""Whether what a group shows is what the tables hold: images, marks and regions."""

from __future__ import annotations

from collections.abc import Iterable

from tests.qa_gen.oracle.raw import RawLog, Row

OFFSETS_S = {
    "single": [0.0],
    "sequence": [-1.5, -1.0, -0.5, 0.0],
    "target": [-1.5, -1.0, -0.5, 0.0],
    "clip": [-3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0],
}
LEAST_VISIBLE = 0.25
BOX = ("u0_px", "v0_px", "u1_px", "v1_px", "visible_fraction")


def group_faults(log: RawLog, group: Row) -> Iterable[str]:
    """What is wrong with a group."""
    if group["group_id"] != f"{log.log_id}-{group['frame']:05d}-{group['kind']}":
        yield "its id does not name it"
    if group["ego_speed_mps"] != log.ego_speed[group["frame"]]:
        yield f"ego speed {group['ego_speed_mps']} instead of {log.ego_speed[group['frame']]}"
    yield from _context_faults(log, group)
    numbers = [mark["mark"] for mark in group["marks"]]
    tracks = [mark["track_id"] for mark in group["marks"]]
    if len(set(numbers)) != len(numbers) or not set(numbers) <= set(range(10)):
        yield f"mark numbers {numbers}"
    if len(set(tracks)) != len(tracks):
        yield f"a track is marked twice: {tracks}"
    if group["kind"] == "target" and len(numbers) != 1:
        yield f"a bench group with {len(numbers)} marks"
    for mark in group["marks"]:
        yield from _mark_faults(log, group, mark)


def _context_faults(log: RawLog, group: Row) -> Iterable[str]:
    views = group["context"]
    offsets = [view["offset_s"] for view in views]
    if group["kind"] == "surround":
        if set(offsets) != {0.0} or len({view["camera"] for view in views}) != len(views):
            yield f"surround views at {offsets}"
    elif offsets != OFFSETS_S[group["kind"]]:
        yield f"context at {offsets}"
    for view in views:
        if view["frame"] != log.frame_after(group["frame"], view["offset_s"]):
            yield f"context frame {view['frame']} is not the one at {view['offset_s']} s"
        if view["camera"] is not None and view["camera"] not in log.cameras:
            yield f"camera {view['camera']} is not of this log"


def _mark_faults(log: RawLog, group: Row, mark: Row) -> Iterable[str]:
    shown = {region["context"]: region for region in mark["regions"]}
    for context, view in enumerate(group["context"]):
        body = log.bodies[view["frame"]].get(mark["track_id"])
        seen = None if body is None or view["camera"] is None else body.views.get(view["camera"])
        region = shown.pop(context, None)
        where = f"region {mark['mark']} in context {context}"
        if region is not None and (seen is None or tuple(region[name] for name in BOX) != seen):
            yield f"{where} is {region}, the track has {seen}"
        if region is None and seen is not None and seen[4] >= LEAST_VISIBLE:
            yield f"{where} is missing, the track has {seen}"
        if region is not None and seen is not None and seen[4] < LEAST_VISIBLE:
            yield f"{where} shows {seen[4]:.2f} of it, too little to be marked"
    if shown:
        yield f"region {mark['mark']} in contexts {sorted(shown)} that are not there"
    body = log.bodies[group["frame"]].get(mark["track_id"])
    if body is None or body.category != mark["category"]:
        yield f"mark {mark['mark']} is a {mark['category']}, the track {body and body.category}"
