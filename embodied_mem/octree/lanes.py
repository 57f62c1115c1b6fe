"""Rays that walk through the voxels side by side, a lane each: vector instructions, which no branch of a ray disturbs.

The step is that of J. Amanatides and A. Woo, "A fast voxel traversal algorithm for ray tracing", Eurographics 1987,
with OctoMap's order of axes and its two ends (computeRayKeys). It is written in the compiler's own language, since
loops over lanes are not reliably turned into vectors; LLVM fits the vectors to what the processor has.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

LANES = 8
STRETCH = 32  # steps that are taken at a time

# A ray is a column of these words, all doubles, of an array (WORDS, LANES).
BORDER = 0  # how far along the ray the next border lies, on x, y, z
APART = 3  # how far apart borders are
STEP = 6  # what crossing one adds to the place
PLACE, ALIVE, STEPS, LENGTH, END = range(9, 14)
WORDS = 14
_CHANGING = (BORDER, BORDER + 1, BORDER + 2, PLACE, ALIVE, STEPS)


@intrinsic
def walk(typing_context: Any, rays: Any, path: Any) -> Any:
    """Let all rays take STRETCH steps: rays (WORDS, LANES) float64, contiguous; path (STRETCH, LANES) float64.

    Each step notes the place where the ray is, counts it in STEPS if the ray is alive, and crosses the nearest border
    (of those equally near z before y before x). A ray dies when its place is its END, or when the nearest border lies
    farther than LENGTH.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.DoubleType(), LANES)
        data, notes = (
            builder.bitcast(context.make_array(kind)(context, builder, value=value).data, vector.as_pointer())
            for kind, value in zip(signature.args, arguments, strict=True)
        )
        number = ir.IntType(64)

        def word(index: int) -> Any:
            return builder.gep(data, [ir.Constant(number, index)])

        fixed = {index: builder.load(word(index), align=8) for index in range(WORDS) if index not in _CHANGING}
        begin = {index: builder.load(word(index), align=8) for index in _CHANGING}
        before = builder.block
        loop = builder.append_basic_block("stretch")
        after = builder.append_basic_block("walked")
        builder.branch(loop)
        builder.position_at_end(loop)
        count = builder.phi(number)
        count.add_incoming(ir.Constant(number, 0), before)
        now = {}
        for index in _CHANGING:
            now[index] = builder.phi(vector)
            now[index].add_incoming(begin[index], before)
        builder.store(now[PLACE], builder.gep(notes, [count]), align=8)
        moved = _one_step(builder, now, fixed, vector)
        following = builder.add(count, ir.Constant(number, 1))
        for index in _CHANGING:
            now[index].add_incoming(moved[index], loop)
        count.add_incoming(following, loop)
        builder.cbranch(builder.icmp_unsigned("<", following, ir.Constant(number, STRETCH)), loop, after)
        builder.position_at_end(after)
        for index in _CHANGING:
            builder.store(moved[index], word(index), align=8)
        return context.get_dummy_value()

    return types.void(rays, path), generate


def _one_step(builder: Any, now: dict[int, Any], fixed: dict[int, Any], vector: Any) -> dict[int, Any]:
    """The words of all rays after one step."""
    x, y, z = (now[BORDER + axis] for axis in range(3))
    x_before_y = builder.fcmp_ordered("<", x, y)
    on_x = builder.and_(x_before_y, builder.fcmp_ordered("<", x, z))
    on_y = builder.and_(builder.not_(x_before_y), builder.fcmp_ordered("<", y, z))
    on_xy = builder.or_(on_x, on_y)
    new = {
        BORDER: builder.select(on_x, builder.fadd(x, fixed[APART]), x),
        BORDER + 1: builder.select(on_y, builder.fadd(y, fixed[APART + 1]), y),
        BORDER + 2: builder.select(on_xy, z, builder.fadd(z, fixed[APART + 2])),
        STEPS: builder.fadd(now[STEPS], now[ALIVE]),
    }
    step = builder.select(on_x, fixed[STEP], builder.select(on_y, fixed[STEP + 1], fixed[STEP + 2]))
    new[PLACE] = builder.fadd(now[PLACE], step)
    near = builder.fcmp_ordered("<=", new[BORDER], fixed[LENGTH])
    for axis in (1, 2):
        near = builder.or_(near, builder.fcmp_ordered("<=", new[BORDER + axis], fixed[LENGTH]))
    under_way = builder.and_(near, builder.fcmp_ordered("!=", new[PLACE], fixed[END]))
    new[ALIVE] = builder.select(under_way, now[ALIVE], ir.Constant(vector, [0.0] * LANES))
    return new
