"""The paper's Figure 2 as read off its plot: ResNet-20 on CIFAR-10, a share of the training labels drawn again.

Tallec et al. 2023, arXiv:2303.11803. Reading error about 0.3 points on gains, 1 point on accuracies.
"""

NOISE = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90)  # % of the training labels
READING_ERROR_GAIN, READING_ERROR_ACCURACY = 0.3, 1.0  # points
EPOCHS = 200
BASELINE_ACCURACY = (90.4, 86.9, 83.2, 80.8, 76.5, 70.3, 62.6, 50.6, 38.1, 22.3)  # %
GAINS = {  # points over the baseline, by the method of a configuration
    "quantization": (0.4, 2.1, 3.1, 3.8, 5.5, 7.4, 10.9, 18.2, 19.6, 12.4),
    "dropout": (0.0, 0.1, 2.2, 3.6, 5.2, 9.9, 13.8, 18.4, 20.8, 13.3),
    "pruning": (-2.0, -0.5, 0.7, 0.6, 2.3, 4.7, 10.2, 14.0, 17.1, 16.1),
    "early_stopping": (0.0, 0.4, 0.4, 0.1, 1.1, 0.3, 0.4, 0.1, 2.3, 0.6),
    "weight_decay": (0.0, 0.9, 0.3, -0.8, 0.7, -0.1, -1.3, -0.5, 0.0, 0.2),
}
