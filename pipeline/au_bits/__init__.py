"""Bits chosen by action unit: `python -m pipeline.au_bits_search`."""
