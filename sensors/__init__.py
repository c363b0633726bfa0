"""Driving-log readers, tracks and the synthetic world."""
