// Results of kernel problems in float64, by their definitions: what every engine's are held to.

import { type HostTensor, type KernelProblem, shapesOfKernel } from './problems.ts';

type Inputs = { readonly x: HostTensor; readonly w?: HostTensor };

/** A sum of `count` terms. */
function sum(count: number, term: (i: number) => number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += term(i);
  return total;
}

/** Indices of an element along each axis of a shape. */
function indicesOf(shape: readonly number[], element: number): number[] {
  let rest = element;
  return shape
    .map((_, axis) => shape[shape.length - 1 - axis]!)
    .map((size) => {
      const index = rest % size;
      rest = Math.floor(rest / size);
      return index;
    })
    .reverse();
}

/** A problem's result, an element at a time: from its place in `y` to its value. */
export function referenceOf(p: KernelProblem, { x, w }: Inputs): (element: number) => number {
  const [a, b] = [x.data, w?.data ?? new Float32Array()];
  switch (p.op) {
    case 'matmul':
      return (element) => {
        const [row, column] = [Math.floor(element / p.n), element % p.n];
        return sum(p.k, (i) => a[row * p.k + i]! * b[i * p.n + column]!);
      };
    case 'conv2d': {
      const [height, width] = p.size;
      const [inGroup, outGroup] = [p.inChannels / p.groups, p.outChannels / p.groups];
      const pad = (p.kernel - 1) / 2;
      const shape = shapesOfKernel(p).y;
      return (element) => {
        const [image, out, row, column] = indicesOf(shape, element) as [number, number, number, number];
        return sum(inGroup * p.kernel ** 2, (tap) => {
          const [channel, ky, kx] = indicesOf([inGroup, p.kernel, p.kernel], tap) as [number, number, number];
          const [y, left] = [row + ky - pad, column + kx - pad];
          if (y < 0 || y >= height || left < 0 || left >= width) return 0;
          const plane = image * p.inChannels + Math.floor(out / outGroup) * inGroup + channel;
          return a[(plane * height + y) * width + left]! * b[out * inGroup * p.kernel ** 2 + tap]!;
        });
      };
    }
    case 'globalAvgPool': {
      const plane = p.shape[2] * p.shape[3];
      return (element) => sum(plane, (i) => a[element * plane + i]!) / plane;
    }
    case 'softmax': {
      const columns = p.shape[1];
      return (element) => {
        const start = element - (element % columns);
        return 1 / sum(columns, (i) => Math.exp(a[start + i]! - a[element]!));
      };
    }
    case 'relu':
      return (element) => Math.max(0, a[element]!);
  }
}
