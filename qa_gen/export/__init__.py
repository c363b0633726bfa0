"""Questions in the formats of other tools: one file a format."""

from qa_gen.export.questions import FORMATS, export_questions

__all__ = ["FORMATS", "export_questions"]
