"""The whole panel, part by part."""

from __future__ import annotations

from eval.cases import find_targets
from eval.panel.answered import Answered
from eval.panel.dangers import dangers
from eval.panel.located import localization, locate
from eval.panel.overall import grounding, overall, parsing, speeds
from eval.panel.predicted import prediction
from eval.panel.question_types import question_types
from eval.panel.slices import slices
from eval.statistics import Sample


def panel(answered: Answered) -> dict[str, Sample]:
    """Every metric's sample by name, in a stable order."""
    targets = find_targets(answered.cases)
    located = locate(answered, targets)
    samples: dict[str, Sample] = {}
    for part in (
        overall(answered),
        question_types(answered),
        localization(located),
        speeds(answered),
        prediction(answered, targets),
        grounding(answered),
        dangers(answered, targets),
        parsing(answered),
        slices(answered, targets, located),
    ):
        samples.update(part)
    return samples
