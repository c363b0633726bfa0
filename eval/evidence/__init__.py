"""Grounded evidence: what a trace claims to see, when and where, against what the tracks say."""
