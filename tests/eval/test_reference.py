"""Rows to read a model's numbers by, in a world where constant velocity is the truth."""

from __future__ import annotations

import pytest

from drive_vqa.errors import StoreError
from eval.reference import as_markdown, reference_rows

NAMES = ["oracle", "constant_position", "constant_velocity", "class_median", "text_only", "majority"]


@pytest.fixture(scope="module")
def rows(world):
    return reference_rows(world, ["test"])


def test_the_oracle_reaches_all_and_constant_velocity_too(rows):
    assert list(rows) == NAMES
    for name in ("oracle", "constant_velocity"):
        assert rows[name]["localization.mlsr"].value == rows[name]["localization.tlc"].value == 1.0
    assert rows["constant_position"]["localization.mlsr"].value < 1.0


def test_what_is_learned_from_training_is_not_asked_about_it(world):
    assert list(reference_rows(world, ["train", "test"])) == NAMES[:3]


def test_each_row_has_its_counts(rows):
    head, _, oracle, *_ = as_markdown(rows).splitlines()
    assert head.endswith("| targets | questions |")
    assert oracle.startswith("| oracle | 100.0 | 100.0 | 100.0 | 100.0 | 100.0 [")
    assert oracle.endswith(f"| 36 | {rows['oracle']['accuracy'].n} |")


def test_a_split_without_questions_is_said(world):
    with pytest.raises(StoreError, match="no questions in split bench"):
        reference_rows(world, ["bench"])
