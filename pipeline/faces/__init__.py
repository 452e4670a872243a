"""Faces in images: reading files, finding and tracking faces, cropping them as in training (no TensorFlow)."""
