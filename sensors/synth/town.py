"""A named town, put together from its plan: the static half of every synthetic scene."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from sensors.synth.buildings import build_buildings
from sensors.synth.furniture import build_props
from sensors.synth.ground import build_markings, build_surfaces
from sensors.synth.lane_network import LaneNetwork, lane_network
from sensors.synth.scene import Lane, Town
from sensors.synth.town_plan import LANE_WIDTH_M, TOWNS

__all__ = ["TOWNS", "build_town"]


@lru_cache(maxsize=4)
def build_town(name: str) -> Town:
    """Build a town; the same name always gives the same town.

    Args:
        name: One of `TOWNS`.

    Returns:
        The town in the global frame.

    Raises:
        ConfigError: If no town has this name.
    """
    network = lane_network(name)
    grid = network.grid
    return Town(
        name=name,
        lanes=tuple(_lane(network, lane_id) for lane_id in range(len(network.paths))),
        markings=build_markings(grid),
        surfaces=build_surfaces(grid),
        buildings=build_buildings(grid),
        props=build_props(grid),
    )


def _lane(network: LaneNetwork, lane_id: int) -> Lane:
    path = network.paths[lane_id]
    centre: Float[np.ndarray, "n 2"] = path.xy_m
    return Lane(
        lane_id=lane_id,
        centre_xy_m=centre,
        width_m=LANE_WIDTH_M,
        speed_limit_mps=path.speed_mps,
        successors=network.successors[lane_id],
        left=network.left[lane_id],
        right=network.right[lane_id],
        in_junction=path.node is not None,
    )
