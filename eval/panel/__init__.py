"""All metrics of one answerer: stable dotted names, each with the cases it is taken over.

    accuracy, coverage                        all questions; the share that has an answer
    family.F.accuracy, form.F.accuracy        families and forms
    type.T.<measure>                          question types
    localization.*, speed.sr.*                success in place and speed, and its consistency in time (eval.localization)
    prediction.*                              errors in metres over 1, 2, 3 s (eval.trajectory)
    grounding.tiou, grounding.miou            mean temporal IoU of intervals, mean IoU of boxes; no answer counts 0
    safety.*                                  dangerous mistakes (eval.safety), by class and range bin too
    parse.*                                   answers that could not be read
    slice.DIMENSION.VALUE.<metric>            the headline metrics over a part of the targets, and of the questions

In success rates a missing, unread or refused answer fails; names in `_parsed_only` leave it out. A horizon that was not asked of
a target fails too and shows in the coverage; names in `_asked_only` leave it out, so that perfect answers make them 1. Errors and
safety rates are taken over the answers that were read, as n says. A metric over no cases has value null and n = 0.
`docs/metrics.md` defines every name.
"""

from eval.panel.answered import Answered, estimates
from eval.panel.dangers import hallucination_on_control
from eval.panel.located import success_cells
from eval.panel.parts import slug
from eval.panel.whole import panel
from eval.statistics import Sample

__all__ = ["Answered", "Sample", "estimates", "hallucination_on_control", "panel", "slug", "success_cells"]
