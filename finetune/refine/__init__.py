"""Reinforcement learning whose rewards the tracks verify.

sequences.py  prompts and the dialogues behind them
sampling.py   several answers to each prompt, with every prompt read once
packed.py     log-probabilities of all dialogues behind a prompt in one sequence
"""
