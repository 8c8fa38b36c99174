// Layers of transformers whose attention stays within windows of a map [N, H, W, C] (Liu 2021, Swin).

import * as ops from '../../engine/index.ts';
import { type Device, indexTensor, type Tensor, tensor } from '../../engine/index.ts';
import type { GraphNode } from '../graph.ts';
import { plain } from './node.ts';

export interface WindowSpec {
  /** A side of a window, in tokens. */
  readonly window: number;
  /** By how much the windows are shifted up and to the left; the map goes round. */
  readonly shift: number;
  readonly heads: number;
}

const roundedUp = (n: number, step: number) => Math.ceil(n / step) * step;

/** Zeros behind the last row and column, to whole windows: [N, H, W, C]. */
export const padToWindows = (name: string, input: string, window: number) =>
  plain(name, 'padToWindows', [input], (x) => {
    const [, height, width] = x.shape as [number, number, number, number];
    return ops.pad(
      x,
      [0, 0, 0, 0],
      [0, roundedUp(height, window) - height, roundedUp(width, window) - width, 0],
    );
  });

/** Shifts along y and x of a map in whole windows: none along an axis that is one window. */
const shiftsOf = ([, height, width]: readonly number[], { window, shift }: WindowSpec) =>
  [height!, width!].map((size) => (size > window ? shift : 0)) as [number, number];

/** x [N, H, W, C] moved round by so much up and to the left. */
function rolled(x: Tensor, shifts: readonly [number, number]): Tensor {
  return shifts.reduce((y, shift, i) => {
    const [axis, size] = [i + 1, y.shape[i + 1]!];
    const by = (shift + size) % size;
    return by === 0 ? y : ops.concat([ops.narrow(y, axis, by, size - by), ops.narrow(y, axis, 0, by)], axis);
  }, x);
}

/** [N, H, W, C] -> [N windows, tokens of a window, C]. */
function windowsOf(x: Tensor, spec: WindowSpec): Tensor {
  const { window } = spec;
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const cells = [batch, height / window, window, width / window, window, channels];
  const moved = ops.reshape(rolled(x, shiftsOf(x.shape, spec)), cells);
  return ops.reshape(ops.transpose(moved, [0, 1, 3, 2, 4, 5]), [-1, window * window, channels]);
}

/** Queries (0), keys (1) or values (2) of packed windows [N windows, T, 3 C]: [N windows, heads, T, C / heads]. */
function headsOf(packed: Tensor, part: 0 | 1 | 2, heads: number): Tensor {
  const [count, tokens, three] = packed.shape as [number, number, number];
  const width = three / 3;
  const split = ops.reshape(ops.narrow(packed, 2, part * width, width), [
    count,
    tokens,
    heads,
    width / heads,
  ]);
  return ops.transpose(split, [0, 2, 1, 3]);
}

/** Where in the table of relative positions each pair of a window's tokens looks: [T T]. */
function relativePositions(device: Device, window: number): Tensor {
  const span = 2 * window - 1;
  const tokens = Array.from(
    { length: window * window },
    (_, i) => [Math.floor(i / window), i % window] as const,
  );
  const pairs = tokens.flatMap(([y, x]) =>
    tokens.map(([v, u]) => (y - v + window - 1) * span + (x - u + window - 1)),
  );
  return indexTensor(device, pairs, [pairs.length]);
}

/** Numbers that are added to scores: -100 where shifting has brought two tokens into one window that are no neighbours. */
const APART = -100;

/** [windows, 1, T, T]: for each window, which pairs lie together in the map. */
function mask(device: Device, [, height, width]: readonly number[], spec: WindowSpec): Tensor {
  const { window } = spec;
  const shifts = shiftsOf([0, height!, width!], spec);
  /** Into which of the three parts that the shift cuts an axis into a position falls. */
  const part = (at: number, size: number, shift: number) =>
    shift === 0 || at < size - window ? 0 : at < size - shift ? 1 : 2;
  const [rows, columns] = [height! / window, width! / window];
  const parts = Array.from({ length: rows * columns }, (_, i) =>
    Array.from({ length: window * window }, (_, k) => {
      const y = Math.floor(i / columns) * window + Math.floor(k / window);
      const x = (i % columns) * window + (k % window);
      return 3 * part(y, height!, shifts[0]) + part(x, width!, shifts[1]);
    }),
  );
  const values = parts.flatMap((one) => one.flatMap((a) => one.map((b) => (a === b ? 0 : APART))));
  return tensor(device, values, [rows * columns, 1, window ** 2, window ** 2]);
}

/**
 * softmax(q k^T / sqrt(d) + bias) within each window, from packed [N, H, W, 3 C] in whole windows:
 * [N, windows, heads, T, T]. The bias is a learnt number for each way from one token to another, the parameter
 * `relative_position_bias_table` of `owner` [(2 window - 1)^2, heads].
 */
export const windowProbabilities = (
  name: string,
  qkv: string,
  owner: string,
  spec: WindowSpec,
): GraphNode => ({
  name,
  kind: 'windowProbabilities',
  inputs: [qkv],
  parameters: {
    table: { key: `${owner}.relative_position_bias_table`, shape: [(2 * spec.window - 1) ** 2, spec.heads] },
  },
  attributes: { ...spec },
  run: ([x], { parameters: { table } }) => {
    const { heads, window } = spec;
    const tokens = window * window;
    const packed = windowsOf(x!, spec);
    const [q, k] = [headsOf(packed, 0, heads), headsOf(packed, 1, heads)];
    const scores = ops.scale(ops.matmul(q, k, false, true), 1 / Math.sqrt(q.shape[3]!));
    const learnt = ops.gather(table!, relativePositions(x!.device, window), 0);
    const bias = ops.transpose(ops.reshape(learnt, [tokens, tokens, heads]), [2, 0, 1]);
    const apart = ops.reshape(ops.add(scores, bias), [x!.shape[0]!, -1, heads, tokens, tokens]);
    const isShifted = shiftsOf(x!.shape, spec).some((shift) => shift > 0);
    return ops.softmax(isShifted ? ops.add(apart, mask(x!.device, x!.shape, spec)) : apart, 4);
  },
  traits: {},
});

/** Values averaged by the probabilities, back in the map: [N, H, W, C], as large as `like` is. */
export const windowMix = (name: string, probabilities: string, qkv: string, like: string, spec: WindowSpec) =>
  plain(
    name,
    'windowMix',
    [probabilities, qkv, like],
    (p, x, small) => {
      const { heads, window } = spec;
      const [batch, height, width] = x.shape as [number, number, number];
      const packed = windowsOf(x, spec);
      const mixed = ops.matmul(
        ops.reshape(p, [packed.shape[0]!, heads, window ** 2, -1]),
        headsOf(packed, 2, heads),
      );
      const cells = [batch, height / window, width / window, window, window, packed.shape[2]! / 3];
      const apart = ops.reshape(ops.transpose(mixed, [0, 2, 1, 3]), cells);
      const map = ops.reshape(ops.transpose(apart, [0, 1, 3, 2, 4, 5]), [batch, height, width, -1]);
      const [down, right] = shiftsOf(x.shape, spec);
      const back = rolled(map, [-down, -right]);
      return ops.narrow(ops.narrow(back, 1, 0, small.shape[1]!), 2, 0, small.shape[2]!);
    },
    { ...spec },
  );

/** Squares of four tokens side by side, (0, 0), (1, 0), (0, 1), (1, 1) by row and column: [N, H, W, C] -> [N, H/2, W/2, 4 C]. */
export const mergePatches = (name: string, input: string) =>
  plain(name, 'mergePatches', [input], (x) => {
    const [batch, height, width, channels] = x.shape as [number, number, number, number];
    const even = ops.pad(x, [0, 0, 0, 0], [0, height % 2, width % 2, 0]);
    const [rows, columns] = [Math.ceil(height / 2), Math.ceil(width / 2)];
    const squares = ops.reshape(even, [batch, rows, 2, columns, 2, channels]);
    return ops.reshape(ops.transpose(squares, [0, 1, 3, 4, 2, 5]), [batch, rows, columns, 4 * channels]);
  });
