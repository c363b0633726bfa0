"""How a driver chooses an acceleration and a lane: IDM, speeds ahead of bends, and MOBIL's gain and safety."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import no_type_check

import numpy as np

HARDEST_BRAKE_MPS2 = 7.5
_BEND_BRAKE_MPS2 = 1.7
_SPEED_RELAX_S = 0.4
_MOBIL_GAIN_MPS2 = 0.2
_MOBIL_SAFE_MPS2 = -2.2
_CLEAR_GAP_M = 3.0


@dataclass(frozen=True)
class Neighbourhood:
    """Gaps around the place a lane change would lead to, inf where there is nobody."""

    gap_ahead_m: float
    speed_ahead_mps: float
    gap_behind_m: float
    speed_behind_mps: float


@no_type_check  # its methods run a million times a scene: the test run would spend its time checking floats
@dataclass(frozen=True)
class Driver:
    """The temper of one driver (parameters of the Intelligent Driver Model)."""

    speed_share: float
    """Free speed as a share of the limit."""
    headway_s: float
    accel_mps2: float
    brake_mps2: float
    jam_gap_m: float
    top_speed_mps: float
    restless_per_s: float
    """Rate of lane changes without a reason that others could see."""

    def idm_mps2(self, speed_mps: float, wish_mps: float, gap_m: float, leader_mps: float) -> float:
        """Acceleration behind a leader at `gap_m` (bumper to bumper); `gap_m` = inf on a free road.

        Treiber, Hennecke, Helbing, "Congested traffic states in empirical observations and microscopic simulations",
        Phys. Rev. E 62 (2000), eq. 3-4; above the wished speed the driver relaxes to it instead (their free term would
        brake as hard as it likes).
        """
        if speed_mps > wish_mps:
            free = max(-3.5, (wish_mps - speed_mps) / _SPEED_RELAX_S)
        else:
            free = self.accel_mps2 * (1 - (speed_mps / max(wish_mps, 0.1)) ** 4)
        if gap_m == inf:
            return free
        closing = speed_mps * (speed_mps - leader_mps) / (2 * sqrt(self.accel_mps2 * self.brake_mps2))
        desired = self.jam_gap_m + max(0.0, speed_mps * self.headway_s + closing)
        push = self.accel_mps2 * (desired / max(gap_m, 0.1)) ** 2
        accel = min(free, -push) if free < 0 else free - push
        return max(accel, -HARDEST_BRAKE_MPS2)

    @staticmethod
    def bend_speed(limit_mps: float, distance_m: float) -> float:
        """Speed now that still allows a gentle slow-down to `limit_mps` in `distance_m`."""
        return sqrt(limit_mps**2 + 2 * _BEND_BRAKE_MPS2 * max(0.0, distance_m))

    def lane_change_pays(
        self, speed_mps: float, wish_mps: float, accel_now_mps2: float, there: Neighbourhood, eager: bool
    ) -> bool:
        """MOBIL: safe for the one who will follow, and a gain for oneself (not asked of the eager).

        Kesting, Treiber, Helbing, "General lane-changing model MOBIL", TRR 1999 (2007), eq. 2-3 with politeness 0; the
        follower is taken to drive like oneself.
        """
        if min(there.gap_ahead_m, there.gap_behind_m) < _CLEAR_GAP_M:
            return False
        follower = self.idm_mps2(
            there.speed_behind_mps, max(wish_mps, there.speed_behind_mps), there.gap_behind_m, speed_mps
        )
        own = self.idm_mps2(speed_mps, wish_mps, there.gap_ahead_m, there.speed_ahead_mps)
        if there.gap_behind_m < inf and follower < _MOBIL_SAFE_MPS2:
            return False
        if own < _MOBIL_SAFE_MPS2:
            return False
        return eager or own - accel_now_mps2 > _MOBIL_GAIN_MPS2


def draw_driver(model: str, rng: np.random.Generator) -> Driver:
    """A driver for a vehicle model; heavy vehicles are lazier, cyclists slower."""
    agility = {"truck": 0.65, "bus": 0.65, "bicycle": 0.5, "motorcycle": 1.3}.get(model, 1.0)
    top = float(rng.uniform(3.8, 6.2)) if model == "bicycle" else 13.0 if model in ("truck", "bus") else 20.0
    slow = model not in ("bicycle", "motorcycle") and rng.random() < 0.16
    share = rng.uniform(0.5, 0.68) if slow else rng.uniform(0.86, 1.06)
    return Driver(
        speed_share=float(share),
        headway_s=float(rng.uniform(0.9, 1.6)),
        accel_mps2=float(rng.uniform(1.5, 2.3)) * agility,
        brake_mps2=float(rng.uniform(1.7, 2.5)),
        jam_gap_m=float(rng.uniform(1.6, 2.8)),
        top_speed_mps=top,
        restless_per_s=0.02,
    )


def stopping_distance_m(speed_mps: float, brake_mps2: float) -> float:
    """Way to a standstill at constant deceleration after 0.3 s of reaction."""
    return 0.3 * speed_mps + speed_mps**2 / (2 * brake_mps2)
