"""Closer looks: a model asks for a part of a context frame by tool call, and gets it cut from the original.

calls         the text of a tool call, read without trust
crops         where a look is taken and what it shows; presets
distinct      which looks are distinct
views         the frames of a question at original size, and the model's units
session       the looks of one dialogue: calls in, observations out, the budget
environment   the same for TRL's GRPOTrainer
templates     chat templates that keep tool calls; how calls are read out of a turn
trl_processor the library's processor around ours
trl_batch     what TRL's trainer lacks: forced answers, no loss on what is unfinished, crops asserted
tokens        what an observation is in tokens
dialogue      turns and observations in alternation, with any model
cold_start    correct dialogues with looks, written from evidence
collate       these dialogues as batches for supervised tuning
"""
