"""A real face for the tests: Eileen Collins, NASA (public domain), 240 x 240 pixels."""

from pathlib import Path

import numpy as np

from pipeline.faces.image_files import read_image

PORTRAIT_FILE = Path(__file__).resolve().parents[1] / "portrait.jpg"
PORTRAIT = read_image(PORTRAIT_FILE)
RIGHT_EYE, LEFT_EYE = np.array([99.0, 90.5]), np.array([143.0, 93.5])  # located by hand, in pixels
