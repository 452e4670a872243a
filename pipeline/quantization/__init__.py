"""Quantization-aware training and the integer model: what the device computes, in Keras, NumPy and TensorFlow."""
