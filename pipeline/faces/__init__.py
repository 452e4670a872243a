"""Faces in images: reading files, finding a face, cutting it out as the networks were trained on it (no TensorFlow)."""
