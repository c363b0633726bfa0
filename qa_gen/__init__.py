"""From tracks to questions: families, templates, truth, evidence, marks and splits."""
