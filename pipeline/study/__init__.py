"""Studies: variants of one experiment over conditions, seeds and folds, run through keras-tuner."""
