"""By which code a study is run, and whether what its folder holds is this study, so that its numbers compare."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pipeline
from pipeline.environment import describe_environment
from pipeline.errors import UserError
from pipeline.run_files import read_json
from pipeline.study.config import Study
from pipeline.study.manifest import MANIFEST, STUDY_FORMAT

PACKAGE = Path(pipeline.__file__).parent
NAMED = 5

Identity = Mapping[str, object]  # code: sha256; files: module path to sha256; versions: of Python and packages


def current_identity() -> Identity:
    """The code as it lies on the disk now, and the versions of what it stands on."""
    files = {
        path.relative_to(PACKAGE.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    code = hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in files.items()).encode()).hexdigest()
    return {"code": code, "files": files, "versions": dict(_versions())}


def code_differences(ours: Identity, theirs: Identity) -> str:
    """What differs, in words; empty if nothing does."""
    found = []
    for key in ("files", "versions"):
        mine, others = ours[key], theirs[key]
        found += [name for name in sorted({*mine, *others}) if mine.get(name) != others.get(name)]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


def recorded(folder: Path) -> dict | None:
    """What study.json of an earlier start says, None without one; raises RunFailed if it is damaged."""
    return read_json(folder / MANIFEST)


def study_differences(study: Study, record: Mapping) -> str:
    """What differs between a study and the one in its folder, in words; empty if nothing does."""
    if record.get("format") != STUDY_FORMAT:
        return f"its format is {record.get('format')}, this version writes {STUDY_FORMAT}"
    ours, theirs = study.parts, record["parts"]
    changes = {
        "changed": [key for key in ours if key in theirs and ours[key] != theirs[key]],
        "new": [key for key in ours if key not in theirs],
        "gone": [key for key in theirs if key not in ours],
    }
    return "; ".join(f"{how}: {', '.join(names)}" for how, names in changes.items() if names)


def identities(record: Mapping | None) -> list[Identity]:
    """The codes that have worked on a study so far, the latest last."""
    return list(record["identity"]) if record and record.get("format") == STUDY_FORMAT else []


def check_code(folder: Path) -> None:
    """Raise UserError if this process has other code than the study in `folder` was started with last."""
    known = identities(recorded(folder))
    if not known:
        raise UserError(f"{folder}: no study has been started there. Start it at the chief's first")
    if changed := code_differences(current_identity(), known[-1]):
        raise UserError(
            f"{folder}: its chief runs other code than this: {changed}. "
            "Use the same version of code and packages everywhere, or start the study again"
        )


def check_joining(study: Study, folder: Path) -> None:
    """Raise UserError if this machine has another study or other code than the chief's, naming what differs."""
    record = recorded(folder)
    if record is None:
        raise UserError(f"{folder}: no study has been started there. Start the chief first, over the same folder")
    if changed := study_differences(study, record):
        raise UserError(f"{study.path}: not the study that runs in {folder}: {changed}. Use the same files everywhere")
    check_code(folder)


def with_current(known: Sequence[Identity]) -> tuple[list[Identity], str]:
    """`known` and, if it differs from the latest, the present code; with what differs in words."""
    now = current_identity()
    changed = code_differences(now, known[-1]) if known else ""
    return ([*known, now] if changed or not known else list(known)), changed


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    described = describe_environment()
    versions = {"python": described["python"], **described["packages"]}
    return tuple((name, str(version)) for name, version in versions.items())
