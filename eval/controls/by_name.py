"""All controls and probes by the names that the command line knows."""

from __future__ import annotations

from collections.abc import Callable

from drive_vqa.errors import ConfigError
from eval.controls.boxes_as_text import boxes_as_text
from eval.controls.mirror import mirror
from eval.controls.other_log import other_log
from eval.controls.pictures import blank, hide, no_image, shuffled
from eval.controls.reasoning import without_reasoning
from eval.controls.swap_roles import swap_roles
from eval.controls.wording import Reword, option_order, paraphrase
from eval.predict.shown import NO_CONTROL, Control

CONTROLS: dict[str, Callable[[int], Control]] = {
    "blank": lambda _seed: blank(),
    "no_image": lambda _seed: no_image(),
    "shuffled": shuffled,
    "other_log": other_log,
    "hide_evidence": lambda _seed: hide("evidence"),
    "hide_region": lambda _seed: hide("region"),
    "hide_random": lambda seed: hide("random", seed),
    "boxes_as_text": lambda _seed: boxes_as_text(),
    "without_reasoning": lambda _seed: without_reasoning(),
    "option_order": option_order,
    "swap_roles": lambda _seed: swap_roles(),
    "mirror": lambda _seed: mirror(),
}
"""Control by name, from a seed; `paraphrase` needs more."""

PARAPHRASE = "paraphrase"
PROBES = (PARAPHRASE, "option_order", "swap_roles", "mirror")
"""Those whose answers are compared with those to the questions as they are, see `eval.consistency`."""

NAMES = (*CONTROLS, PARAPHRASE)


def control_of(name: str | None, *, seed: int = 0, reword: Reword | None = None) -> Control:
    """The control of a name.

    Args:
        name: one of NAMES; None: nothing is changed.
        seed: of what is drawn.
        reword: who knows other wordings, for `paraphrase`.

    Raises:
        ConfigError: there is no such control, or `paraphrase` has no other wordings.
    """
    if name is None:
        return NO_CONTROL
    if name == PARAPHRASE:
        if reword is None:
            raise ConfigError("paraphrase needs other wordings: give `qa_gen.rewording.reword`")
        return paraphrase(reword)
    if name not in CONTROLS:
        raise ConfigError(f"there is no control {name!r}: choose one of {', '.join(NAMES)}")
    return CONTROLS[name](seed)
