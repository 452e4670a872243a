"""Faces rendered with known action units, in BP4D's layout (docs/synthetic_faces.md); `writer.ensure_rendered` makes them."""
