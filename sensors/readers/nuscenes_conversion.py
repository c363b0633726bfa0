"""The JSON tables of a nuScenes version joined and sorted by scene, as they go into the cache.

All references are resolved here, once. What a record is at fault in is noted for its scene (`problems`), which then cannot be
read; the other scenes can.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from sensors.readers.nuscenes_big import boxes_by_scene, captures_by_scene
from sensors.readers.nuscenes_layout import BY_SCENE, WHOLE, Tables
from sensors.readers.nuscenes_small import (
    Problems,
    Samples,
    is_unlabelled,
    read_attributes,
    read_calibrations,
    read_instances,
    read_samples,
    read_scenes,
)


def convert(folder: Path) -> Tables:
    """Read, check, join and sort the tables of a version folder.

    Raises:
        LogFormatError: a table as a whole is wrong.
    """
    problems = Problems()
    scenes = read_scenes(folder, problems)
    samples = read_samples(folder, scenes, problems)
    calibrations = read_calibrations(folder)
    keyframes, sweeps = captures_by_scene(folder, samples, calibrations, len(scenes), problems)
    attributes, instances, boxes = (
        WHOLE["attributes"].empty_table(),
        WHOLE["instances"].empty_table(),
        _none(len(scenes)),
    )
    if not is_unlabelled(folder):
        named, attribute = read_instances(folder), read_attributes(folder)
        names, boxes = boxes_by_scene(folder, samples, named, attribute, len(scenes), problems)
        attributes, instances = pa.table([names], WHOLE["attributes"]), named.rows
    whole = {
        "scenes": scenes,
        "calibrations": calibrations.rows,
        "instances": instances,
        "attributes": attributes,
        "problems": problems.table(),
    }
    by_scene = {
        "samples": _sample_batches(samples, len(scenes)),
        "keyframes": keyframes,
        "sweeps": sweeps,
        "boxes": boxes,
    }
    return Tables(whole, by_scene)


def _none(scenes: int) -> Iterator[pa.RecordBatch]:
    for _ in range(scenes):
        yield pa.RecordBatch.from_pylist([], schema=BY_SCENE["boxes"])


def _sample_batches(samples: Samples, scenes: int) -> Iterator[pa.RecordBatch]:
    rows = pa.record_batch([samples.sorted_tokens, pa.array(samples.timestamp_ns)], schema=BY_SCENE["samples"])
    bounds = np.searchsorted(samples.scene, np.arange(scenes + 1)).tolist()
    for start, end in pairwise(bounds):
        yield rows.slice(start, end - start)
