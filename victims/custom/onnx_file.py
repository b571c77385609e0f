"""ONNX into a torch network by onnx2torch, so that gradients flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from priemo_bench.errors import PriemoError
from priemo_bench.victims.custom.description import Description

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

OPSET = 17
"""The newest that onnx2torch converts throughout; newer files are converted to it."""
ANY_SIZE = 2**40
"""Constants of any size are folded, weights too."""


def facts(found: Description, weights: bytes) -> dict[str, Any]:
    """Size, channels and layout, as far as the file fixes them.

    Raises:
        PriemoError: as for `convert_onnx`.
    """
    image = _inputs(_model(found, weights))[0].type.tensor_type.shape.dim
    sides = [side.dim_value if side.HasField("dim_value") else 0 for side in image]
    if len(sides) != 4:
        raise PriemoError(
            f"{found.file} takes {len(sides)} axes; a network of images takes 4, of which channels "
            "are the second or the last"
        )
    last = sides[3] in (1, 3) and sides[1] not in (1, 3)
    _, channels, height, width = sides if not last else (0, sides[3], sides[1], sides[2])
    known = {"layout": "nhwc" if last else "nchw"}
    square = {"size": height} if height == width and height else {}
    return known | square | ({"channels": channels} if channels in (1, 3) else {})


def convert_onnx(described: Description, weights: bytes) -> nn.Module:
    """The network of an ONNX file.

    Raises:
        PriemoError: the extra is not installed; the file is not ONNX, has several inputs, several
            outputs of which none is picked, keeps its weights in another file, or has an operation
            that onnx2torch lacks; or its size is neither in it nor described.
    """
    _, onnx2torch = _packages()
    import onnx.version_converter

    model = _model(described, weights)
    if not described.size:
        raise PriemoError("size is missing; the file leaves the side of its input open")
    try:
        opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        _fold(described, model)
        if opset > OPSET:
            model = onnx.version_converter.convert_version(model, OPSET)
            _fold(described, model)
        net: nn.Module = onnx2torch.convert(model)
    except PriemoError:
        raise
    except Exception as error:  # the converters document no exception types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PriemoError(
            f"onnx2torch cannot convert {described.file} (torch.onnx.export with dynamo=False and "
            f"opset_version={OPSET} suits it best): {reason}"
        ) from error
    return net.float()


def _packages() -> tuple[Any, Any]:
    try:
        import onnx
        import onnx.version_converter
        import onnx2torch
        import onnxscript.optimizer  # noqa: F401
    except ImportError:
        raise PriemoError(
            'format "onnx" needs an extra: pip install "priemo-bench[onnx]"'
        ) from None
    return onnx, onnx2torch


def _model(described: Description, weights: bytes) -> ModelProto:
    """The model with one output; PriemoError for what `convert_onnx` refuses."""
    onnx, _ = _packages()
    from google.protobuf.message import DecodeError

    try:
        model: ModelProto = onnx.load_from_string(weights)
    except DecodeError:
        raise PriemoError(f"{described.file} is not ONNX, or is damaged") from None
    if not model.graph.node or not model.opset_import:
        raise PriemoError(f"{described.file} is not ONNX, or is damaged")
    external = onnx.TensorProto.EXTERNAL
    if any(tensor.data_location == external for tensor in model.graph.initializer):
        raise PriemoError(
            f"{described.file} keeps its weights in another file; write it as one: "
            f"onnx.save(onnx.load({described.file.name!r}), 'one.onnx')"
        )
    inputs = _inputs(model)
    if len(inputs) != 1:
        raise PriemoError(f"{described.file} has {len(inputs)} inputs; it must have one")
    _pick_output(described, model)
    return model


def _pick_output(described: Description, model: ModelProto) -> None:
    """Leave the described output alone in the graph."""
    outputs = list(model.graph.output)
    names = [output.name for output in outputs]
    if described.output is None and len(names) == 1:
        return
    said = ", ".join(map(repr, names))
    if described.output is None:
        raise PriemoError(
            f"{described.file} has {len(names)} outputs, {said}; pick the one with the emotions: "
            f'output = "{names[0] if names else 0}", say'
        )
    wanted = described.output
    at = names.index(wanted) if wanted in names else wanted
    if not isinstance(at, int) or not 0 <= at < len(names):
        raise PriemoError(f"output is {wanted!r}; {described.file} has {said}")
    del model.graph.output[:]
    model.graph.output.append(outputs[at])


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
            side.dim_value = described.size or 0
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
