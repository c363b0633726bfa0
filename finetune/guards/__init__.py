"""Checks that stop or warn a training run in which something is silently wrong; each is proved by a test that breaks it."""
