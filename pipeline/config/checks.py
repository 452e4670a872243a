"""All that is wrong with a plain document at once, where pydantic alone stops at the first layer of errors."""

import copy

from pydantic import ValidationError

from pipeline.config.messages import Finding, findings
from pipeline.config.schema import Experiment
from pipeline.settings import KeyPath

# What replaces a broken part that has no default; no rule that involves it is reported.
STAND_INS = {("name",): "stand-in", ("data",): {"name": "fashion_mnist"}}
ENTRY_STAND_INS = {"methods": {"name": "dropout"}, "seeds": 2**31 - 1}


def validate(value: dict, damaged: set[KeyPath]) -> tuple[Experiment | None, list[Finding]]:
    """The experiment in a plain document, or None, and everything that is wrong with it.

    pydantic applies the rules between fields only where every field is right. So broken parts are replaced by defaults or
    stand-ins until all rules have been applied; findings that involve a replaced part are dropped. Nothing is said about
    `damaged` paths: that they could not be read has been reported.
    """
    value, dropped, found = copy.deepcopy(value), set(), []
    while True:
        try:
            experiment = Experiment.model_validate(value)
        except ValidationError as error:
            new = list(findings(error))
        else:
            return (None if found else experiment), found
        reported = [finding for finding in new if finding.is_rule or not dropped]  # dropping can empty a list
        found += [finding for finding in reported if not _involves(finding, damaged | dropped)]
        known = len(dropped)
        for finding in new:
            dropped |= {finding.meant or finding.paths[0], _drop(value, finding.paths[0])}
        if len(dropped) == known:  # rules between defaults, or about what was dropped before
            return None, found


def _drop(value: dict, path: KeyPath) -> KeyPath:
    """Take `path` out of `value`, or what contains it if it is not there; return what was taken out."""
    if path in STAND_INS:
        value[path[0]] = STAND_INS[path]
        return path
    if len(path) == 2 and path[0] in ENTRY_STAND_INS and isinstance(path[1], int):
        value[path[0]][path[1]] = ENTRY_STAND_INS[path[0]]
        return path
    container = value
    for step in path[:-1]:
        container = inside(container, step)
    if isinstance(container, dict) and path[-1] in container:
        del container[path[-1]]
    elif container is not None:
        return _drop(value, path[:-1])
    return path


def _involves(finding: Finding, broken: set[KeyPath]) -> bool:
    return any(path[: len(part)] == part for path in finding.paths for part in broken)


def inside(value: object, step: str | int) -> object:
    """The entry `step` of a section or list, None if there is none."""
    match value:
        case dict():
            return value.get(step)
        case list() if isinstance(step, int) and step < len(value):
            return value[step]
    return None
