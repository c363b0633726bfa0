"""Named town plans: straight street lines on a flat plan, and the gentle bend that makes a town of them.

The `plan` frame has axes u (east) and v (north) in metres. Streets, blocks and houses are laid out in it with right angles;
`Bend` then carries every point into the `global` frame, so that streets curve and nothing has to be fitted afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from drive_vqa.errors import ConfigError
from drive_vqa.geometry import angle_rad

LANE_WIDTH_M = 3.4
PARKING_WIDTH_M = 2.4
GUTTER_WIDTH_M = 0.6
CORNER_RADIUS_M = 5.0
SIDEWALK_WIDTH_M = 4.0
KERB_HEIGHT_M = 0.15
CROSSWALK_SETBACK_M = 0.5
CROSSWALK_WIDTH_M = 3.0
STOP_SETBACK_M = 4.6
"""From the end of the corner fillet to the stop line: setback, crosswalk and a metre of space."""
OUTSKIRT_WIDTH_M = 30.0


@dataclass(frozen=True)
class StreetLine:
    """A straight two-way street on the plan."""

    at_m: float
    lanes: int
    parking: bool
    speed_limit_mps: float

    @property
    def roadway_m(self) -> float:
        """Width of the driving lanes of one direction."""
        return self.lanes * LANE_WIDTH_M

    @property
    def half_width_m(self) -> float:
        """From the centre line to the kerb."""
        return self.roadway_m + (PARKING_WIDTH_M if self.parking else GUTTER_WIDTH_M)


@dataclass(frozen=True)
class Bend:
    """x = u + a sin(2 pi v / p + f), y = v + b sin(2 pi u / q + g): a smooth shear."""

    amplitudes_m: tuple[float, float]
    periods_m: tuple[float, float]
    phases_rad: tuple[float, float]

    def to_global(self, plan_uv_m: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Carry plan points into the global frame."""
        wave = 2 * np.pi / np.array(self.periods_m)
        shift = np.array(self.amplitudes_m) * np.sin(plan_uv_m[:, ::-1] * wave + np.array(self.phases_rad))
        moved: Float[np.ndarray, "n 2"] = plan_uv_m + shift
        return moved

    def heading_rad(
        self, plan_uv_m: Float[np.ndarray, "n 2"], plan_direction: Float[np.ndarray, "n 2"]
    ) -> Float[np.ndarray, "n"]:
        """Global heading, unwrapped along n, of plan directions at plan points (by the Jacobian of the bend)."""
        wave = 2 * np.pi / np.array(self.periods_m)
        slope = np.array(self.amplitudes_m) * wave * np.cos(plan_uv_m[:, ::-1] * wave + np.array(self.phases_rad))
        direction = plan_direction + slope * plan_direction[:, ::-1]
        heading: Float[np.ndarray, "n"] = np.unwrap(angle_rad(direction[:, 1], direction[:, 0]))
        return heading


@dataclass(frozen=True)
class TownPlan:
    """Everything that tells one town from another."""

    name: str
    streets_u: tuple[StreetLine, ...]
    """Streets that run north-south, by ascending u."""
    streets_v: tuple[StreetLine, ...]
    """Streets that run east-west, by ascending v."""
    closed: frozenset[tuple[str, int, int]]
    """Stretches without a street: ("u", i, j) is street_u i between street_v j and j + 1; ("v", j, i) likewise."""
    parks: frozenset[tuple[int, int]]
    """Cells (i, j), counted from the south-west, that are green instead of built up."""
    bend: Bend
    floors: tuple[int, int]
    palette_rgb: tuple[tuple[float, float, float], ...]


def _line(at_m: float, lanes: int, speed_kmh: float, parking: bool = True) -> StreetLine:
    return StreetLine(at_m, lanes, parking, speed_kmh / 3.6)


_BRICK = ((0.62, 0.34, 0.27), (0.72, 0.55, 0.42), (0.80, 0.72, 0.60), (0.55, 0.50, 0.47), (0.68, 0.42, 0.34))
_PLASTER = ((0.86, 0.80, 0.68), (0.78, 0.66, 0.52), (0.84, 0.74, 0.70), (0.70, 0.74, 0.72), (0.88, 0.86, 0.80))
_CONCRETE = ((0.66, 0.67, 0.68), (0.56, 0.60, 0.64), (0.74, 0.72, 0.68), (0.48, 0.52, 0.56), (0.78, 0.79, 0.80))

_PLANS = (
    TownPlan(
        name="harbour",
        streets_u=(_line(-156, 1, 40), _line(-52, 2, 50), _line(58, 1, 40), _line(160, 1, 40)),
        streets_v=(_line(-150, 1, 40), _line(-46, 1, 40), _line(54, 2, 50, False), _line(158, 1, 40)),
        closed=frozenset(),
        parks=frozenset({(2, 0)}),
        bend=Bend((5.0, 4.0), (420.0, 380.0), (0.4, 1.2)),
        floors=(4, 9),
        palette_rgb=_BRICK + _CONCRETE,
    ),
    TownPlan(
        name="newtown",
        streets_u=(_line(-250, 1, 60), _line(10, 2, 60), _line(255, 1, 50)),
        streets_v=(_line(-245, 1, 60), _line(-5, 2, 60), _line(250, 1, 50)),
        closed=frozenset(),
        parks=frozenset({(1, 0)}),
        bend=Bend((9.0, 12.0), (520.0, 610.0), (0.9, 2.0)),
        floors=(2, 7),
        palette_rgb=_BRICK + _PLASTER,
    ),
    TownPlan(
        name="oldtown",
        streets_u=(_line(-168, 1, 30), _line(-88, 1, 30), _line(-4, 2, 50), _line(84, 1, 30), _line(164, 1, 30)),
        streets_v=(_line(-164, 1, 30), _line(-82, 1, 30), _line(2, 1, 40, False), _line(86, 1, 30), _line(166, 1, 30)),
        closed=frozenset({("v", 1, 1), ("u", 3, 2)}),
        parks=frozenset({(1, 2)}),
        bend=Bend((13.0, 6.0), (390.0, 330.0), (1.0, 0.2)),
        floors=(2, 5),
        palette_rgb=_PLASTER + _BRICK,
    ),
    TownPlan(
        name="parkside",
        streets_u=(_line(-165, 2, 50, False), _line(-30, 2, 50), _line(70, 1, 30), _line(165, 2, 50, False)),
        streets_v=(_line(-150, 2, 50, False), _line(-40, 2, 50), _line(62, 1, 30), _line(155, 2, 50, False)),
        closed=frozenset({("u", 2, 1)}),
        parks=frozenset({(0, 2), (1, 1)}),
        bend=Bend((8.0, 10.0), (360.0, 450.0), (2.4, 0.9)),
        floors=(3, 14),
        palette_rgb=_CONCRETE + _PLASTER,
    ),
    TownPlan(
        name="riverside",
        streets_u=(_line(-240, 2, 60), _line(-15, 1, 50), _line(225, 1, 60)),
        streets_v=(_line(-235, 1, 50), _line(5, 2, 60), _line(245, 1, 60)),
        closed=frozenset(),
        parks=frozenset({(0, 1)}),
        bend=Bend((12.0, 8.0), (560.0, 480.0), (2.0, 0.5)),
        floors=(3, 8),
        palette_rgb=_CONCRETE + _BRICK,
    ),
)

TOWNS: tuple[str, ...] = tuple(plan.name for plan in _PLANS)
"""Names that `build_town` knows."""


def town_plan(name: str) -> TownPlan:
    """The plan of a named town.

    Raises:
        ConfigError: If no town has this name.
    """
    for plan in _PLANS:
        if plan.name == name:
            return plan
    raise ConfigError(f"unknown town {name!r}: choose one of {', '.join(TOWNS)}")
