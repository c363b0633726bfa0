"""Reasoning traces, written from evidence and tracks when they are read."""
