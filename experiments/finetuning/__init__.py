"""Fine-tuning: its parts; `experiments.finetune` runs it."""
