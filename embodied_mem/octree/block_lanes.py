"""Rays that leap from block to block side by side, a lane each, as in lanes.py; crossings are computed from borders.

A ray is a column of words, all doubles, of an array (WORDS, LANES). On an axis on which a ray does not move its border
is infinitely far, its origin 0 and its inverse 1.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

LANES = 8
STRETCH = 16  # steps that are taken at a time

BORDER = 0  # of the next border on x, y, z: how many voxels it lies from the map's origin
PLACE = 3  # a number for the block where the ray is
ORIGIN = 4  # metres, on x, y, z
INVERSE = 7  # of the direction
APART = 10  # what crossing a border adds to BORDER
STEP = 13  # and to PLACE
WORDS = 16
_CHANGING = (BORDER, BORDER + 1, BORDER + 2, PLACE)


@intrinsic
def leap(typing_context: Any, rays: Any, places: Any, times: Any, resolution: Any) -> Any:
    """Let all rays take STRETCH steps: rays (WORDS, LANES), places and times (STRETCH, LANES), all float64, contiguous.

    Each step crosses the nearest border (of those equally near z before y before x) and notes when, and the place
    behind it.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.DoubleType(), LANES)
        data, notes, crossings = (
            builder.bitcast(context.make_array(kind)(context, builder, value=value).data, vector.as_pointer())
            for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
        )
        number = ir.IntType(64)
        size = ir.Constant(vector, ir.Undefined)
        for lane in range(LANES):
            size = builder.insert_element(size, arguments[3], ir.Constant(ir.IntType(32), lane))

        def word(index: int) -> Any:
            return builder.gep(data, [ir.Constant(number, index)])

        fixed = {index: builder.load(word(index), align=8) for index in range(WORDS) if index not in _CHANGING}
        begin = {index: builder.load(word(index), align=8) for index in _CHANGING}
        before = builder.block
        loop = builder.append_basic_block("leap")
        after = builder.append_basic_block("leapt")
        builder.branch(loop)
        builder.position_at_end(loop)
        count = builder.phi(number)
        count.add_incoming(ir.Constant(number, 0), before)
        now = {}
        for index in _CHANGING:
            now[index] = builder.phi(vector)
            now[index].add_incoming(begin[index], before)
        moved, time = _one_step(builder, now, fixed, size)
        builder.store(moved[PLACE], builder.gep(notes, [count]), align=8)
        builder.store(time, builder.gep(crossings, [count]), align=8)
        following = builder.add(count, ir.Constant(number, 1))
        for index in _CHANGING:
            now[index].add_incoming(moved[index], loop)
        count.add_incoming(following, loop)
        builder.cbranch(builder.icmp_unsigned("<", following, ir.Constant(number, STRETCH)), loop, after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    return types.void(rays, places, times, resolution), generate


def _one_step(builder: Any, now: dict[int, Any], fixed: dict[int, Any], size: Any) -> tuple[dict[int, Any], Any]:
    """The words that change, and when the border was crossed."""
    x, y, z = (
        builder.fmul(builder.fsub(builder.fmul(now[BORDER + axis], size), fixed[ORIGIN + axis]), fixed[INVERSE + axis])
        for axis in range(3)
    )
    x_before_y = builder.fcmp_ordered("<", x, y)
    on_x = builder.and_(x_before_y, builder.fcmp_ordered("<", x, z))
    on_y = builder.and_(builder.not_(x_before_y), builder.fcmp_ordered("<", y, z))
    time = builder.select(on_x, x, builder.select(on_y, y, z))
    on_xy = builder.or_(on_x, on_y)
    step = builder.select(on_x, fixed[STEP], builder.select(on_y, fixed[STEP + 1], fixed[STEP + 2]))
    further = [builder.fadd(now[BORDER + axis], fixed[APART + axis]) for axis in range(3)]
    return {
        BORDER: builder.select(on_x, further[0], now[BORDER]),
        BORDER + 1: builder.select(on_y, further[1], now[BORDER + 1]),
        BORDER + 2: builder.select(on_xy, now[BORDER + 2], further[2]),
        PLACE: builder.fadd(now[PLACE], step),
    }, time
