"""`python -m pipeline.deployment tflite_out/NAME`: see pipeline.tflite.ship."""

import sys

from pipeline.tflite.ship import main

if __name__ == "__main__":
    sys.exit(main())
