"""What a person sees while frames go by."""

import io

from pipeline.detect import progress
from pipeline.detect.inputs import Source
from pipeline.detect.outputs import Observation
from pipeline.detect.progress import Progress
from tests.terminal import Terminal


def shown(stream: io.StringIO) -> str:
    """What is written while three frames go by, every one of them shown."""
    seen = Progress(stream)
    for number in (1, 2, 3):
        seen.write(Observation(Source("video", "clip.mp4", "clip.mp4"), number, number / 25, None, [], 25.0, 3))
        if number == 2:
            seen.warn("something is odd")
    seen.close()
    return stream.getvalue()


def test_a_terminal_has_one_line_that_changes(monkeypatch):
    monkeypatch.setattr(progress, "TERMINAL_SECONDS", 0.0)
    text = shown(Terminal())
    assert text.count("\n") == 2 and text.count(progress.ERASE) == 5
    assert "clip.mp4: frame 3/3" in text and "fps  0 faces" in text and "warning: something is odd\n" in text
    assert text.rpartition(progress.ERASE)[2].startswith("3 frames in ") and text.endswith("0 with a face\n")


def test_elsewhere_lines_come_slowly(monkeypatch):
    assert progress.ERASE not in shown(io.StringIO()) and shown(io.StringIO()).count("\n") == 2
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    assert shown(io.StringIO()).count("\n") == 5
