// Shapes and axes: what operations of several families ask of them.

import { ShapeError } from '../errors.ts';
import { type Shape, show, sizeOf } from '../tensor.ts';

/** A tensor seen as [outer, n, inner] around an axis (or a range of axes). */
export function around(shape: Shape, axis: number, axes = 1): { outer: number; n: number; inner: number } {
  return {
    outer: sizeOf(shape.slice(0, axis)),
    n: sizeOf(shape.slice(axis, axis + axes)),
    inner: sizeOf(shape.slice(axis + axes)),
  };
}

/** A checked axis; negative ones count from the end. */
export function axisOf(name: string, shape: Shape, axis: number): number {
  const found = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || found < 0 || found >= shape.length) {
    throw new ShapeError(`${name}: ${show(shape)} has no axis ${axis}`);
  }
  return found;
}

/** NumPy's broadcasting: shapes aligned at the right, sizes equal or 1. */
export function broadcastShape(name: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const m = a[a.length - rank + i] ?? 1;
    const n = b[b.length - rank + i] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new ShapeError(`${name}: ${show(a)} and ${show(b)} do not broadcast (axis ${i}: ${m} and ${n})`);
    }
    return m === 1 ? n : m;
  });
}
