"""`python -m pipeline.au_bits_search`: see pipeline.au_bits.search."""

import sys

from pipeline.au_bits.search import main

if __name__ == "__main__":
    sys.exit(main())
