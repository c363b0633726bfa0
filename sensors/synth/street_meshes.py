"""What stands along a street: trees, lamps, traffic lights, hedges, benches, signs. Feet at the origin, front towards +x."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sensors.synth.materials import Material
from sensors.synth.meshes import Mesh, blob_mesh, box_mesh, merge, tube_mesh


def prop_mesh(kind: str, height_m: float, variant: int) -> Mesh:
    """The mesh of a prop; `variant` tells trees and hedges apart.

    Raises:
        KeyError: If no mesh has this name.
    """
    return _BUILDERS[kind](height_m, variant)


def _tree(height_m: float, variant: int) -> Mesh:
    """A trunk that forks under a crown of rough blobs."""
    rng = np.random.default_rng([7, variant])
    fork, crown = 0.36 * height_m, 0.30 * height_m
    parts = [tube_mesh((0, 0, 0), (0, 0, fork), 0.035 * height_m, 0.022 * height_m, Material.BARK, 8, caps=False)]
    for k in range(3):
        angle = 2.1 * k + rng.uniform(0, 1)
        tip = (0.5 * crown * np.cos(angle), 0.5 * crown * np.sin(angle), fork + 0.55 * crown)
        parts.append(
            tube_mesh((0, 0, 0.92 * fork), tip, 0.018 * height_m, 0.008 * height_m, Material.BARK, 5, caps=False)
        )
    middle = height_m - crown
    parts.append(
        blob_mesh((0, 0, middle), (0.82 * crown, 0.82 * crown, 0.95 * crown), Material.LEAF, 8, 10, 0.16, variant)
    )
    for k in range(5):
        angle, out = 1.257 * k + rng.uniform(-0.4, 0.4), 0.60 * crown
        centre = (out * np.cos(angle), out * np.sin(angle), middle + rng.uniform(-0.42, 0.30) * crown)
        radius = rng.uniform(0.44, 0.60) * crown
        parts.append(blob_mesh(centre, (radius, radius, 0.85 * radius), Material.LEAF, 7, 9, 0.20, variant * 7 + k))
    return merge(parts)


def _lamp(height_m: float, _: int) -> Mesh:
    """A post with an arm over the street."""
    return merge(
        [
            tube_mesh((0, 0, 0), (0, 0, 1.0), 0.09, 0.08, Material.METAL, 10, caps=False),
            tube_mesh((0, 0, 1.0), (0, 0, height_m - 0.15), 0.06, 0.045, Material.METAL, 8, caps=False),
            tube_mesh((0, 0, height_m - 0.15), (1.5, 0, height_m), 0.04, 0.03, Material.METAL, 7),
            box_mesh((1.75, 0, height_m), (0.65, 0.26, 0.10), Material.METAL),
            box_mesh((1.76, 0, height_m - 0.06), (0.52, 0.20, 0.03), Material.LAMP_GLASS),
        ]
    )


def _traffic_light(height_m: float, _: int) -> Mesh:
    """A post with two heads, one low and one high, lenses towards +x."""
    parts = [tube_mesh((0, 0, 0), (0, 0, height_m), 0.07, 0.055, Material.METAL, 10)]
    for z_m in (height_m - 0.55, 2.35):
        parts.append(box_mesh((0.12, 0, z_m), (0.20, 0.36, 1.02), Material.SEAM))
        parts.append(box_mesh((0.03, 0, z_m), (0.02, 0.52, 1.18), Material.PLASTIC))
        for k, lens in enumerate((Material.SIGNAL_RED, Material.SIGNAL_AMBER, Material.SIGNAL_GREEN)):
            at = z_m + 0.32 * (1 - k)
            parts.append(tube_mesh((0.20, 0, at), (0.24, 0, at), 0.125, 0.125, lens, 14))
            parts.append(box_mesh((0.30, 0, at + 0.14), (0.20, 0.27, 0.02), Material.PLASTIC))
    return merge(parts)


def _hedge(height_m: float, variant: int) -> Mesh:
    """A row of rough bushes along x."""
    parts = []
    for k in range(5):
        centre = (-1.8 + 0.9 * k, 0.0, 0.5 * height_m)
        parts.append(blob_mesh(centre, (0.72, 0.48, 0.55 * height_m), Material.LEAF, 6, 9, 0.16, variant * 5 + k))
    return merge(parts)


def _bench(height_m: float, _: int) -> Mesh:
    """Two legs, a seat and a back of planks; one sits facing +x."""
    parts = [box_mesh((0, y, 0.22), (0.42, 0.06, 0.44), Material.METAL) for y in (-0.7, 0.7)]
    parts += [box_mesh((-0.16 + 0.16 * k, 0, 0.46), (0.13, 1.8, 0.04), Material.WOOD) for k in range(3)]
    parts += [box_mesh((-0.25, 0, z), (0.04, 1.8, 0.12), Material.WOOD) for z in (0.62, 0.62 + 0.2 * height_m)]
    return merge(parts)


def _sign(height_m: float, variant: int) -> Mesh:
    """A round or square sign on a post, its face towards +x."""
    top = height_m - 0.32
    parts = [tube_mesh((0, 0, 0), (0, 0, height_m), 0.035, 0.035, Material.METAL, 8)]
    if variant % 2:
        parts.append(tube_mesh((0.035, 0, top), (0.05, 0, top), 0.32, 0.32, Material.RED_STRIPE, 20))
        parts.append(tube_mesh((0.05, 0, top), (0.056, 0, top), 0.24, 0.24, Material.WHITE, 20))
    else:
        parts.append(box_mesh((0.045, 0, top), (0.02, 0.6, 0.6), Material.WHITE))
        parts.append(box_mesh((0.05, 0, top), (0.02, 0.54, 0.54), Material.SIGN_FACE))
    return merge(parts)


_BUILDERS: dict[str, Callable[[float, int], Mesh]] = {
    "tree": _tree,
    "lamp": _lamp,
    "traffic_light": _traffic_light,
    "hedge": _hedge,
    "bench": _bench,
    "sign": _sign,
}
