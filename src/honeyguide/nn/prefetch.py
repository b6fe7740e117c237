"""Rows that a kernel is about to read, asked for before it needs them.

Special: a processor guesses what comes next where addresses rise, not where a batch names the rows
of a table. A kernel that knows the names can say them some rounds ahead; the row then comes from
far memory while others are worked on. It changes no result.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

LINE = 64  # bytes of a cache line
TO_READ, IN_ALL_LEVELS, DATA = 0, 3, 1  # what llvm.prefetch is told


def _ask(context: Any, array: Any, place: Any) -> Any:
    """For the cache line of array[place], a tuple of numbers from 0 on, not checked."""

    def told(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        held = arrayobj.make_array(array)(context, builder, given[0])  # type: ignore[no-untyped-call]
        element = cgutils.get_item_pointer(  # type: ignore[no-untyped-call]
            context,
            builder,
            array,
            held,
            cgutils.unpack_tuple(builder, given[1]),  # type: ignore[no-untyped-call]
            wraparound=False,
            boundscheck=False,
        )
        number, address = ir.IntType(32), ir.IntType(8).as_pointer()
        how = [ir.Constant(number, value) for value in (TO_READ, IN_ALL_LEVELS, DATA)]
        kind = ir.FunctionType(ir.VoidType(), [address, *[number] * len(how)])
        called = builder.module.declare_intrinsic("llvm.prefetch", [address], kind)
        builder.call(called, [builder.bitcast(element, address), *how])
        return context.get_dummy_value()

    return types.void(array, place), told


ask_for_line: Any = intrinsic(_ask)


@njit(cache=True, nogil=True, inline="always")
def ask_for(table, row):  # type: ignore[no-untyped-def]
    """The whole of table[row] (N, D) is read soon; row >= 0."""
    for column in range(0, table.shape[1], LINE // table.itemsize):
        ask_for_line(table, (row, column))
