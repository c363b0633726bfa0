"""One self-contained HTML page that tells how a model did: numbers, plots, questions and boxes on images."""

from eval.report.page import write_report

__all__ = ["write_report"]
