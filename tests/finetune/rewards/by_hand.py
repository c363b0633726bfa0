"""Questions and completions made by hand."""

from dataclasses import replace

from drive_vqa.schema import TRUTH
from eval.evidence.truth import TrueBox, TrueEvidence, TrueFrame
from eval.reasoning.read import read_trace
from finetune.rewards.completion import Completion
from finetune.rewards.truth import Truth

FRAMES = tuple(TrueFrame(offset_s, 640, 480) for offset_s in (-1.0, -0.5, 0.0))
BEFORE = TrueBox(3, 0, -1.0, (100.0, 100.0, 140.0, 120.0), 20.0, 10.0)
NOW = TrueBox(3, 2, 0.0, (200.0, 100.0, 240.0, 120.0), 18.0, 8.0)
EVIDENCE = TrueEvidence(FRAMES, (BEFORE, NOW), ())
NOTHING = TrueEvidence(FRAMES, (), ())


def truth_about(answer_type="choice", *, evidence=EVIDENCE, **changes):
    """A truth; keywords that are fields of an answer go into the answer, the others replace fields of the truth."""
    fields = {name: changes.pop(name) for name in (*TRUTH.names, "text") if name in changes}
    answer = {**dict.fromkeys(TRUTH.names), **(fields or {"choice": "left"})}
    usual = Truth("q", "future", "kind", answer_type, answer, ("left", "right"), (3,), None, {}, evidence)
    return replace(usual, **changes)


def seen(box, at, name="Region 3"):
    numbers = ",".join(f"{value:.0f}" for value in getattr(box, "box_px", box))
    return f"<obj>{name}</obj><box>[{numbers}]</box>at<t>{at}</t>s"


def said(*steps, answer="left", dialect="drive", looks=(), finished=True, first_s=-1.0):
    """A completion with these steps; none: a direct answer."""
    thought = "".join(f"{step}\n" for step in steps)
    text = (f"<think>\n{thought}</think>\n" if steps else "") + f"<answer>{answer}</answer>"
    return Completion(text, read_trace(text, dialect, first_s=first_s), tuple(looks), finished)


HONEST = (seen(BEFORE, -1.0) + " was at <pos>20.0 m, 10°</pos>.", seen(NOW, 0.0) + " is at <pos>18.0 m, 8°</pos>.")
