"""A saved run -> one ONNX file: ids and states in, logits and states out, with the vocabulary and the config in it.

    inputs    ids [T, B] (int64); state_1_h [1, B, H] of layer 1, and so on; LSTMs have state_1_c, too
    outputs   logits [T, B, V]; new_state_1_h and so on, the states after the last step

T (time) and B (batch) are free. A model with length conditioning also reads remaining [T, B] (int64): the number of
words after each one, or -1 for a length that is not known. Computation is in float32.
"""

from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper

from lm.atomic_files import write_file
from lm.evaluation.loading import SavedRun
from lm.exporting.export_metadata import metadata_texts
from lm.exporting.onnx_layers import Graph
from lm.models.language_model import LanguageModel
from lm.models.length_conditioning import MAX_LENGTH, UNCONDITIONED

OPSET, IR_VERSION = 17, 8
"""Those of ONNX 1.12 (2022): older runtimes read the file too, and nothing newer is needed."""

TIME, BATCH = "time", "batch"


def write_onnx(saved: SavedRun, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        ValueError: if ONNX cannot express the model.
        OSError: if the file cannot be written.
    """
    model = build_onnx(saved.model)
    helper.set_model_props(model, metadata_texts(saved))
    onnx.checker.check_model(model, full_check=True)
    write_file(path, model.SerializeToString())


def build_onnx(model: LanguageModel) -> onnx.ModelProto:
    """Return the graph of a model, as `LanguageModel.forward` draws it, without dropout.

    Raises:
        ValueError: if ONNX cannot express a layer.
    """
    graph, model = Graph(), model.float()
    inputs, outputs = [_value("ids", TensorProto.INT64, TIME, BATCH)], list[onnx.ValueInfoProto]()
    hidden = graph.add("Gather", graph.weight(model.embedding.weight), "ids")
    if model.lengths is not None:
        inputs.append(_value("remaining", TensorProto.INT64, TIME, BATCH))
        hidden = graph.add("Add", hidden, _length_embedding(graph, model.lengths.embedding.weight))
    for number, (rnn, sizes) in enumerate(zip(model.rnns, state_sizes(model), strict=True), start=1):
        states, new_states = ([f"{prefix}state_{number}_{part}" for part in sizes] for prefix in ("", "new_"))
        for values, names in ((inputs, states), (outputs, new_states)):
            shapes = zip(names, sizes.values(), strict=True)
            values += [_value(name, TensorProto.FLOAT, 1, BATCH, size) for name, size in shapes]
        hidden = graph.layer(rnn, hidden, states, new_states)
    if isinstance(model.projection, torch.nn.Linear):
        hidden = graph.affine(hidden, model.projection.weight)
    graph.decoder(model.decoder, hidden, "logits")
    logits = _value("logits", TensorProto.FLOAT, TIME, BATCH, model.vocabulary_size)
    proto = helper.make_graph(graph.nodes, "language_model", inputs, [logits, *outputs], graph.weights)
    return helper.make_model(
        proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="lm"
    )


def state_sizes(model: LanguageModel) -> list[dict[str, int]]:
    """Return the sizes of the parts of each layer's state: h, or h and c."""
    tokens_TB = torch.zeros(1, 1, dtype=torch.int64, device=model.device)
    with torch.no_grad():
        _, states = model(tokens_TB)
    parts = [state if isinstance(state, tuple) else (state,) for state in states]
    return [{name: part.shape[-1] for name, part in zip("hc", one, strict=False)} for one in parts]


def _length_embedding(graph: Graph, weight: torch.Tensor) -> str:
    """Add the embedding of the number of remaining words, as `LengthConditioning.embed`."""
    constants = (MAX_LENGTH, MAX_LENGTH + 1, UNCONDITIONED)
    most, last, unconditioned = (graph.weight(torch.tensor(value)) for value in constants)
    rows = graph.add("Where", graph.add("Equal", "remaining", unconditioned), last, graph.add("Min", "remaining", most))
    return str(graph.add("Gather", graph.weight(weight), rows))


def _value(name: str, dtype: int, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)
