"""The peers outside torch. Each imports its package when it is first asked, in a process of its own."""

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.utils.dlpack
from torch import Tensor

from voxpool.bench.cases import Case
from voxpool.bench.prepared import CannotRunError, Prepared

# Tensors of these types have no NumPy form; their bytes travel as integers.
_AS_INTEGERS = {torch.bfloat16: torch.int16}


def onnxruntime(case: Case, input: Tensor, threads: int) -> Prepared:
    """One MaxPool node, NCDHW; results come from ONNX Runtime's own arena."""
    import onnx
    import onnxruntime as ort

    if case.operation not in ("forward", "indices"):
        raise CannotRunError("inference only")
    names = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "FLOAT16", "int8": "INT8", "uint8": "UINT8"}
    if case.dtype not in names:
        raise CannotRunError(f"no {case.dtype}")
    element = getattr(onnx.TensorProto, names[case.dtype])
    outputs = ["y", "indices"] if case.operation == "indices" else ["y"]
    node = onnx.helper.make_node(
        "MaxPool",
        ["x"],
        outputs,
        kernel_shape=case.kernel,
        strides=case.stride,
        pads=case.padding * 2,
        dilations=case.dilation,
        ceil_mode=int(case.ceil_mode),
    )
    types = {"y": element, "indices": onnx.TensorProto.INT64}
    graph = onnx.helper.make_graph(
        [node],
        "pool",
        [onnx.helper.make_tensor_value_info("x", element, case.shape)],
        [onnx.helper.make_tensor_value_info(name, types[name], case.output_shape) for name in outputs],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    binding = session.io_binding()
    binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(input.contiguous().numpy()))
    for name in outputs:
        binding.bind_output(name, "cpu")
    return Prepared(
        lambda: session.run_with_iobinding(binding),
        "first",
        lambda _: torch.from_numpy(binding.copy_outputs_to_cpu()[0]),
    )


def openvino(case: Case, input: Tensor, threads: int) -> Prepared:
    """One MaxPool node, NCDHW, in the precision of the case."""
    import openvino as ov
    from openvino import opset14

    if case.operation not in ("forward", "indices"):
        raise CannotRunError("inference only")
    names = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "i8", "uint8": "u8", "int32": "i32"}
    if case.dtype not in names:
        raise CannotRunError(f"no {case.dtype}")
    precision = names[case.dtype]
    element = getattr(ov.Type, precision)
    parameter = opset14.parameter(list(case.shape), element)
    node = opset14.max_pool(
        parameter,
        list(case.stride),
        list(case.dilation),
        list(case.padding),
        list(case.padding),
        list(case.kernel),
        "ceil_torch" if case.ceil_mode else "floor",
        "explicit",
        "i64",
    )
    results = [node.output(0), node.output(1)] if case.operation == "indices" else [node.output(0)]
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    if precision in ("f32", "bf16", "f16"):  # by itself it may take fp32 for bf16
        settings["INFERENCE_PRECISION_HINT"] = precision
    compiled = ov.Core().compile_model(ov.Model(results, [parameter], "pool"), "CPU", settings)
    request = compiled.create_infer_request()
    array = _array(input.contiguous())
    shared = ov.Tensor(array, list(case.shape), element) if case.dtype == "bfloat16" else ov.Tensor(array, True)
    request.set_input_tensor(shared)

    def values(_: object) -> Tensor:
        data = request.get_output_tensor(0).data
        if case.dtype == "bfloat16":
            return torch.from_numpy(data.view("int16").copy()).view(torch.bfloat16)
        return torch.from_numpy(data.copy())

    # OpenVINO does not keep the array alive that its tensor looks at.
    return Prepared(lambda: request.infer(share_outputs=True), "first", values, data=array)


def tensorflow(case: Case, input: Tensor, threads: int) -> Prepared:
    """tf.nn.max_pool3d in a tf.function, NDHWC."""
    tf = _tensorflow(threads)
    if case.operation == "indices":
        raise CannotRunError("no indices")
    if case.dilation != (1, 1, 1):
        raise CannotRunError("no dilation")
    if case.dtype not in ("float32", "bfloat16"):
        raise CannotRunError(f"no {case.dtype}")
    padding, before = _tensorflow_padding(case)
    x = tf.constant(_array(input.permute(0, 2, 3, 4, 1).contiguous()))
    x = tf.bitcast(x, tf.bfloat16) if case.dtype == "bfloat16" else x
    lowest = tf.constant(float("-inf"), x.dtype)

    def pool(x: Any) -> Any:
        padded = tf.pad(x, before, constant_values=lowest) if before else x
        return tf.nn.max_pool3d(padded, (1, *case.kernel, 1), (1, *case.stride, 1), padding)

    def backward(x: Any, y: Any, gradient: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = pool(x)
        return tape.gradient(y, x, gradient)

    forward = tf.function(pool, autograph=False)
    y = forward(x)
    note = {"SAME": "odd cell at the end", "VALID": "with tf.pad" if before else ""}[padding]
    same = "same" if padding == "SAME" else None
    if case.operation in ("forward", "forward_taps"):  # what its gradient needs, input and output, it has anyway
        return Prepared(lambda: forward(x), "last", lambda y: _from_tensorflow(tf, y), note, same)
    gradient = tf.ones_like(y)
    if case.operation == "training":
        step = tf.function(backward, autograph=False)
        return Prepared(lambda: step(x, y, gradient), "last", None, note, same)
    if before:
        raise CannotRunError("the backward of tf.pad cannot be timed alone")
    grad = tf.function(
        lambda x, y, gradient: tf.raw_ops.MaxPool3DGrad(
            orig_input=x,
            orig_output=y,
            grad=gradient,
            ksize=(1, *case.kernel, 1),
            strides=(1, *case.stride, 1),
            padding=padding,
        ),
        autograph=False,
    )
    return Prepared(lambda: grad(x, y, gradient), "last", None, note, same)


@functools.cache
def _tensorflow(threads: int) -> Any:
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    return tensorflow


def _tensorflow_padding(case: Case) -> tuple[str, list[tuple[int, int]]]:
    """'VALID' without padding; 'SAME' if that has as many outputs; else a padded copy, which its users would make."""
    extra = _ends(case)
    if not any(case.padding) and not any(extra):
        return "VALID", []
    same = tuple(-(-n // stride) for n, stride in zip(case.shape[2:], case.stride, strict=True))
    if same == case.output_shape[2:]:
        return "SAME", []
    return "VALID", [(0, 0), *zip(case.padding, extra, strict=True), (0, 0)]


def _from_tensorflow(tf: Any, y: Any) -> Tensor:
    if y.dtype == tf.bfloat16:
        values = torch.from_numpy(tf.bitcast(y, tf.int16).numpy()).view(torch.bfloat16)
    else:
        values = torch.from_numpy(y.numpy())
    return values.permute(0, 4, 1, 2, 3)


def jax(case: Case, input: Tensor, threads: int) -> Prepared:
    """lax.reduce_window under jit, in the layout of the case."""
    import jax as package
    import numpy
    from jax import lax

    if case.operation == "indices":
        raise CannotRunError("no indices")
    package.config.update("jax_enable_x64", True)  # int64 and float64
    package.config.update("jax_platforms", "cpu")
    last = case.layout == "last"
    x = package.dlpack.from_dlpack((input.permute(0, 2, 3, 4, 1) if last else input).contiguous())
    initial: Any = -numpy.inf if input.is_floating_point() else numpy.iinfo(x.dtype).min
    lowest = numpy.array(
        initial, x.dtype
    )  # not traced: only with a known value does JAX have the gradient of a maximum

    def spatial(values: Any, other: Any) -> tuple[Any, ...]:
        return (other, *values, other) if last else (other, other, *values)

    pads = spatial(zip(case.padding, _ends(case), strict=True), (0, 0))

    def pool(x: Any) -> Any:
        return lax.reduce_window(
            x,
            lowest,
            lax.max,
            spatial(case.kernel, 1),
            spatial(case.stride, 1),
            pads,
            window_dilation=spatial(case.dilation, 1),
        )

    def backward(x: Any, gradient: Any) -> Any:
        return package.vjp(pool, x)[1](gradient)

    def training(x: Any, gradient: Any) -> Any:
        y, pullback = package.vjp(pool, x)
        return y, pullback(gradient)

    layout = "last" if last else "first"
    forward = package.jit(pool)
    if case.operation in ("forward", "forward_taps"):  # what its gradient needs, the input, it has anyway
        return Prepared(lambda: forward(x).block_until_ready(), layout, functools.partial(_from_jax, last))
    gradient = package.numpy.ones_like(forward(x))
    run: Callable[..., Any] = package.jit(backward if case.operation == "backward" else training)
    return Prepared(lambda: package.block_until_ready(run(x, gradient)), layout)


def _from_jax(last: bool, y: Any) -> Tensor:
    values = torch.utils.dlpack.from_dlpack(y)
    return values.permute(0, 4, 1, 2, 3) if last else values


def _ends(case: Case) -> list[int]:
    """Padding at the end of each axis that makes a window for each output, ceil_mode included."""
    axes = zip(
        *(case.shape[2:], case.output_shape[2:], case.kernel, case.stride, case.padding, case.dilation), strict=True
    )
    return [
        max(0, (out - 1) * stride + dilation * (kernel - 1) + 1 - n - pad)
        for n, out, kernel, stride, pad, dilation in axes
    ]


def _array(input: Tensor) -> Any:
    return input.view(_AS_INTEGERS.get(input.dtype, input.dtype)).numpy()
