"""The README of a merged checkpoint: what it is, and how to ask it as it was taught."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CARD = "README.md"

_REGIONS = {
    "marks": (
        "Regions are drawn on the images after resizing, each with a number and a colour of its own, and questions call them "
        '"Region 3". Draw them with `drive_vqa.marks.marked_frames`.'
    ),
    "boxes": "Nothing is drawn on the images: questions give regions as boxes in the text.",
    "descriptions": "Nothing is drawn on the images: questions describe regions in words.",
}
"""By `drive_vqa.region_forms.RegionForm`."""

_TEMPLATE = """\
---
base_model: {base}
pipeline_tag: image-text-to-text
tags: [autonomous-driving, visual-question-answering]
---

# {name}

A vision-language model for questions about driving scenes: {base}, tuned with drive-vqa {code_version} (method {method},
{questions} questions, data set `{dataset_digest}`). It answers in text; numbers are in metres, degrees, metres per second and
seconds.

## How to ask

- **Images** are {width}×{height} pixels (width × height), resized before anything is drawn. Other sizes change what the model was
  taught, and boxes in its answers.
- **Regions**: {regions}
- **Prompt**: one user turn. For each image, oldest first, a line that says when it was taken ("0.5 seconds ago:", the present is
  "Now:") and then the image; last the question, with lettered options on lines of their own.
  `drive_vqa.prompt.build_messages` writes it, `drive_vqa.chat_request.chat_request` as a request to a server.
- **Answers** are greedy (temperature 0), without a penalty on repeating.
- **Boxes in answers** are in the model's own coordinates: `ChatProcessor.from_model_text` turns them into pixels of the original
  image.

## How it was made

Weights are {dtype}. Logits of a probe differ from those of the unmerged model by {difference:.1e} of their spread.

```json
{record}
```
"""


def model_card(name: str, record: Mapping[str, Any], size_px: tuple[int, int]) -> str:
    """The text of the card.

    Args:
        name: of the folder.
        record: what is known of the training: base_name, code_version, method, questions, dataset_digest, regions, dtype,
            merge_difference; some may be missing.
        size_px: (width, height) of the images that it was tuned on.
    """
    return _TEMPLATE.format(
        name=name,
        base=record.get("base_name", "unknown"),
        code_version=record.get("code_version", "unknown"),
        method=record.get("method", "lora"),
        questions=record.get("questions", "unknown"),
        dataset_digest=record.get("dataset_digest", "unknown"),
        width=size_px[0],
        height=size_px[1],
        regions=_REGIONS[record.get("regions", "marks")],
        dtype=record.get("dtype", "unknown"),
        difference=record.get("merge_difference", float("nan")),
        record=json.dumps(dict(record), indent=1, sort_keys=True),
    )
