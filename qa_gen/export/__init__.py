"""Questions in the formats of other tools: one file a format, see `questions.export_questions`."""
