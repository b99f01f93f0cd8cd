"""Vector compares that numba cannot express: many lanes at once, the answers as the bits of one integer.

LLVM lowers them to whatever the processor has (AVX-512, AVX2, NEON), so nothing is compiled at install.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

F32, F64 = ir.FloatType(), ir.DoubleType()
LANES = 16
BLOCK = 64


def _load(context: Any, builder: Any, array_type: Any, array: Any, index: Any, kind: Any, lanes: int) -> Any:
    """<lanes x kind> from a contiguous array, no alignment assumed."""
    data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
    vector = ir.VectorType(kind, lanes)
    address = builder.bitcast(builder.gep(data, [index]), vector.as_pointer())
    return builder.load(address, align=4 if kind is F32 else 8, typ=vector)


def _splat(builder: Any, value: Any, lanes: int) -> Any:
    vector = ir.VectorType(F64, lanes)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), mask)


@intrinsic
def above_below(typing_context: Any, a: Any, i: Any, b: Any, j: Any) -> Any:
    """(a > b, a < b) of a[i:i+64] and b[j:j+64], each a uint64 whose bit k is lane k; NaN is neither."""
    signature = types.UniTuple(types.uint64, 2)(a, types.intp, b, types.intp)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left = _load(context, builder, sig.args[0], args[0], args[1], F32, BLOCK)
        right = _load(context, builder, sig.args[2], args[2], args[3], F32, BLOCK)
        bits = ir.IntType(BLOCK)
        above = builder.bitcast(builder.fcmp_ordered(">", left, right), bits)
        below = builder.bitcast(builder.fcmp_ordered("<", left, right), bits)
        return cgutils.pack_array(builder, [above, below])

    return signature, codegen


@intrinsic
def touches(typing_context: Any, worst: Any, i: Any, best: Any, j: Any, sign: Any, stop: Any, take: Any) -> Any:
    """uint64 whose bit k is set where sign * worst[i+k] <= stop or sign * best[j+k] >= take, for 16 float64 lanes."""
    real = types.float64
    signature = types.uint64(worst, types.intp, best, types.intp, real, real, real)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        signs = _splat(builder, args[4], LANES)
        low = builder.fmul(_load(context, builder, sig.args[0], args[0], args[1], F64, LANES), signs)
        high = builder.fmul(_load(context, builder, sig.args[2], args[2], args[3], F64, LANES), signs)
        stopped = builder.fcmp_ordered("<=", low, _splat(builder, args[5], LANES))
        taken = builder.fcmp_ordered(">=", high, _splat(builder, args[6], LANES))
        bits = builder.bitcast(builder.or_(stopped, taken), ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return signature, codegen


@intrinsic
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """Index of the lowest set bit of a uint64 that is not 0."""
    signature = types.intp(types.uint64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return signature, codegen


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of element `index` of a flat contiguous array; a hint, never a fault."""
    signature = types.void(array, types.intp)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        i32 = ir.IntType(32)
        hint = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, hint, "llvm.prefetch.p0")
        builder.call(function, [address, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return signature, codegen
