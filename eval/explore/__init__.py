"""A local page to look at drives, tracks, questions and answers, and at the questions behind a number."""

from eval.explore.server import explore

__all__ = ["explore"]
