"""BP4D-Spontaneous, or any folder in its layout, as face crops with labels of action units."""

from pipeline.data.bp4d.folds import BP4D_PARTS, fold_split
from pipeline.data.bp4d.load import load_aus

__all__ = ["BP4D_PARTS", "fold_split", "load_aus"]
