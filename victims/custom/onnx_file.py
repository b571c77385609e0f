"""ONNX into a torch network by onnx2torch, so that gradients flow."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from torch import nn

from priemo_bench.errors import PriemoError
from priemo_bench.victims.custom.description import Description

OPSET = 17
"""The newest that onnx2torch converts throughout; newer files are brought down to it."""


def converted(found: Description, weights: bytes) -> nn.Module:
    """The network of an ONNX file.

    Raises:
        PriemoError: the extra is not installed, the file is no ONNX, has several inputs or
            outputs or weights elsewhere, or an operation that onnx2torch has not.
    """
    try:
        import onnx
        import onnx.reference
        import onnx.version_converter
        from google.protobuf.message import DecodeError
        from onnx2torch import convert
    except ImportError:
        raise PriemoError(
            'format "onnx" needs an extra: pip install "priemo-bench[onnx]"'
        ) from None
    try:
        model = onnx.load_from_string(weights)
        _check(found, onnx, model)
        opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        _settle(onnx, model, found)
        if opset > OPSET:
            model = onnx.version_converter.convert_version(model, OPSET)
            _settle(onnx, model, found)
        net: nn.Module = convert(model)
    except DecodeError:
        raise PriemoError(f"{found.file} is not ONNX, or is damaged") from None
    except PriemoError:
        raise
    except Exception as error:  # the converters raise whatever their parts do
        said = " ".join(str(error).split()) or type(error).__name__
        raise PriemoError(
            f"onnx2torch cannot convert {found.file} (torch.onnx.export with dynamo=False and "
            f"opset_version={OPSET} suits it best): {said}"
        ) from error
    return net.float()


def _check(found: Description, onnx: ModuleType, model: Any) -> None:
    graph = model.graph
    if not graph.node or not model.opset_import:
        raise PriemoError(f"{found.file} is not ONNX, or is damaged")
    external = onnx.TensorProto.EXTERNAL
    if any(tensor.data_location == external for tensor in graph.initializer):
        raise PriemoError(
            f"{found.file} keeps its weights in another file; write it as one: "
            f"onnx.save(onnx.load({found.file.name!r}), 'one.onnx')"
        )
    held = {tensor.name for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in held]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise PriemoError(
            f"{found.file} has {len(inputs)} inputs and {len(graph.output)} outputs; "
            "it must have one of each"
        )


def _settle(onnx: ModuleType, model: Any, found: Description) -> None:
    """Fold, for images of the size that is read, until nothing more is computed from constants.

    A network that pads by the size of its maps has it known one layer after the other.
    """
    held = {tensor.name for tensor in model.graph.initializer}
    (image,) = (value for value in model.graph.input if value.name not in held)
    sides = image.type.tensor_type.shape.dim[slice(2, 4) if found.layout == "nchw" else slice(1, 3)]
    for side in sides:
        if not side.HasField("dim_value"):
            side.dim_value = found.size
    before = -1
    while before != len(model.graph.node):
        before = len(model.graph.node)
        _fold(onnx, model, _sizes(onnx, model))


def _sizes(onnx: ModuleType, model: Any) -> dict[str, list[int | None]]:
    """The shape that each Shape node tells, None for what depends on the batch."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    known = {
        value.name: [
            d.dim_value if d.HasField("dim_value") else None
            for d in value.type.tensor_type.shape.dim
        ]
        for value in (*graph.input, *graph.value_info)
    }
    shapes = [n for n in model.graph.node if n.op_type == "Shape" and not n.attribute]
    return {n.output[0]: known[n.input[0]] for n in shapes if n.input[0] in known}


def _fold(onnx: ModuleType, model: Any, sizes: dict[str, list[int | None]]) -> None:
    """What is computed from constants alone becomes a constant: onnx2torch wants them as such."""
    graph, opsets = model.graph, model.opset_import
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in sizes and node.input[1] in held:
            index = held[node.input[1]]
            size = sizes[node.input[0]][int(index)] if index.ndim == 0 else None
            if size is not None:
                held[node.output[0]] = value = np.array(size, np.int64)
                graph.initializer.append(onnx.numpy_helper.from_array(value, node.output[0]))
                continue
        inner = any(a.type == onnx.AttributeProto.GRAPH for a in node.attribute)
        if (
            inner
            or node.op_type.startswith("Random")
            or not held.keys() >= set(filter(None, node.input))
        ):
            _allow_zero_where_there_is_none(node, held)
            kept.append(node)
            continue
        for name, value in _computed(onnx, node, held, opsets).items():
            held[name] = value
            graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    del graph.node[:]
    graph.node.extend(kept)


def _computed(onnx: ModuleType, node: Any, held: dict[str, Any], opsets: Any) -> dict[str, Any]:
    """The outputs of one node of constants, by onnx's own numpy implementation."""
    given = {name: held[name] for name in node.input if name}
    inputs, outputs = (
        [onnx.ValueInfoProto(name=name) for name in names] for names in (given, node.output)
    )
    graph = onnx.helper.make_graph([node], "one", inputs, outputs)
    run = onnx.reference.ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=opsets)).run
    values = run(None, given)
    return {name: np.asarray(value) for name, value in zip(node.output, values, strict=True)}


def _allow_zero_where_there_is_none(node: Any, held: dict[str, Any]) -> None:
    """torch marks every Reshape with allowzero, which onnx2torch refuses even where idle."""
    if node.op_type == "Reshape" and node.input[1] in held and 0 not in held[node.input[1]]:
        others = [a for a in node.attribute if a.name != "allowzero"]
        del node.attribute[:]
        node.attribute.extend(others)
