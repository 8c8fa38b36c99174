// Arrays of numbers as a network's input: signals, pictures of any channels, whatever was computed elsewhere.

import { ShapeError } from '../engine/index.ts';
import type { HostTensor } from './formats/host-tensor.ts';

/** What a network takes. */
interface Taken {
  readonly channels: number;
  /** Any where undefined. */
  readonly size?: readonly [height: number, width: number] | undefined;
  /** Whether it is a signal, of height 1. */
  readonly signal?: boolean | undefined;
}

/** An order of axes in which an array may have them: the axes of [C, H, W], undefined for one of size 1 that it lacks. */
type Order = readonly [channels: number | undefined, height: number | undefined, width: number | undefined];

/** By the number of axes, the first that fits is meant. */
const orders = {
  signal: [
    [],
    [[undefined, undefined, 0]],
    [
      [0, undefined, 1],
      [1, undefined, 0],
    ],
    [[0, 1, 2]],
  ],
  picture: [
    [],
    [],
    [[undefined, 0, 1]],
    [
      [0, 1, 2],
      [2, 0, 1],
    ],
  ],
} as const satisfies Readonly<Record<string, readonly (readonly Order[])[]>>;

/**
 * An array as a network takes it, [C, H, W], H = 1 of a signal: [C, H, W], [H, W, C] or, of one channel, [H, W]; of a signal
 * [C, L], [L, C] or, of one channel, [L]. A first axis of 1 picture may stand before.
 *
 * @throws {ShapeError} if it has not the network's channels and size, or holds what is not finite.
 */
export function channelsFirst({ channels, size, signal }: Taken, { shape, data }: HostTensor): HostTensor {
  const kind = signal ? 'signal' : 'picture';
  const fits = (axes: Order, sizes: readonly number[]) => {
    const [c = 1, h = 1, w = 1] = axes.map((axis) => (axis === undefined ? 1 : sizes[axis]));
    const [height, width] = size ?? [signal ? 1 : h, w];
    return c === channels && h === height && w === width && h * w > 0;
  };
  const found = [shape, ...(shape[0] === 1 ? [shape.slice(1)] : [])].flatMap((sizes) =>
    (orders[kind][sizes.length] ?? []).filter((axes) => fits(axes, sizes)).map((axes) => ({ axes, sizes })),
  )[0];
  if (found === undefined) {
    const [height, width] = size ?? ['any', 'any'];
    const expected = signal ? `[${channels}, ${width}]` : `[${channels}, ${height}, ${width}]`;
    const turned = signal ? `[${width}, ${channels}]` : `[${height}, ${width}, ${channels}]`;
    throw new ShapeError(
      `an array [${shape.join(', ')}] is given for a ${kind} ${expected}, or ${turned}; arrays are not scaled or cropped`,
    );
  }
  const wrong = data.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw new ShapeError(`the array holds ${data[wrong]}, at position ${wrong}`);
  const { axes, sizes } = found;
  const steps = sizes.map((_, axis) => sizes.slice(axis + 1).reduce((product, n) => product * n, 1));
  const [c, h, w] = axes.map((axis) => (axis === undefined ? 1 : sizes[axis]!)) as [number, number, number];
  const [ofC, ofH, ofW] = axes.map((axis) => (axis === undefined ? 0 : steps[axis]!)) as [
    number,
    number,
    number,
  ];
  const first = Float32Array.from({ length: data.length }, (_, i) => {
    const [k, y, x] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
    return data[k * ofC + y * ofH + x * ofW]!;
  });
  return { shape: [c, h, w], data: first };
}
