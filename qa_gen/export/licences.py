"""What the makers of each data set allow, as far as the store can tell where a log came from.

Pictures and boxes of an export are taken from the source logs, so their terms hold for it. This table is a reminder, not legal
advice: it says what the makers state, by version where they name one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Licence:
    """Terms of a data set.

    Attributes:
        source: whose terms, in words.
        name: of the licence, in words.
        hub_id: what the Hugging Face hub calls it; `other` where it has no name for it.
        url: where the terms are.
        commercial: commercial use is allowed.
        rank: the greater, the more it forbids.
    """

    source: str
    name: str
    hub_id: str
    url: str
    commercial: bool
    rank: int


_NC_SA_4 = ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0")
NUSCENES = Licence("nuScenes", *_NC_SA_4, "https://www.nuscenes.org/terms-of-use", False, 3)
PANDASET = Licence("PandaSet", "CC BY 4.0", "cc-by-4.0", "https://pandaset.org", True, 1)
KITTI = Licence("KITTI", "CC BY-NC-SA 3.0", "cc-by-nc-sa-3.0", "https://www.cvlibs.net/datasets/kitti/", False, 3)
ARGOVERSE = Licence("Argoverse 2", *_NC_SA_4, "https://www.argoverse.org/about.html#terms-of-use", False, 3)
WAYMO = Licence(
    "Waymo Open Dataset",
    "Waymo Dataset License Agreement for Non-Commercial Use",
    "other",
    "https://waymo.com/open/terms",
    False,
    4,
)
NUPLAN = Licence("nuPlan", *_NC_SA_4, "https://www.nuscenes.org/terms-of-use", False, 3)
LYFT = Licence("Lyft Level 5", *_NC_SA_4, "https://woven.toyota/en/prediction-dataset", False, 3)
SYNTHETIC = Licence(
    "drive-vqa synth",
    "Apache 2.0 (made by this program)",
    "apache-2.0",
    "https://www.apache.org/licenses/LICENSE-2.0",
    True,
    0,
)
METADRIVE = Licence(
    "MetaDrive's made-up traffic", "Apache 2.0", "apache-2.0", "https://github.com/metadriverse/metadrive", True, 0
)
UNKNOWN = Licence(
    "a source that the store does not name", "unknown: ask its makers before any use", "unknown", "", False, 5
)

BY_FORMAT = {"nuscenes": NUSCENES, "pandaset": PANDASET, "kitti": KITTI, "av2": ARGOVERSE}
"""By `logs.source_format`, where that says it."""

BY_SCENARIONET_SOURCE = {
    "nuscenes": NUSCENES,
    "waymo": WAYMO,
    "av2": ARGOVERSE,
    "argoverse": ARGOVERSE,
    "nuplan": NUPLAN,
    "lyft": LYFT,
    "pg": METADRIVE,
}
"""By the data set that ScenarioNet converted, as the log's description begins."""

SYNTH_TOWNS = ("harbour", "newtown", "oldtown", "parkside", "riverside")
"""Where `drive-vqa synth` drives; its logs say so in `location` and in the words of `description`."""


def licence_of(log: Mapping[str, Any]) -> Licence:
    """The terms of one log.

    Args:
        log: a row of the `logs` table.
    """
    source, description = log["source_format"], log["description"] or ""
    if source == "nuscenes" and log["location"] in SYNTH_TOWNS and f" in {log['location']}: ego " in description:
        return SYNTHETIC
    if source == "scenarionet":
        named = re.match(r"ScenarioNet, ([A-Za-z0-9]+)", description)
        name = named[1].lower() if named else ""
        return next((terms for key, terms in BY_SCENARIONET_SOURCE.items() if name.startswith(key)), UNKNOWN)
    return BY_FORMAT.get(source, UNKNOWN)


def strictest(licences: Iterable[Licence]) -> Licence:
    """The one that forbids most; all of them hold for what belongs to them.

    Args:
        licences: at least one.
    """
    return max(licences, key=lambda licence: (licence.rank, licence.name))
