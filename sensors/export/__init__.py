"""Tracks of a store in the result formats of other tools' evaluations."""
