"""Run folders: their files, their locks, how far a run is, and how it is stopped."""
