"""Which colour, dash and mark each variant of a study has: the same in all figures, and for a method in all studies."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.reporting.markers import Marker
from pipeline.reporting.read import sequence
from pipeline.study.results import Results


@dataclass(frozen=True)
class Style:
    """A class of report.css, which holds colour and dash, and the mark of single points."""

    css: str
    marker: Marker


REFERENCE, APART = Style("baseline", "dot"), Style("apart", "dot")
METHODS = {
    "quantization": Style("method", "square"),
    "early_stopping": Style("s1", "triangle"),
    "weight_decay": Style("s2", "diamond"),
    "dropout": Style("s3", "down"),
    "label_smoothing": Style("s4", "cross"),
    "pruning": Style("s5", "plus"),
}
PALETTE = (Style("s6", "ring"), *METHODS.values())


def styles(results: Results) -> Mapping[str, Style]:
    """Style by variant: its first method's, another free one if that is taken, in turn if all are."""
    found = {results.reference: REFERENCE}
    competing = [name for name in results.variants if results.competes(name) and name not in found]
    for name in competing:
        own = METHODS.get(next(iter(method_names(results, name)), ""))
        if own and own not in found.values():
            found[name] = own
    others = [name for name in competing if name not in found]
    free = [style for style in PALETTE if style not in found.values()] or list(PALETTE)
    found |= {name: free[index % len(free)] for index, name in enumerate(others)}
    return {name: found.get(name, APART) for name in results.variants}


def method_names(results: Results, variant: str) -> tuple[str, ...]:
    """The methods of a variant by the configuration of its first run that has one."""
    config = next((cell.config for cell in results.select(variant) if cell.config), {})
    return tuple(str(method.get("name")) for method in sequence(config, "methods") if isinstance(method, Mapping))
