"""Inputs of the benchmarks: a moving real face, crops of rendered faces, damaged files."""
