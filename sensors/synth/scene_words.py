"""The English sentence that says what is in a scene."""

from __future__ import annotations

import numpy as np

from sensors.synth.scene import Actor, Trajectory, Weather

_LIGHT = {"sun": "Sunny day", "dusk": "Dusk", "night": "Night", "fog": "Fog"}
_TURN_RAD = 1.0
_STANDING_MPS = 0.3


def describe(town_name: str, weather: Weather, ego: Trajectory, actors: tuple[Actor, ...]) -> str:
    """Weather, what the ego does, and who is around, e.g. `Dusk in oldtown: ego turns left, waits; 21 vehicles, ...`."""
    deeds = _ego_deeds(ego)
    driven = sum(a.category.startswith("vehicle.") and not a.parked for a in actors)
    parked = sum(a.parked for a in actors)
    people = sum(a.category.startswith("human.") for a in actors)
    words = f"{driven} moving and {parked} parked vehicles, {people} pedestrians"
    if any(a.category.startswith("movable_object.") for a in actors):
        words += ", a construction site"
    return f"{_LIGHT[weather.name]} in {town_name}: ego {', '.join(deeds)}; {words}."


def _ego_deeds(ego: Trajectory) -> list[str]:
    turned = ego.yaw_rad - ego.yaw_rad[0]
    deeds = []
    if turned.max() > _TURN_RAD:
        deeds.append("turns left")
    if turned.min() < -_TURN_RAD:
        deeds.append("turns right")
    if not deeds:
        deeds.append("drives straight on" if ego.speed_mps.max() > _STANDING_MPS else "stands")
    if np.any(ego.speed_mps < _STANDING_MPS) and ego.speed_mps.max() > _STANDING_MPS:
        deeds.append("waits")
    return deeds
