"""The experiments of a study: the base with the settings of the study, a condition, a variant and its setting."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import load_config
from pipeline.config_problems import ConfigError, KeyPath, Place, Problem
from pipeline.config_schema import Experiment
from pipeline.config_yaml import Document
from pipeline.study.cells import Arm
from pipeline.study.schema import StudyFile
from pipeline.study.settings import target

Origin = tuple[KeyPath, KeyPath]  # a path in the study, and the path in the experiment that it sets


@dataclass(frozen=True)
class Builder:
    """Makes experiments from a study file; `document` knows the line of every key."""

    file: StudyFile
    base: Path
    document: Document

    def experiment(self, arm: Arm, condition: Mapping[str, object]) -> Experiment:
        """The experiment of an arm at a condition, with all seeds and folds.

        Raises ConfigError with the lines of the study that caused the errors.
        """
        overrides = self._overrides(arm, condition)
        try:
            return load_config(self.base, list(overrides))
        except ConfigError as error:
            raise ConfigError([self._here(problem, overrides) for problem in error.problems]) from None

    def applies(self, key: str, variant: str) -> bool:
        """Whether the condition `key` means anything to a variant: not if it sets that key, or what contains it."""
        return not any(f"{key}.".startswith(f"{own}.") for own in self.file.variants[variant].overrides)

    def _overrides(self, arm: Arm, condition: Mapping[str, object]) -> dict[str, Origin]:
        """KEY=VALUE to its origin, in the order in which they apply."""
        file, name, variant = self.file, arm.variant, self.file.variants[arm.variant]
        wanted = [(("set", key), key, value) for key, value in file.overrides.items()]
        for key, value in condition.items():
            if self.applies(key, name):
                wanted.append((("axes", key), key, value))
        wanted += [(("variants", name, "set", key), key, value) for key, value in variant.overrides.items()]
        wanted += [(("variants", name, "methods"), "methods", variant.methods), ((), "baseline", False)]
        for key, value in arm.values.items():
            wanted.append((self._setting_path(arm, key), target(key, variant), value))
        for key, aim, numbers in (("seeds", "seeds", file.seeds), ("folds", "data.folds", file.folds)):
            wanted += [((key,), aim, list(dict.fromkeys(numbers)))] if numbers is not None else []
        return {f"{key}={json.dumps(value)}": (path, _steps(key)) for path, key, value in wanted}

    def _setting_path(self, arm: Arm, key: str) -> KeyPath:
        section = ("settings", arm.setting) if self.file.variants[arm.variant].settings else ("axes",)
        return ("variants", arm.variant, *section, key)

    def _here(self, problem: Problem, overrides: Mapping[str, Origin]) -> Problem:
        """The problem at the line of the study that caused it; one in the base file stays where it is."""
        if problem.place == Place(str(self.base)):  # the file as a whole
            return Problem(self.document.place(("base",)), ("base",), f"{self.base}: {problem.message}")
        known = overrides.get(problem.place.source.removeprefix("--set "))
        if known is None:
            return problem
        path, key = known
        below = problem.path[len(key) :]
        is_setting = key[:1] == ("methods",) and path[-1] != "methods"
        named = (*_steps(path[-1]), *below) if is_setting else problem.path  # dropout.rate, not methods.0.rate
        return Problem(self.document.place((*path, *below)), named, problem.message)


def _steps(key: str) -> KeyPath:
    return tuple(int(step) if step.isdigit() else step for step in key.split("."))
