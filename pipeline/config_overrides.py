"""`--set train.epochs=3`: overrides of single keys, in YAML value syntax."""

from pipeline.config_problems import ConfigError, KeyPath, Place, Problem, dotted
from pipeline.config_shape import default_stub, member, spot_at, tag
from pipeline.config_yaml import Document, parse


def apply_override(document: Document, override: str) -> None:
    """Put `KEY=VALUE` into `document`; raises ConfigError if it cannot be read or KEY leads nowhere."""
    place = Place(f"--set {override}")
    key, equals, text = override.partition("=")
    steps = key.strip().split(".")
    if not equals or not all(steps):
        raise ConfigError([Problem(place, (), "expected KEY=VALUE, such as train.epochs=3")])
    container, path = _container(document, steps, place)
    part = parse(text, lambda line: place, path)
    _forget(document, path)
    document.places |= part.places
    document.problems += part.problems
    document.damaged |= part.damaged
    container[path[-1]] = part.value
    _leave_old_kind(document, container, path)


def _container(document: Document, steps: list[str], place: Place) -> tuple[dict | list, KeyPath]:
    """The section or list that holds the last of `steps`, made if it is absent, and the path of that step."""
    container, path = document.value, ()
    for index, step in enumerate(steps):
        path = (*path, _step(container, step, path, place))
        if index == len(steps) - 1:
            break
        if isinstance(container, dict) and container.get(path[-1]) is None:
            container[path[-1]] = default_stub(path, document.value)
            document.places[path] = place
        container = container[path[-1]]
    return container, path


def _step(container: object, step: str, path: KeyPath, place: Place) -> str | int:
    """`step` as a key of a section, or as an index into a list."""
    match container:
        case dict():
            return step
        case list() if step.isascii() and step.isdigit() and int(step) < len(container):
            return int(step)
        case list():
            entries = f"0 to {len(container) - 1}" if container else "none: the list is empty"
            message = f"has no entry {step!r} (entries: {entries}). Set the whole list: {dotted(path)}=[...]"
            raise ConfigError([Problem(place, path, message)])
    raise ConfigError([Problem(place, path, f"is a plain value and has no key {step!r}")])


def _forget(document: Document, path: KeyPath) -> None:
    """Drop what is known of `path` and what lies in it; it is about to be replaced."""
    document.places = {key: place for key, place in document.places.items() if key[: len(path)] != path}
    document.damaged = {key for key in document.damaged if key[: len(path)] != path}
    document.problems = [problem for problem in document.problems if problem.path[: len(path)] != path]


def _leave_old_kind(document: Document, container: dict | list, path: KeyPath) -> None:
    """After an override of a union's name or kind, drop the file's keys that only other members have."""
    *section, key = path
    models = spot_at(tuple(section), document.value).models
    new = member(models, container)
    if len(models) < 2 or new is None or key != tag(new)[0]:
        return
    known = {name for model in models for name in model.model_fields}
    for name in known - set(new.model_fields):
        if name in container and not document.place((*section, name)).is_override:
            _forget(document, (*section, name))
            del container[name]
