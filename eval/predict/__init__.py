"""Ask a model, and write down what it says."""

from eval.predict.asked import SHOWN_COLUMNS, Answer, Answerer, PromptedQuestion, questions_to_ask
from eval.predict.run import predict
from eval.predict.shown import FramesOf, frames_shown, grey_frames
from eval.predict.vlm import VlmAnswerer, open_vlm, vlm_answerer

__all__ = [
    "SHOWN_COLUMNS",
    "Answer",
    "Answerer",
    "FramesOf",
    "PromptedQuestion",
    "VlmAnswerer",
    "frames_shown",
    "grey_frames",
    "open_vlm",
    "predict",
    "questions_to_ask",
    "vlm_answerer",
]
