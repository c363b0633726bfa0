"""Fine-tuning of vision-language models on the questions of a store."""
