"""The figures of a study: sections of its report, and the same pictures as files of their own."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pipeline.reporting.blocks import Block, Figure, Section
from pipeline.reporting.picture import columns_of, picture
from pipeline.reporting.study_figures_length import length_blocks
from pipeline.reporting.study_figures_loss import loss_blocks
from pipeline.reporting.study_figures_noise import noise_blocks
from pipeline.reporting.study_figures_pareto import pareto_blocks
from pipeline.reporting.study_figures_settings import settings_blocks
from pipeline.reporting.study_figures_units import unit_blocks
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.study.results import Results


@dataclass(frozen=True)
class _Topic:
    anchor: str  # also the name of its files
    title: str
    blocks: Callable[[Results, StudyNumbers], Iterable[Block]]


TOPICS = (
    _Topic("figure2", "Gain and score against noise (the paper's Figure 2)", noise_blocks),
    _Topic("figure3", "Settings against their reference (the paper's Figure 3)", settings_blocks),
    _Topic("figure1", "Loss and memorisation by epoch (the paper's Figure 1)", loss_blocks),
    _Topic("length", "Gain against training length", length_blocks),
    _Topic("pareto", "Score against size and latency", pareto_blocks),
    _Topic("units", "Differences by action unit", unit_blocks),
)


def figure_sections(results: Results, numbers: StudyNumbers) -> tuple[Section, ...]:
    """A section a topic, its figures with the names of their files; one without data is a note of what is missing."""
    found = ((topic, _named(topic.anchor, topic.blocks(results, numbers))) for topic in TOPICS)
    return tuple(Section(topic.anchor, topic.title, blocks) for topic, blocks in found if blocks)


def _named(anchor: str, blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The figures among the blocks as figure2.svg, figure2-2.svg and so on."""
    named, count = [], 0
    for block in blocks:
        if isinstance(block, Figure):
            count += 1
            block = replace(block, file=anchor + (f"-{count}" if count > 1 else "") + ".svg")
        named.append(block)
    return tuple(named)


def figure_files(sections: Iterable[Section]) -> dict[str, str]:
    """File name to stand-alone SVG of every figure of `figure_sections`."""
    figures = [block for section in sections for block in section.blocks if isinstance(block, Figure)]
    return {figure.file: picture(figure.panels, figure.key, columns_of(figure.panels)) for figure in figures}


def is_figure_file(name: str) -> bool:
    """Whether `figure_files` of any study may give a file this name."""
    anchors = "|".join(topic.anchor for topic in TOPICS)
    return re.fullmatch(rf"({anchors})(-\d+)?\.svg", name) is not None
