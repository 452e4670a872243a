"""The files that no output may take the place of: those of the model, and the inputs."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.detect.inputs import Inputs, Source
from pipeline.errors import UserError


class Originals:
    """Knows the model's files and, as they come, the inputs; `outputs` are the files named on the command line."""

    def __init__(self, model_files: Iterable[Path], outputs: Iterable[str]):
        self._owners = {_identity(path): "a file of the model" for path in model_files}
        self._outputs, self._written = tuple(outputs), set()

    def keep(self, inputs: Inputs) -> Inputs:
        """The same inputs; each is looked at now, or when a list on stdin names it.

        Raises UserError, then or later, if an output is an original.
        """
        if inputs.count is None:
            self._check_outputs()
            return replace(inputs, sources=self._kept(inputs.sources))
        for source in inputs.sources:
            self._add(source)
        self._check_outputs()
        return inputs

    def check(self, path: str | Path) -> None:
        """Raise UserError if writing to the path would replace an original."""
        owner = self._owners.get(_identity(path))
        if owner:
            raise UserError(f"{path}: would overwrite {owner}. Choose another place for the output")

    def note_written(self, path: Path) -> None:
        """Remember what the run itself wrote: it is no input."""
        self._written.add(os.path.realpath(path))

    def _kept(self, sources: Iterable[Source]) -> Iterator[Source]:
        for source in sources:
            if os.path.realpath(source.name) in self._written:
                raise UserError(f"{source.name}: named as an input, but this run has written it. Choose another place")
            self._add(source)
            self._check_outputs()
            yield source

    def _add(self, source: Source) -> None:
        if source.kind != "camera":
            self._owners.setdefault(_identity(source.name), "an input")

    def _check_outputs(self) -> None:
        for name in self._outputs:
            self.check(name)


def _identity(path: str | Path) -> tuple[int, int] | str:
    """The same for all names of one file, links among them."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino
