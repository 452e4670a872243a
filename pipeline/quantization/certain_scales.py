"""Steps at which tables and products are rounded alike on every processor, close to those that training found."""

import numpy as np

from pipeline.models.graph import TABLES, Node
from pipeline.quantization.integer_model import Tensor
from pipeline.quantization.plan import Plan
from pipeline.quantization.table_ops import certain_tensors
from pipeline.quantization.ties import without_ties

ROUNDS = 8  # a product's step may change that of a table after it, and the other way round
MAX_PRODUCT_RATIO = 128.0  # steps of the factors / step of the product; from 256 on other kernels run


def settle(plan: Plan, scales: dict[str, np.float32]) -> None:
    """Move the steps of products and of what tables read, in place, until none changes any more."""
    nodes = [plan.nodes[group.head] for group in plan.groups.values()]
    for _ in range(ROUNDS):
        before = dict(scales)
        for node in nodes:
            if node.kind == "Activation":
                _settle_table(plan, node, scales)
            elif node.kind == "Multiply":
                _settle_product(plan, node, scales)
        if scales == before:
            return


def _settle_table(plan: Plan, node: Node, scales: dict[str, np.float32]) -> None:
    source, own = plan.owner(plan.source(node.inputs[0])), plan.owner(node.name)
    kind, options = table_of(node)
    tensors = certain_tensors(kind, options, _tensor(plan, source, scales), _tensor(plan, own, scales))
    if plan.nodes[source].kind != "InputLayer":
        scales[source] = tensors[0].scale
    scales[own] = tensors[1].scale


def table_of(node: Node) -> tuple[str, dict]:
    """The operation of an Activation and its options."""
    kind = TABLES[node.layer.get_config()["activation"]]
    return kind, {"approximate": False} if kind == "GELU" else {}


def _settle_product(plan: Plan, node: Node, scales: dict[str, np.float32]) -> None:
    end = plan.owner(next(end for end, group in plan.groups.items() if group.head == node.name))
    factors = [_tensor(plan, plan.owner(plan.source(name)), scales) for name in node.inputs]
    if plan.tensors[end].limit is None:
        coarsest = np.float32(factors[0].scale * factors[1].scale / MAX_PRODUCT_RATIO)
        scales[end] = max(scales[end], coarsest)
        scales[end] = without_ties(factors, _tensor(plan, end, scales)).scale


def _tensor(plan: Plan, end: str, scales: dict[str, np.float32]) -> Tensor:
    grid = plan.tensors[end].grid
    return Tensor(end, (), np.float32(scales[end]), grid.zero_point, grid.bits)
