"""Reinforcement learning whose rewards the tracks verify, through TRL's GRPOTrainer.

config          settings; recipes/ has those of three published systems and ours
run             `drive-vqa refine`, from a tuned run to a refined adapter
task            questions and model, before there is a trainer
asked           questions with their groups and truths
prompts         the same as TRL draws them; frames are read when they are shown
policy          the model, with an adapter that learns
trainer         settings in TRL's words

shared_prompts  TRL's trainer with every prompt read once for all its answers
sequences       prompts and the dialogues behind them
rollout         what a batch of answers was shown, until it is learned on
sampling        several answers to each prompt
packed          log-probabilities of all dialogues behind a prompt in one sequence
parity          sampling, learning and the library compute with one model
turn_processor  what TRL asks a processor for
frames          a frame in the messages of a prompt

recorder        numbers to MLflow and log.jsonl
answers         sampled answers as tables and pages (sampled, answer_page)
"""
