"""Models of each family with random weights; tests copy one before they change it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from drive_vqa.vlm import Vlm, load_vlm
from finetune.adapter import prepare
from finetune.collate import Collator
from tests.finetune.guards.painted_lessons import LANGUAGE_ONLY, LESSONS, collator_of
from tests.finetune.tiny_families import TINY_TYPES, make_tiny_family


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {kind: make_tiny_family(kind, root / kind) for kind in TINY_TYPES}


@pytest.fixture(scope="session")
def families(folders: dict[str, Path]) -> dict[str, Vlm]:
    """Random weights; tests copy a model before they change it."""
    return {kind: load_vlm(folder, device="cpu") for kind, folder in folders.items()}


@pytest.fixture(scope="session")
def fresh(families: dict[str, Vlm]) -> Vlm:
    return families["qwen2_5_vl"]


@pytest.fixture(scope="session")
def collator(fresh: Vlm) -> Collator:
    return collator_of(fresh.processor)


@pytest.fixture(scope="session")
def batches(collator: Collator) -> list[dict[str, torch.Tensor]]:
    return [collator([(shown,)]) for shown in LESSONS]


@pytest.fixture
def adapted(fresh: Vlm) -> Any:
    return prepare(copy.deepcopy(fresh.model), fresh.family, LANGUAGE_ONLY, Path("x"))
