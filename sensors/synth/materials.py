"""What surfaces of the synthetic world are made of: how they look in light and how well they return laser and radar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float


class Material(IntEnum):
    """Index of a row of the property tables below."""

    GROUND = 0
    CURB = 1
    SIDEWALK = 2
    WALL = 3
    ROOF = 4
    LEAF = 5
    BARK = 6
    METAL = 7
    WOOD = 8
    LAMP_GLASS = 9
    SIGNAL_RED = 10
    SIGNAL_AMBER = 11
    SIGNAL_GREEN = 12
    SIGN_FACE = 13
    PAINT = 14
    GLASS = 15
    TIRE = 16
    RIM = 17
    PLASTIC = 18
    HEADLIGHT = 19
    TAILLIGHT = 20
    PLATE = 21
    CLOTH = 22
    TROUSERS = 23
    SKIN = 24
    HAIR = 25
    ORANGE = 26
    WHITE = 27
    CONCRETE = 28
    RED_STRIPE = 29
    CARGO = 30
    SEAM = 31
    GRASS = 32
    PLAZA = 33
    MARKING = 34


@dataclass(frozen=True)
class _Look:
    """One row: linear albedo, share of the actor's own colour, mirror share at normal incidence, laser reflectivity."""

    rgb: tuple[float, float, float]
    tint: float = 0.0
    mirror: float = 0.0
    laser: float = 0.25


_LOOKS: dict[Material, _Look] = {
    Material.GROUND: _Look((0.135, 0.133, 0.133), laser=0.12),
    Material.CURB: _Look((0.30, 0.29, 0.28), laser=0.3),
    Material.SIDEWALK: _Look((0.34, 0.33, 0.31), laser=0.28),
    Material.WALL: _Look((0.4, 0.36, 0.32), laser=0.35),
    Material.ROOF: _Look((0.16, 0.15, 0.15), laser=0.2),
    Material.LEAF: _Look((0.07, 0.16, 0.035), laser=0.4),
    Material.BARK: _Look((0.13, 0.09, 0.06), laser=0.3),
    Material.METAL: _Look((0.20, 0.21, 0.22), mirror=0.05, laser=0.5),
    Material.WOOD: _Look((0.26, 0.15, 0.08), laser=0.35),
    Material.LAMP_GLASS: _Look((0.8, 0.78, 0.7), laser=0.2),
    Material.SIGNAL_RED: _Look((0.22, 0.02, 0.02), laser=0.2),
    Material.SIGNAL_AMBER: _Look((0.22, 0.12, 0.01), laser=0.2),
    Material.SIGNAL_GREEN: _Look((0.01, 0.16, 0.08), laser=0.2),
    Material.SIGN_FACE: _Look((0.05, 0.15, 0.45), laser=0.95),
    Material.PAINT: _Look((1.0, 1.0, 1.0), tint=1.0, mirror=0.06, laser=0.45),
    Material.GLASS: _Look((0.012, 0.016, 0.018), mirror=0.10, laser=0.06),
    Material.TIRE: _Look((0.018, 0.018, 0.019), laser=0.08),
    Material.RIM: _Look((0.42, 0.43, 0.44), mirror=0.15, laser=0.5),
    Material.PLASTIC: _Look((0.022, 0.022, 0.024), mirror=0.02, laser=0.1),
    Material.HEADLIGHT: _Look((0.62, 0.64, 0.66), mirror=0.12, laser=0.7),
    Material.TAILLIGHT: _Look((0.38, 0.012, 0.015), mirror=0.05, laser=0.8),
    Material.PLATE: _Look((0.75, 0.74, 0.66), laser=0.98),
    Material.CLOTH: _Look((1.0, 1.0, 1.0), tint=1.0, laser=0.4),
    Material.TROUSERS: _Look((0.045, 0.055, 0.10), laser=0.25),
    Material.SKIN: _Look((0.48, 0.28, 0.19), laser=0.45),
    Material.HAIR: _Look((0.035, 0.022, 0.015), laser=0.15),
    Material.ORANGE: _Look((0.80, 0.16, 0.015), laser=0.6),
    Material.WHITE: _Look((0.78, 0.78, 0.76), laser=0.9),
    Material.CONCRETE: _Look((0.42, 0.41, 0.39), laser=0.35),
    Material.RED_STRIPE: _Look((0.60, 0.03, 0.03), laser=0.8),
    Material.CARGO: _Look((0.68, 0.68, 0.66), tint=0.15, mirror=0.02, laser=0.5),
    Material.SEAM: _Look((0.010, 0.010, 0.012), laser=0.2),
    Material.GRASS: _Look((0.075, 0.145, 0.035), laser=0.35),
    Material.PLAZA: _Look((0.36, 0.33, 0.30), laser=0.28),
    Material.MARKING: _Look((0.72, 0.72, 0.70), laser=0.75),
}


def _column(values: Sequence[tuple[float, ...]] | Sequence[float]) -> np.ndarray:
    table = np.array(values, dtype=np.float32)
    table.setflags(write=False)
    return table


ALBEDO: Float[np.ndarray, "m 3"] = _column([_LOOKS[m].rgb for m in Material])
TINT: Float[np.ndarray, "m"] = _column([_LOOKS[m].tint for m in Material])
MIRROR: Float[np.ndarray, "m"] = _column([_LOOKS[m].mirror for m in Material])
LASER: Float[np.ndarray, "m"] = _column([_LOOKS[m].laser for m in Material])
