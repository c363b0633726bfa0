"""Rewards of grounded reinforcement learning, one pure function a file, computed from what the tracks say.

`presets.PRESETS` combines them; `score.score_completions` is what a trainer calls, `trl.reward_functions` the same for TRL.
"""
