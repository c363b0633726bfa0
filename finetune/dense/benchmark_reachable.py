"""How right anybody could be who sees nothing but boxes: `python -m finetune.dense.benchmark_reachable STORE BENCH`.

A model can know a marked agent's future from how it moved over the frames, and that only as sharply as its pictures show it.
A small network is given the true places or the true boxes in the frames, made less sharp step by step, and learns from the drives
of STORE where agents will be; it is scored on BENCH as answers are. It is a guide and no bound: the network does not know the
class, and another may get more out of the same boxes.

    exact places       ln(distance / 20 m) and bearing in each frame, as the tracks have them
    places off by p    each distance off by p on average of squares, each bearing by 1°, every frame by itself
    boxes in w×h       the box in each frame, rounded to pixels of a picture of that size
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float

from drive_vqa.errors import StoreError
from drive_vqa.store import Store
from eval.localization import bearing_ok, distance_ok, lsr, mlsr, tlc
from finetune.dense.cells import known_huber
from finetune.dense.moments import BEARING_SCALE_DEG, DISTANCE_SCALE_M, MOST_FRAMES, SeenObject, read_moments

THUMBNAIL_PX = (28, 28)
"""Nobody looks at the pictures."""
NOISES = (0.03, 0.06, 0.12)
SIZES_PX = ((224, 112), (336, 168), (672, 336))
WIDTH, STEPS, BATCH, PEAK_RATE, SEEDS = 256, 4000, 512, 2e-3, 3
WEIGHTS = (3.0, 1.0)

Telling = Callable[["Objects", np.random.Generator], Float[np.ndarray, "n frames told"]]


@dataclass(frozen=True, eq=False)
class Objects:
    """Marked agents with their past and future; see `SeenObject`."""

    boxes: Float[np.ndarray, "n frames 4"]
    places: Float[np.ndarray, "n frames 2"]
    futures: Float[np.ndarray, "n horizons 2"]

    @classmethod
    def read(cls, store: Store, split: str) -> Objects:
        """All of a split's sequences whose future is known."""
        rows = (row for log_id in store.log_ids("groups") for row in store.read("groups", log_id).to_pylist())
        groups = [row for row in rows if row["split"] == split and len(row["context"]) == MOST_FRAMES]
        things = [thing for moment in read_moments(store, groups, THUMBNAIL_PX) for thing in moment.objects]
        known = [thing for thing in things if np.isfinite(thing.future_places).all()]
        if not known:
            raise StoreError(f"{store.root} has no sequence of the split {split} whose next 3 s are known")
        return cls(*(np.stack([values(thing) for thing in known]) for values in (_boxes, _places, _futures)))


def _boxes(thing: SeenObject) -> np.ndarray:
    return thing.boxes


def _places(thing: SeenObject) -> np.ndarray:
    return thing.places


def _futures(thing: SeenObject) -> np.ndarray:
    return thing.future_places


def tellings() -> Iterator[tuple[str, Telling]]:
    """What the network is told, with a name."""
    yield "exact places", lambda objects, _: objects.places
    for noise in NOISES:
        yield f"places off by {noise:.0%}", _noisy(noise)
    for width_px, height_px in reversed(SIZES_PX):
        yield f"boxes in {width_px}×{height_px}", _rounded(width_px, height_px)


def _noisy(noise: float) -> Telling:
    spread = np.array([noise, 1.0 / BEARING_SCALE_DEG])
    return lambda objects, rng: objects.places + rng.normal(0.0, 1.0, objects.places.shape) * spread


def _rounded(width_px: int, height_px: int) -> Telling:
    size_px = np.array([width_px, height_px, width_px, height_px])
    return lambda objects, _: np.round(objects.boxes * size_px) / size_px


def foretell(train: Objects, bench: Objects, telling: Telling, seed: int) -> Bool[np.ndarray, "n horizons"]:
    """Train a network and say for each target of the bench and horizon whether it is right.

    Args:
        train: what is learned from.
        bench: what is asked.
        telling: what is told of both.
        seed: of weights, batches and noise.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    shown, future = _features(train, telling, rng), torch.from_numpy(train.futures).float()
    layers = [torch.nn.Linear(shown.shape[1], WIDTH), torch.nn.GELU(), torch.nn.Linear(WIDTH, WIDTH), torch.nn.GELU()]
    network = torch.nn.Sequential(*layers, torch.nn.Dropout(0.1), torch.nn.Linear(WIDTH, future[0].numel()))
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        chosen = torch.from_numpy(rng.integers(len(shown), size=BATCH))
        said = network(shown[chosen]).view(-1, *future.shape[1:])
        optimizer.zero_grad()
        known_huber(said, future[chosen], torch.tensor(WEIGHTS)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        said = network(_features(bench, telling, rng)).view(-1, *future.shape[1:])
    return right(said.numpy(), bench.futures)


def right(
    said: Float[np.ndarray, "n horizons 2"], true: Float[np.ndarray, "n horizons 2"]
) -> Bool[np.ndarray, "n horizons"]:
    """Whether places are near enough, as answers are scored."""
    said_m, true_m = (DISTANCE_SCALE_M * np.exp(places[..., 0]) for places in (said, true))
    said_deg, true_deg = (BEARING_SCALE_DEG * places[..., 1] for places in (said, true))
    return np.asarray(distance_ok(true_m, said_m) & bearing_ok(true_deg, said_deg))


def _features(objects: Objects, telling: Telling, rng: np.random.Generator) -> Float[torch.Tensor, "n features"]:
    told = telling(objects, rng)
    seen = np.isfinite(objects.boxes).all(-1) & np.isfinite(told).all(-1)
    flat = np.where(seen[..., None], told, 0.0).reshape(len(told), -1)
    return torch.from_numpy(np.concatenate([flat, seen], axis=1)).float()


def main() -> None:
    """Print a table: each number the mean of some seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, help="with training drives")
    parser.add_argument("bench", type=Path, help="store of the bench")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    train, bench = (
        Objects.read(Store.open(path), split)
        for path, split in ((arguments.store, "train"), (arguments.bench, "bench"))
    )
    print(
        f"{len(train.boxes)} agents to learn from, {len(bench.boxes)} asked about, mean of {SEEDS} seeds, in per cent\n"
    )
    print("| told | LSR@0 | LSR@1 | LSR@2 | LSR@3 | MLSR | TLC |\n|---|---|---|---|---|---|---|")
    for name, telling in tellings():
        successes = [foretell(train, bench, telling, seed) for seed in range(SEEDS)]
        numbers = np.mean([[*lsr(one), mlsr(one), tlc(one)] for one in successes], axis=0)
        print(f"| {name} | " + " | ".join(f"{100 * number:.1f}" for number in numbers) + " |", flush=True)


if __name__ == "__main__":
    main()
