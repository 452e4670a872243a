"""BP4D-Spontaneous or any folder in its layout: `load.read_faces`, `folds.fold_split`, and `layout` for who writes one."""
