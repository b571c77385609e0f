"""ONNX into a torch network by onnx2torch, so that gradients flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from priemo_bench.errors import PriemoError
from priemo_bench.victims.custom.description import Description

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

OPSET = 17
"""The newest that onnx2torch converts throughout; newer files are converted to it."""
ANY_SIZE = 2**40
"""Constants of any size are folded, weights too."""


def convert_onnx(described: Description, weights: bytes) -> nn.Module:
    """The network of an ONNX file.

    Raises:
        PriemoError: the extra is not installed; the file is not ONNX, has several inputs or
            outputs, keeps its weights in another file, or has an operation that onnx2torch lacks.
    """
    try:
        import onnx.version_converter
        import onnxscript.optimizer  # noqa: F401
        from google.protobuf.message import DecodeError
        from onnx2torch import convert
    except ImportError:
        raise PriemoError(
            'format "onnx" needs an extra: pip install "priemo-bench[onnx]"'
        ) from None
    try:
        model = onnx.load_from_string(weights)
        _check(described, model)
        opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        _fold(described, model)
        if opset > OPSET:
            model = onnx.version_converter.convert_version(model, OPSET)
            _fold(described, model)
        net: nn.Module = convert(model)
    except DecodeError:
        raise PriemoError(f"{described.file} is not ONNX, or is damaged") from None
    except PriemoError:
        raise
    except Exception as error:  # the converters document no exception types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PriemoError(
            f"onnx2torch cannot convert {described.file} (torch.onnx.export with dynamo=False and "
            f"opset_version={OPSET} suits it best): {reason}"
        ) from error
    return net.float()


def _check(described: Description, model: ModelProto) -> None:
    import onnx

    if not model.graph.node or not model.opset_import:
        raise PriemoError(f"{described.file} is not ONNX, or is damaged")
    external = onnx.TensorProto.EXTERNAL
    if any(tensor.data_location == external for tensor in model.graph.initializer):
        raise PriemoError(
            f"{described.file} keeps its weights in another file; write it as one: "
            f"onnx.save(onnx.load({described.file.name!r}), 'one.onnx')"
        )
    inputs = _inputs(model)
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise PriemoError(
            f"{described.file} has {len(inputs)} inputs and {len(model.graph.output)} outputs; "
            "it must have one of each"
        )


def _inputs(model: ModelProto) -> list[ValueInfoProto]:
    """Inputs that are no weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _fold(described: Description, model: ModelProto) -> None:
    """Fold constants in place, for images of the described size: onnx2torch computes none."""
    from onnxscript import optimizer

    (image,) = _inputs(model)
    axes = slice(2, 4) if described.layout == "nchw" else slice(1, 3)
    for side in image.type.tensor_type.shape.dim[axes]:
        if not side.HasField("dim_value"):
            side.dim_value = described.size
    optimizer.fold_constants(
        model, onnx_shape_inference=True, input_size_limit=ANY_SIZE, output_size_limit=ANY_SIZE
    )
    optimizer.remove_unused_nodes(model)
    for node in model.graph.node:
        _drop_allowzero(node)


def _drop_allowzero(node: NodeProto) -> None:
    """torch marks each Reshape with allowzero, which onnx2torch refuses even where no size is 0."""
    if node.op_type == "Reshape":
        others = [a for a in node.attribute if a.name != "allowzero"]
        del node.attribute[:]
        node.attribute.extend(others)
