"""What is wrong between the parts of a study: names, seeds, whole sections, and variants that cannot be compared."""

from collections.abc import Iterator, Mapping

from pipeline.config_problems import KeyPath, quoted
from pipeline.config_schema import Experiment, FaceData
from pipeline.config_shape import models_in, tag
from pipeline.study.cells import slug
from pipeline.study.schema import StudyFile, Variant

Finding = tuple[KeyPath, str]  # a path in the study and what is wrong there
NOT_IN_SET = {
    "name": "The name of a run is made from its variant, seed and fold",
    "seeds": "Give seeds of the study",
    "data.folds": "Give folds of the study",
    "methods": "Give methods of the variant",
    "baseline": "Make the baseline a variant",
}
TESTED = (
    "name", "root", "aus", "parts", "folds", "image_size", "grey", "crop", "subjects", "frames", "frame_step",
    "frame_offset", "render_size", "render_seed", "test_examples",
)  # fmt: skip


def check_file(file: StudyFile) -> Iterator[Finding]:
    """What is wrong whatever the base holds."""
    if file.reference is not None and file.reference not in file.variants:
        yield ("reference",), f"there is no variant {file.reference!r}. Give one of {quoted(file.variants)}"
    elif file.variants[reference_of(file)].reference_only:
        message = f"{reference_of(file)!r} does not compete (reference_only: true). Give another variant"
        yield ("reference",) if file.reference else ("variants", reference_of(file)), message
    for key, values in (("seeds", file.seeds or []), ("folds", file.folds or [])):
        if len(set(values)) < len(values):
            yield (key,), "given twice: every number may occur once"
    slugs: dict[str, str] = {}
    for name, variant in file.variants.items():
        if slugs.setdefault(slug(name), name) != name:
            yield ("variants", name), f"its runs would be named like those of {slugs[slug(name)]!r}. Rename one"
        yield from _unsettable(("variants", name, "set"), variant.overrides)
    yield from _unsettable(("set",), file.overrides)


def reference_of(file: StudyFile) -> str:
    """The variant differences are taken to."""
    return file.reference or next(iter(file.variants))


def _unsettable(path: KeyPath, overrides: Mapping[str, object]) -> Iterator[Finding]:
    for key, value in overrides.items():
        if key in NOT_IN_SET:
            yield (*path, key), f"cannot be set here. {NOT_IN_SET[key]}"
        elif isinstance(value, dict) and _loses_the_rest(key):
            inner, example = next(iter(value.items()), ("KEY", "VALUE"))
            message = f"a whole section would lose its other settings. Write {key}.{inner}: {example}"
            yield (*path, key), message


def _loses_the_rest(key: str) -> bool:
    """Whether `key` is a section of one form only; one with a name or kind is checked with the experiment."""
    models: set[type] = {Experiment}
    for step in key.split("."):
        fields = [model.model_fields[step] for model in models if step in model.model_fields]
        models = {model for field in fields for model in models_in(field.annotation)}
    return bool(models) and all(tag(model) is None for model in models)


def check_alike(experiments: Mapping[str, Experiment], file: StudyFile) -> Iterator[Finding]:
    """Variants that are tested on something else than the reference, or trained with other noise while they compete."""
    reference = reference_of(file)
    first = experiments[reference]
    for name, experiment in experiments.items():
        if isinstance(experiment.data, FaceData) != isinstance(first.data, FaceData):
            yield ("variants", name), f"has another kind of labels than {reference!r}. Use two studies"
            continue
        for key in TESTED:
            ours, theirs = (getattr(each.data, key, None) for each in (experiment, first))
            if ours != theirs:
                message = f"is tested on other images than {reference!r} (data.{key}). Put it under the study's set:"
                yield _path(file, name, f"data.{key}"), message
        if experiment.noise != first.noise and not file.variants[name].reference_only:
            message = f"has other label noise than {reference!r}. Say reference_only: true, then it does not compete"
            yield _path(file, name, "noise"), message


def _path(file: StudyFile, name: str, wanted: str) -> KeyPath:
    """Where a variant, or else the reference, sets `wanted`, a section around it or a key in it."""
    for each in (name, reference_of(file)):
        variant: Variant = file.variants[each]
        for key in variant.overrides:
            if f"{key}.".startswith(f"{wanted}.") or f"{wanted}.".startswith(f"{key}."):
                return ("variants", each, "set", key)
    return ("variants", name)
