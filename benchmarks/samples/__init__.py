"""What benchmarks look at: a real face that moves, damaged files."""
