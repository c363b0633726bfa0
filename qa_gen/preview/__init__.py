"""A page of questions of every type, with what they are about, to be read by a person."""

from qa_gen.preview.page import write_preview

__all__ = ["write_preview"]
