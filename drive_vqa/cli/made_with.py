"""What the rows of an experiment were made with, the embedded base and the recipes: rows of others would have the same names."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from drive_vqa.config import to_dict
from drive_vqa.errors import ConfigError
from drive_vqa.store import read_json_object, write_json

MADE_WITH = "made_with.json"


def hold_made_with(out: Path) -> None:
    """Write down what rows of this folder are made with, or see that it is still the same.

    Args:
        out: folder of the experiment.

    Raises:
        ConfigError: rows are there that were made with another base or another recipe.
        StoreError: the file that tells cannot be read.
    """
    own, path = _made_with(), out / MADE_WITH
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, own)
        return
    kept = read_json_object(path)
    others = sorted(name for name in own.keys() | kept.keys() if own.get(name) != kept.get(name))
    if others:
        raise ConfigError(
            f"{out} was made with another {', '.join(others)}: give --out another folder, or delete {path} and the rows "
            "that are to be made anew"
        )


def _made_with() -> dict[str, str]:
    from drive_vqa.vlm.source import EMBEDDED
    from drive_vqa.weights_digest import weights_digest
    from finetune.config import load_recipe
    from finetune.refine.config import load_recipe as load_refinement

    settings = {
        "recipe tiny": load_recipe("tiny"),
        "refinement tiny": load_refinement("tiny"),
        "refinement tiny_answers": load_refinement("tiny_answers"),
    }
    texts = {name: json.dumps(to_dict(one), sort_keys=True) for name, one in settings.items()}
    return {
        "base": weights_digest(EMBEDDED),
        **{name: sha256(text.encode()).hexdigest() for name, text in texts.items()},
    }
