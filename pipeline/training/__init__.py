"""The stages of an experiment, from data to verified files, and the training loop."""
