"""Reading what a model says before it answers: steps with evidence, in four dialects.

- trace.py: the claims of a trace, and what can be malformed in one
- parts.py: text → thoughts, answer and what else stands between tags
- forms.py: how evidence is written in each dialect
- claims.py: steps → claims
- read.py: text → trace
- hostile.py: texts that no honest model writes
- fuzz.py: what the parser makes of them, and how long the slowest takes
"""
