"""Readers of an outside detector's 3D boxes: one file a format; `read.py` tells them apart."""
