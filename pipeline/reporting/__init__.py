"""The parts of the run report: reading, summarising, drawing, and writing it down."""
