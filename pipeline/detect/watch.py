"""From sources to observations: every frame through the detector, one after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pipeline.detect.detector import Detector
from pipeline.detect.frames import Unreadable, VideoFrames, image_frame
from pipeline.detect.inputs import Inputs, Source
from pipeline.detect.outputs import Observation
from pipeline.errors import UserError


@dataclass
class Watch:
    """Looks at all inputs.

    `sequence`: frames a second if the images are the frames of one video, None if each stands alone. `check` is called
    before every frame and may raise. `warn` hears of what cannot be read; `failures` counts it.
    """

    detector: Detector
    inputs: Inputs
    sequence: float | None
    check: Callable[[], None]
    warn: Callable[[str], None]
    failures: int = 0
    images: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Observation | None]:
        """Observations in order; None at the end of a video or of a sequence of images. Raises UserError.

        A source that cannot be read gives an observation without an image, unless it is the only one: then UserError.
        """
        for source in self.inputs.sources:
            self.check()
            if source.kind == "image":
                yield self._image(source)
            else:
                yield from self._video(source)
                yield None
        if self.images:
            yield None

    def _image(self, source: Source) -> Observation:
        self.images += 1
        time = None if self.sequence is None else (self.images - 1) / self.sequence
        try:
            image = image_frame(source, self.images, time).image
        except Unreadable as error:
            return self._failed(source, self.images, time, error)
        faces = self.detector.image(image) if time is None else self.detector.frame(image, time)
        return Observation(source, self.images, time, image, faces, self.sequence, self.inputs.count)

    def _video(self, source: Source) -> Iterator[Observation]:
        self.detector.reset()
        try:
            video = VideoFrames(source)
        except Unreadable as error:
            yield self._failed(source, 0, None, error)
            return
        try:
            for frame in video:
                self.check()
                faces = self.detector.frame(frame.image, frame.timestamp)
                yield Observation(source, frame.number, frame.timestamp, frame.image, faces, video.rate, video.count)
        except Unreadable as error:
            self._note(error)
        finally:
            video.close()
        self.detector.reset()

    def _failed(self, source: Source, number: int, time: float | None, error: Unreadable) -> Observation:
        if self.inputs.single:
            raise UserError(str(error)) from error
        self._note(error)
        return Observation(source, number, time, None, [], error=str(error))

    def _note(self, error: Unreadable) -> None:
        self.failures += 1
        self.warn(str(error))
