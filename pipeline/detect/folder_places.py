"""Where each picture and video goes in a folder of many."""

from pathlib import Path

from pipeline.detect.inputs import Inputs, Source
from pipeline.detect.originals import Originals

IMAGE_FORMATS = {".jpg": ".jpg", ".jpeg": ".jpg", ".png": ".png", ".webp": ".webp", ".bmp": ".bmp"}


class FolderPlaces:
    """Paths in a folder under the inputs' own names, none of them twice, none of them an original."""

    def __init__(self, folder: Path, originals: Originals):
        self._folder, self._originals = folder, originals
        self._used: set[Path] = set()

    def next(self, source: Source) -> Path:
        """The path for a source, which will now be written; raises UserError if it is that of an original."""
        first = path = self._folder / _target(source)
        number = 1
        while path in self._used:
            number += 1
            path = first.with_name(f"{first.stem}-{number}{first.suffix}")
        self._originals.check(path)
        self._originals.note_written(path)
        self._used.add(path)
        return path


def check_places(folder: Path, inputs: Inputs, originals: Originals) -> None:
    """Raise UserError if a picture in the folder would take the place of an original, as far as inputs are known."""
    places = FolderPlaces(folder, originals)
    for source in inputs.sources if inputs.count is not None else ():
        places.next(source)


def _target(source: Source) -> Path:
    """The name of a source's picture or video below the folder of all."""
    short = Path(source.short)
    keeps = source.kind == "image" and short.suffix.lower() in IMAGE_FORMATS
    return short if keeps else short.with_suffix(".jpg" if source.kind == "image" else ".mp4")
