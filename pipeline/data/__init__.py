"""Data for training: `images.load_images` and `faces.load_aus`, label noise, splits, batches and augmentation."""
