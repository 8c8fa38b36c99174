// Layers that move elements: views, and choices and orders of channels.

import type { Shape } from '../../engine/index.ts';
import * as ops from '../../engine/index.ts';
import type { GraphNode } from '../graph.ts';
import { plain } from './node.ts';

/** A view: the same elements in their order under another shape. */
export const view = (name: string, kind: string, input: string, shape: (from: Shape) => Shape) =>
  plain(name, kind, [input], (x) => ops.reshape(x, shape(x.shape)), {}, { view: true });

/** A view that leaves the channels their places: they, or what each holds, stay side by side. */
const channelView = (
  name: string,
  kind: string,
  input: string,
  shape: (from: Shape) => Shape,
): GraphNode => ({
  ...view(name, kind, input, shape),
  traits: { view: true, channelwise: true },
});

/** [N, C, H, W] -> [N, C H W]. */
export const flatten = (name: string, input: string) =>
  channelView(name, 'flatten', input, (from) => [from[0]!, ops.sizeOf(from.slice(1))]);

/** What does nothing when a network is explained, such as dropout; it keeps its name as the file or the paper has it. */
export const identity = (name: string, input: string, kind = 'identity') =>
  channelView(name, kind, input, (from) => from);

export const dropout = (name: string, input: string) => identity(name, input, 'dropout');

/** [N, C] -> [N, C, 1, 1]. */
export const asPixel = (name: string, input: string) =>
  channelView(name, 'reshape', input, (from) => [from[0]!, ops.sizeOf(from.slice(1)), 1, 1]);

/** The axes in another order. */
export const transpose = (name: string, input: string, order: readonly number[]) =>
  plain(name, 'transpose', [input], (x) => ops.transpose(x, order), { order }, { order });

/** Channels `start` to `start + count`. */
export const channels = (name: string, input: string, start: number, count: number) =>
  plain(name, 'channels', [input], (x) => ops.narrow(x, 1, start, count), { start, count });

/** Channel g c + i becomes channel i groups + g: groups of c channels dealt out in turn (Zhang 2018, ShuffleNet). */
export const channelShuffle = (name: string, input: string, groups: number) =>
  plain(
    name,
    'channelShuffle',
    [input],
    (x) => {
      const [n, c, ...size] = x.shape as [number, number, number, number];
      const grouped = ops.reshape(x, [n, groups, c / groups, ...size]);
      return ops.reshape(ops.transpose(grouped, [0, 2, 1, 3, 4]), x.shape);
    },
    { groups },
  );

/**
 * Shortcut "option A" of CIFAR ResNets (He 2015): every second pixel, and zero channels added half before, half
 * after.
 */
export function shortcutA(name: string, input: string, added: number): GraphNode {
  const around = added / 2;
  return plain(
    name,
    'shortcut',
    [input],
    (x) => {
      const [n, c, h, w] = x.shape as [number, number, number, number];
      return ops.stridedWindow(
        x,
        [0, -around, 0, 0],
        [1, 1, 2, 2],
        [n, c + added, Math.ceil(h / 2), Math.ceil(w / 2)],
      );
    },
    { stride: 2, addedChannels: added },
  );
}
