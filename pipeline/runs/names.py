"""What the files and folders of runs, trainings and studies are called, and the versions of their formats."""

RUN_FORMAT = 1
LOCK = ".lock"
CONFIG, RESOLVED, ENVIRONMENT = "config.yaml", "resolved.yaml", "environment.json"
STATUS, DATA, BASELINE, LOG = "status.json", "data.json", "baseline.json", "log.txt"
NETWORK = "network.json"  # of a run with a network of the user's own
REPORT = "report.html"  # of a run or a study
METRICS, SCORES, VERIFICATION, NOISE = "metrics.jsonl", "scores.json", "verification.json", "noise.npz"  # of a training
BEST_WEIGHTS, CURVES = "best.weights.h5", "tensorboard"  # of a training
STUDY_FORMAT = 2
STUDY_MANIFEST, STUDY_TEXT, TRIALS = "study.json", "study.yaml", "trials"  # of a study
