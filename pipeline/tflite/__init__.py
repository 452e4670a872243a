"""TFLite files: written from the integer model, verified against it, shipped with a sidecar."""
