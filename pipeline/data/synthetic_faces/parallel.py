"""Rendering sequences in several processes, see worker.py."""

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Items
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import pipeline
from pipeline.data.synthetic_faces.sequences import RenderSettings, Sequence
from pipeline.data.synthetic_faces.worker import IMAGE_DONE
from pipeline.errors import RunFailed, UserError

COMMAND = (sys.executable, "-P", "-m", "pipeline.data.synthetic_faces.worker")


def render_all(
    root: Path, settings: RenderSettings, sequences: Items[Sequence], workers: int, advance: Callable[[int], None]
) -> None:
    """Render the images of `sequences` into `root`; `advance` hears how many images more are done.

    Raises RunFailed if the disk is full or a process ends, UserError if writing is forbidden.
    """
    shares = [share for share in (sequences[first::workers] for first in range(workers)) if share]
    with ExitStack() as running:
        processes = [running.enter_context(_process()) for _ in shares]
        for process, share in zip(processes, shares, strict=True):
            with suppress(BrokenPipeError), process.stdin:  # _listen notices one that has ended
                process.stdin.write(_order(root, settings, share))
        _listen(processes, advance)


def _order(root: Path, settings: RenderSettings, sequences: Items[Sequence]) -> bytes:
    """What a process is to do, as worker.py reads it; JSON keeps every bit of the intensities."""
    rendered = [
        asdict(each) | {"frames": each.frames.tolist(), "intensities": each.intensities.tolist()} for each in sequences
    ]
    return json.dumps({"root": str(root.resolve()), "settings": asdict(settings), "sequences": rendered}).encode()


@contextmanager
def _process() -> Iterator[subprocess.Popen]:
    """A rendering process that finds what this one can import; it is ended when the block is left."""
    here = str(Path(pipeline.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), here])}
    pipe = subprocess.PIPE
    with _ctrl_c_blocked():
        process = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """A process started inside the block is deaf to Ctrl-C: it ends when this one ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen(processes: Items[subprocess.Popen], advance: Callable[[int], None]) -> None:
    """Pass on what the processes say until all are done; raise what stopped one."""
    with selectors.DefaultSelector() as selector:
        for process in processes:
            selector.register(process.stdout, selectors.EVENT_READ, process)
        while selector.get_map():
            for key, _ in selector.select():
                said = os.read(key.fd, 4096)
                problem = said.lstrip(IMAGE_DONE)
                if problem:
                    raise _problem(problem + key.fileobj.read())
                advance(len(said))
                if not said:
                    selector.unregister(key.fileobj)
                    _check_end(key.data)


def _problem(said: bytes) -> UserError | RunFailed:
    kind, message = json.loads(said)
    return {"UserError": UserError, "RunFailed": RunFailed}[kind](message)


def _check_end(process: subprocess.Popen) -> None:
    status = process.wait()
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"failed (exit status {status})"
        raise RunFailed(f"a process that renders faces {how}; run the same command again: it resumes")
