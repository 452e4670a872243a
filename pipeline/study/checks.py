"""Checks across the parts of a study: names, seeds, axes, whole sections, and variants that cannot be compared."""

from collections.abc import Iterator, Mapping

from pipeline.config.messages import KeyPath, quoted
from pipeline.config.schema import Experiment
from pipeline.config.spots import models_in, tag
from pipeline.methods import METHODS
from pipeline.study.cells import Arm, settings_of, shown, slug, target
from pipeline.study.schema import GRID, Range, StudyFile, Variant

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
    """What is wrong whatever the base experiment is."""
    if file.reference is not None and file.reference not in file.variants:
        yield ("reference",), f"there is no variant {file.reference!r}. Give one of {quoted(file.variants)}"
    elif file.variants[reference_of(file)].reference_only:
        message = f"{reference_of(file)!r} does not compete (reference_only: true). Give another variant"
        yield ("reference",) if file.reference else ("variants", reference_of(file)), message
    for key, values in (("seeds", file.seeds or []), ("folds", file.folds or [])):
        if len(set(values)) < len(values):
            yield (key,), "given twice: every number may occur once"
    yield from _unsettable(("set",), file.overrides)
    for key, values in file.axes.items():
        yield from _axis(("axes", key), key, values, file)
    for name, variant in file.variants.items():
        yield from _check_variant(("variants", name), variant, file)
    yield from _names(file)
    yield from _search(file)


def reference_of(file: StudyFile) -> str:
    """The variant differences are taken to."""
    return file.reference or next(iter(file.variants))


def _check_variant(path: KeyPath, variant: Variant, file: StudyFile) -> Iterator[Finding]:
    yield from _unsettable((*path, "set"), variant.overrides)
    if variant.axes and variant.settings:
        yield (*path, "settings"), "a variant has axes or settings, not both. Remove one"
    for key, values in variant.axes.items():
        yield from _axis((*path, "axes", key), key, values, file)
        yield from _setting((*path, "axes", key), key, variant, file)
    for name, values in variant.settings.items():
        yield from _unsettable((*path, "settings", name), values)
        for key in values:
            yield from _setting((*path, "settings", name, key), key, variant, file)
    if variant.reference is not None:
        named = settings_of(variant)
        if isinstance(variant.reference, Mapping) and variant.reference not in named.values():
            yield (*path, "reference"), f"is none of the variant's settings: {quoted(named)}"
        elif isinstance(variant.reference, str) and variant.reference not in named:
            yield (*path, "reference"), f"there is no setting {variant.reference!r}. Give one of {quoted(named)}"


def _setting(path: KeyPath, key: str, variant: Variant, file: StudyFile) -> Iterator[Finding]:
    """A field of a method that the variant does not have, or a setting that is a condition of the study as well."""
    method, ours = key.partition(".")[0], target(key, variant)
    own = [method.get("name") for method in variant.methods if isinstance(method, Mapping)]
    if method in METHODS and method not in own:
        yield path, f"{path[1]!r} has no method {method!r}. Put {{name: {method}}} into its methods"
    for condition in file.axes:
        if _overlap(ours, condition):
            yield path, f"is a condition of the study already (axes.{condition}). Remove one of the two"


def _axis(path: KeyPath, key: str, values: list | Range, file: StudyFile) -> Iterator[Finding]:
    yield from _unsettable(path[:-1], {key: values})
    if isinstance(values, Range):
        if file.search.kind == GRID:
            yield path, "a range is for search: {kind: random} or bayesian. Give a list of values for a grid"
        if not values.low < values.high:
            yield path, f"min must be less than max, but they are {values.low} and {values.high}"
        elif values.scale == "log" and values.low <= 0:
            yield path, f"a log scale begins above 0, not at {values.low}"
        elif values.scale == "log" and values.step is not None and values.step <= 1:
            yield path, f"step is a factor on a log scale, so it is more than 1, not {values.step}"
        elif values.scale == "linear" and values.step is not None and values.step > values.high - values.low:
            yield path, f"the step {values.step} is longer than the range"
    elif len({(isinstance(value, bool), shown(value)) for value in values}) < len(values):
        yield path, "a value is given twice (to six digits): every value may occur once"


def _names(file: StudyFile) -> Iterator[Finding]:
    """Arms whose folders would have equal names."""
    slugs: dict[str, Arm] = {}
    for name, variant in file.variants.items():
        for setting in settings_of(variant):
            arm = Arm(name, setting, {})
            if slugs.setdefault(slug(arm.name), arm) != arm:
                path = ("variants", name, "settings", setting) if variant.settings else ("variants", name)
                yield path, f"its runs would be named like those of {slugs[slug(arm.name)].name!r}. Rename one"


def _search(file: StudyFile) -> Iterator[Finding]:
    search = file.search
    if search.kind == GRID and search.trials is not None:
        yield ("search", "trials"), "a grid tries every setting. Remove it, or use kind: random or bayesian"
    if search.kind != GRID and search.trials is None:
        yield ("search",), f"kind: {search.kind} needs trials, how many settings are tried, such as trials: 20"


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


def check_alike(arms: list[tuple[Arm, Experiment]], file: StudyFile) -> Iterator[Finding]:
    """Arms that are tested on something else than the reference, or trained with other noise while they compete."""
    reference = reference_of(file)
    first = next(experiment for arm, experiment in arms if arm.variant == reference)
    for arm, experiment in arms:
        name = arm.variant
        if experiment.data.task != first.data.task:
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


def check_objective(arms: list[tuple[Arm, Experiment]], file: StudyFile) -> Iterator[Finding]:
    """An objective that is not measured: of the other kind of labels, or without a validation part."""
    for _, experiment in arms:
        metric = validation_metric(experiment)
        if file.search.objective not in (None, metric or file.search.objective):
            yield ("search", "objective"), f"is not measured for {experiment.data.name}. Use {metric}"
        if metric is None and (file.search.objective or file.search.kind != GRID):
            yield ("search",), "needs a validation part to choose by. Set data.val_fraction to more than 0, such as 0.1"


def validation_metric(experiment: Experiment) -> str | None:
    """The metric of the validation part by which settings are chosen, None where there is no such part."""
    return experiment.data.validation_metric if experiment.data.val_fraction > 0 else None


def _path(file: StudyFile, name: str, wanted: str) -> KeyPath:
    """Where a variant, or else the reference, sets `wanted`, a section around it or a key in it."""
    for each in (name, reference_of(file)):
        variant = file.variants[each]
        sections = {("set",): variant.overrides, ("axes",): variant.axes}
        sections |= {("settings", setting): values for setting, values in variant.settings.items()}
        for section, keys in sections.items():
            for key in keys:
                if _overlap(key, wanted):
                    return ("variants", each, *section, key)
    return ("variants", name)


def _overlap(one: str, other: str) -> bool:
    """Whether two dotted keys are the same, or one lies within the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
