"""A first lesson for a vision tower with random weights: where are the marks, and how far away?

A head that is thrown away afterwards reads each cell of the tower's output (28×28 pixels, one language token) and says for
every mark number whether that mark covers the cell, the mark's box, the logarithm of its distance and its bearing. It also says
where in the picture the cell itself is, since a tower with rotary positions knows only how far apart two patches are. Whether a
mark is there is read by the language model's own embeddings of the digits, so that a mark and the word for it look alike from
the start. One picture teaches some hundred numbers this way, a question and its answer only a few; without this the tiny model
hardly learns to see in any time that a person would wait.

Mark numbers are dealt anew and half of the pictures are mirrored at each visit, so that a number's colour and sign are learned
and not its place.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps

from drive_vqa.errors import ConfigError
from drive_vqa.geometry import bearing_deg
from drive_vqa.marks import MARK_COLORS_RGB, draw_marks, open_image, regions_at
from drive_vqa.store import Store
from drive_vqa.tracking import Run
from drive_vqa.vlm import ChatProcessor, Vlm
from finetune.config import DensePretraining, FinetuneConfig
from finetune.dataset import Row
from finetune.muon import MuonWithAdamW

logger = logging.getLogger(__name__)

NUMBERS = len(MARK_COLORS_RGB)
TARGETS = 6
"""Regressed for each mark: box (u0, v0, u1, v1 as shares of the picture), ln(distance / 20 m), bearing / 45°."""
MOST_MARKS = 6
"""Marks drawn in one picture."""
DISTANCE_SCALE_M = 20.0
BEARING_SCALE_DEG = 45.0
PRESENCE_WEIGHT = 1.0
TARGET_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 3.0, 1.0)
"""Distance is the hardest of them."""
PLACE_WEIGHT = 2.0
HUBER_DELTA = 0.1
PRESENCE_PRIOR = -3.5
"""First logit: a given mark covers about one cell in thirty, and learning that takes longer than all the rest."""


@dataclass(frozen=True)
class MarkedObject:
    """One object in a picture: its box as shares of width and height, and where it is."""

    box: tuple[float, float, float, float]
    distance_m: float
    bearing_deg: float


@dataclass(frozen=True)
class Picture:
    """A frame without marks, resized, and the objects that can be marked in it."""

    image: Image.Image
    objects: tuple[MarkedObject, ...]


@dataclass(frozen=True, eq=False)
class Reading:
    """What the head reads out of cells.

    Attributes:
        presence: logit that a mark covers the cell.
        targets: of the mark, see `TARGETS`.
        place: of the cell itself, down and to the right, from -1 to 1.
    """

    presence: Float[torch.Tensor, "pictures cells numbers"]
    targets: Float[torch.Tensor, "pictures cells numbers targets"]
    place: Float[torch.Tensor, "pictures cells 2"]


class DenseHead(torch.nn.Module):
    """Reads presence and the six targets of every mark number out of each cell, and the cell's own place."""

    def __init__(self, digits: Float[torch.Tensor, "numbers width"]) -> None:
        """Prepare.

        Args:
            digits: embeddings of the mark numbers in the language model; they stay as they are.
        """
        super().__init__()
        width = digits.shape[1]
        self.digits: torch.Tensor
        self.register_buffer("digits", torch.nn.functional.normalize(digits.detach().float(), dim=1))
        self.sharpness = torch.nn.Parameter(torch.ones(()))
        self.prior = torch.nn.Parameter(torch.full((NUMBERS,), PRESENCE_PRIOR))
        self.norm = torch.nn.LayerNorm(width)
        self.targets = torch.nn.Linear(width, NUMBERS * TARGETS)
        self.place = torch.nn.Linear(width, 2)

    def forward(self, cells: Float[torch.Tensor, "pictures cells width"]) -> Reading:
        """Read the cells of some pictures."""
        normed = self.norm(cells)
        likeness = torch.nn.functional.rms_norm(cells, cells.shape[-1:]) @ self.digits.T
        targets = self.targets(normed).unflatten(-1, (NUMBERS, TARGETS))
        return Reading(self.sharpness * likeness + self.prior, targets, self.place(normed))


def pretrain_vision(vlm: Vlm, store: Store, groups: Sequence[Row], config: FinetuneConfig, run: Run) -> None:
    """Train the vision tower of a model on the frames of some groups; the rest of the model is not touched.

    Args:
        vlm: whose vision tower, or an adapter's copy of it, is trained.
        store: where the groups' logs are.
        groups: what is learned about later; nothing else is looked at.
        config: `dense_pretraining`, seed and image size.
        run: where losses go.

    Raises:
        ConfigError: the vision tower is frozen or of another kind, or no object of the groups can be seen.
    """
    settings = config.dense_pretraining
    visual = vision_tower(vlm.model)
    trained = [(name, parameter) for name, parameter in visual.named_parameters() if parameter.requires_grad]
    if not trained:
        raise ConfigError(
            "dense_pretraining trains the vision tower: set method=full and learning_rates.vision, add visual to "
            "lora.modules_to_save, or set dense_pretraining.steps=0"
        )
    pictures = read_pictures(store, groups, config.image_size_px)
    if not pictures:
        raise ConfigError("dense_pretraining found no marked object in the frames of this split: set steps=0")
    head = DenseHead(digit_embeddings(vlm)).to(vlm.device)
    optimizer = MuonWithAdamW(
        [*trained, *head.named_parameters()],
        learning_rate=settings.learning_rate,
        muon_learning_rate=settings.muon_learning_rate,
        weight_decay=0.0,
    )
    _loop(visual, head, optimizer, pictures, vlm.processor, config, run)


def vision_tower(model: Any) -> Any:
    """The vision tower of a model, whatever adapters and wrappers are around it.

    Raises:
        ConfigError: it has none of Qwen's kind.
    """
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "visual":
            return module
    raise ConfigError("dense_pretraining knows the vision towers of Qwen's models alone: set dense_pretraining.steps=0")


def digit_embeddings(vlm: Vlm) -> Float[torch.Tensor, "numbers width"]:
    """What the language model reads where a text names a mark.

    Raises:
        ConfigError: the tokenizer writes a digit in several tokens.
    """
    tokenized = [
        vlm.processor.tokenizer(str(number), add_special_tokens=False)["input_ids"] for number in range(NUMBERS)
    ]
    if any(len(ids) != 1 for ids in tokenized):
        raise ConfigError(
            "dense_pretraining needs a tokenizer with a token for each digit: set dense_pretraining.steps=0"
        )
    weight: torch.Tensor = vlm.model.get_input_embeddings().weight
    return weight[[ids[0] for ids in tokenized]].detach()


def _loop(
    visual: Any,
    head: DenseHead,
    optimizer: torch.optim.Optimizer,
    pictures: Sequence[Picture],
    processor: ChatProcessor,
    config: FinetuneConfig,
    run: Run,
) -> None:
    settings = config.dense_pretraining
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, settings.steps))
    rng = np.random.default_rng([config.seed, 1])
    device = next(head.parameters()).device
    visual.train()
    for step, batch in enumerate(_batches(pictures, settings, rng), start=1):
        inputs = processor.images([image for image, _ in batch]).inputs
        grid = inputs["image_grid_thw"]
        output = visual(inputs["pixel_values"].to(device), grid_thw=grid.to(device))
        cells_high, cells_wide = (int(value) // processor.merge_size for value in grid[0, 1:])
        targets = torch.stack([cell_targets(marked, cells_high, cells_wide) for _, marked in batch]).to(device)
        loss = dense_loss(head(output.pooler_output.float().unflatten(0, (len(batch), -1))), targets, cells_wide)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([*visual.parameters(), *head.parameters()], config.max_grad_norm)
        optimizer.step()
        scheduler.step()
        if step % config.log_steps == 0:
            run.log_metrics({"dense/loss": loss.item()}, step=step)
            logger.info("vision tower, step %d/%d  loss %.4f", step, settings.steps, loss.item())


def read_pictures(store: Store, groups: Sequence[Row], size_px: tuple[int, int]) -> list[Picture]:
    """Every frame of the groups once, with all objects that are marked in it in some group."""
    views: dict[tuple[str, str], tuple[Row, dict[str, MarkedObject]]] = {}
    places: dict[str, dict[tuple[int, str], tuple[float, float]]] = {}
    for group in groups:
        log_id = group["log_id"]
        if log_id not in places:
            places[log_id] = _places(store, log_id)
        for context, view in enumerate(group["context"]):
            _, objects = views.setdefault((log_id, view["path"]), (view, {}))
            objects.update(_objects(group, context, view, places[log_id]))
    pictures = []
    for (log_id, path), (view, objects) in views.items():
        if objects:
            image = open_image(store.media_path(log_id, path), (view["width"], view["height"]))
            resized = image.resize(size_px, Image.Resampling.BILINEAR, reducing_gap=2.0)
            pictures.append(Picture(resized, tuple(objects.values())))
    return pictures


def cell_targets(
    marked: dict[int, MarkedObject], cells_high: int, cells_wide: int
) -> Float[torch.Tensor, "cells numbers targets_and_presence"]:
    """What the head should say: for each cell and mark number the six targets, and 1 where the mark covers the cell.

    A mark covers the cells whose centre lies in its box, and always the one with the box's centre in it.
    """
    targets = torch.zeros(cells_high, cells_wide, NUMBERS, TARGETS + 1)
    centres_v = (torch.arange(cells_high) + 0.5) / cells_high
    centres_u = (torch.arange(cells_wide) + 0.5) / cells_wide
    for number, thing in marked.items():
        u0, v0, u1, v1 = thing.box
        covered = ((centres_v >= v0) & (centres_v <= v1))[:, None] & ((centres_u >= u0) & (centres_u <= u1))[None, :]
        row, column = int((v0 + v1) / 2 * cells_high), int((u0 + u1) / 2 * cells_wide)
        covered[min(row, cells_high - 1), min(column, cells_wide - 1)] = True
        log_distance = math.log(max(thing.distance_m, 0.1) / DISTANCE_SCALE_M)
        values = torch.tensor([*thing.box, log_distance, thing.bearing_deg / BEARING_SCALE_DEG, 1.0])
        targets[:, :, number % NUMBERS] = torch.where(covered[..., None], values, targets[:, :, number % NUMBERS])
    return targets.flatten(0, 1)


def dense_loss(
    reading: Reading, targets: Float[torch.Tensor, "pictures cells numbers targets_and_presence"], cells_wide: int
) -> Float[torch.Tensor, ""]:
    """Cross-entropy of presence, a Huber loss of the targets where a mark is present, and one of the cells' own places.

    A mark that covers n cells weighs √n: with n, the few near objects would be all that is learned.
    """
    present = targets[..., -1]
    found = torch.nn.functional.binary_cross_entropy_with_logits(reading.presence, present, reduction="sum")
    off = _huber(reading.targets, targets[..., :-1]) @ torch.tensor(TARGET_WEIGHTS, device=present.device)
    weight = present / present.sum(dim=1, keepdim=True).clamp(min=1).sqrt()
    misplaced = _huber(reading.place, cell_places(targets.shape[1] // cells_wide, cells_wide).to(present.device)).mean()
    found_of_marks = PRESENCE_WEIGHT * found / present.sum().clamp(min=1)
    return found_of_marks + (off * weight).sum() / weight.sum().clamp(min=1) + PLACE_WEIGHT * misplaced


def cell_places(cells_high: int, cells_wide: int) -> Float[torch.Tensor, "cells 2"]:
    """Where the centre of each cell is, down and to the right, from -1 to 1."""
    down, right = ((2 * torch.arange(count) + 1) / count - 1 for count in (cells_high, cells_wide))
    return torch.stack(torch.meshgrid(down, right, indexing="ij"), dim=-1).flatten(0, 1)


def _huber(predicted: Float[torch.Tensor, "..."], truth: Float[torch.Tensor, "..."]) -> Float[torch.Tensor, "..."]:
    """In units of its own delta, so that it grows by 1 a unit."""
    return (
        torch.nn.functional.huber_loss(predicted, truth.expand_as(predicted), reduction="none", delta=HUBER_DELTA)
        / HUBER_DELTA
    )


def _batches(
    pictures: Sequence[Picture], settings: DensePretraining, rng: np.random.Generator
) -> Iterator[list[tuple[Image.Image, dict[int, MarkedObject]]]]:
    """Pictures in a new order at each pass, `steps` batches in all."""
    order: list[int] = []
    for _ in range(settings.steps):
        while len(order) < settings.batch_size:
            order += rng.permutation(len(pictures)).tolist()
        chosen, order = order[: settings.batch_size], order[settings.batch_size :]
        yield [_marked(pictures[index], rng) for index in chosen]


def _marked(picture: Picture, rng: np.random.Generator) -> tuple[Image.Image, dict[int, MarkedObject]]:
    """Numbers dealt at random to some of the objects; mirrored at every other visit on average."""
    mirrored = bool(rng.integers(2))
    image = ImageOps.mirror(picture.image) if mirrored else picture.image
    count = min(len(picture.objects), MOST_MARKS)
    chosen = rng.choice(len(picture.objects), count, replace=False)
    numbers = rng.choice(NUMBERS, count, replace=False)
    marked = {
        int(number): _mirror(picture.objects[index]) if mirrored else picture.objects[index]
        for number, index in zip(numbers, chosen, strict=True)
    }
    boxes = {number: thing.box for number, thing in marked.items()}
    return draw_marks(image, boxes, (float(image.width), float(image.height))), marked


def _mirror(thing: MarkedObject) -> MarkedObject:
    u0, v0, u1, v1 = thing.box
    return MarkedObject((1 - u1, v0, 1 - u0, v1), thing.distance_m, -thing.bearing_deg)


def _places(store: Store, log_id: str) -> dict[tuple[int, str], tuple[float, float]]:
    """(x, y) in metres in the ego frame, by frame and track."""
    table = store.read("tracks", log_id, ["frame", "track_id", "x_m", "y_m"])
    frames, tracks, xs_m, ys_m = (column.to_pylist() for column in table.columns)
    return {(frame, track): (x_m, y_m) for frame, track, x_m, y_m in zip(frames, tracks, xs_m, ys_m, strict=True)}


def _objects(
    group: Row, context: int, view: Row, places: dict[tuple[int, str], tuple[float, float]]
) -> dict[str, MarkedObject]:
    tracks = {mark["mark"]: mark["track_id"] for mark in group["marks"]}
    objects = {}
    for number, (u0, v0, u1, v1) in regions_at(group, context).items():
        place = places.get((view["frame"], tracks[number]))
        if place is not None:
            box = (u0 / view["width"], v0 / view["height"], u1 / view["width"], v1 / view["height"])
            objects[tracks[number]] = MarkedObject(box, float(np.hypot(*place)), float(bearing_deg(*place)))
    return objects


def _rate(step: int, steps: int) -> float:
    """Learning rate as a share of its peak: 5 % rising, then a cosine to 0."""
    rising = max(1, round(0.05 * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
