"""Action units as labels: sets of labelled faces, label noise, metrics, confidence intervals and thresholds, in NumPy."""
