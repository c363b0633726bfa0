"""Ask a model, and write down what it says."""

from eval.predict.asked import SHOWN_COLUMNS, Answer, Answerer, Answering, PromptedQuestion, Unanswered
from eval.predict.batches import in_batches
from eval.predict.endpoint import ServedModel, ask_served, open_served
from eval.predict.outcome import Outcome, Prices
from eval.predict.questions import asked_ids, questions_to_ask, select
from eval.predict.run import ask_questions, predict
from eval.predict.selection import Selection, selection_of
from eval.predict.shown import NO_CONTROL, Control, FramesOf, grey_frames
from eval.predict.vlm import VlmAnswerer, open_vlm, vlm_answerer

__all__ = [
    "NO_CONTROL",
    "SHOWN_COLUMNS",
    "Answer",
    "Answerer",
    "Answering",
    "Control",
    "FramesOf",
    "Outcome",
    "Prices",
    "PromptedQuestion",
    "Selection",
    "ServedModel",
    "Unanswered",
    "VlmAnswerer",
    "ask_questions",
    "ask_served",
    "asked_ids",
    "grey_frames",
    "in_batches",
    "open_served",
    "open_vlm",
    "predict",
    "questions_to_ask",
    "select",
    "selection_of",
    "vlm_answerer",
]
