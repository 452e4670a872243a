"""Whether a GIF is complete, which FFmpeg does not tell: where the file ends, its animation ends."""

import os
from typing import BinaryIO

HEADER_SIZE, FRAME_SIZE = 13, 10  # bytes, the latter with its separator
EXTENSION, FRAME, TRAILER = b"!", b",", b";"
HAS_COLOURS = 0x80  # a table of colours follows


def ends_early(file: BinaryIO) -> bool:
    """Whether a GIF ends before its trailer. Source: GIF89a specification, sections 15 to 27."""
    file.seek(0)
    header = file.read(HEADER_SIZE)
    _skip_colours(file, header[10:11])
    while (block := file.read(1)) in (EXTENSION, FRAME):
        if block == FRAME:
            _skip_colours(file, file.read(FRAME_SIZE - 1)[-1:])
        file.seek(1, os.SEEK_CUR)  # the code size of a frame, or the kind of an extension
        while size := file.read(1):
            if not size[0]:
                break
            file.seek(size[0], os.SEEK_CUR)
    return not block  # bytes of no kind of block are not the end of the file


def _skip_colours(file: BinaryIO, flags: bytes) -> None:
    if flags and flags[0] & HAS_COLOURS:
        file.seek(3 << ((flags[0] & 7) + 1), os.SEEK_CUR)
