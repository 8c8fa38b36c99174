// A network: a graph, its parameters on a device, and what belongs to it: how pixels become its input, what its classes
// are called, which layer is explained unless another is asked for.

import { type Device, LimelightError, scope, slice, type Tensor, tensor, upsample } from '../engine/index.ts';
import { FormatError } from './formats/errors.ts';
import type { StateDict } from './formats/host-tensor.ts';
import { assertFinite } from './formats/safetensors.ts';
import type { Graph, Runnable } from './graph.ts';
import type { Pixels } from './pixels.ts';
import { disposeFolds } from './run.ts';

/** How pixels become a network's input: (value / scale - mean) / std per channel. */
export interface Preprocessing {
  /** 3: RGB; 1: grey, by ITU-R 601 luma. */
  readonly channels: 1 | 3;
  /** Height and width that the network wants; undefined: any size is taken as it is. */
  readonly size?: readonly [height: number, width: number];
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Everything about a network but its numbers. */
export interface NetworkDescription {
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  readonly graph: Graph;
  readonly preprocessing: Preprocessing;
  readonly classes: readonly string[];
  /** softmax: one class an image; sigmoid: independent classes. */
  readonly probabilities: 'softmax' | 'sigmoid';
  /** The node that is explained by default. */
  readonly targetLayer: string;
}

export interface Network extends NetworkDescription, Runnable {
  readonly device: Device;
}

/** Counters that state dicts carry and inference has no use for. */
const IGNORED = /(^|\.)num_batches_tracked$/;

/**
 * Puts a state dict on the device. Missing, extra and mis-shaped keys are listed together in one FormatError; NaN and
 * infinite weights are refused.
 */
export function loadNetwork(device: Device, description: NetworkDescription, tensors: StateDict): Network {
  const { name, graph } = description;
  const expected = new Map(
    graph.nodes.flatMap((node) =>
      Object.values(node.parameters).map(({ key, shape }) => [key, shape] as const),
    ),
  );
  const shown = (shape: readonly number[]) => `[${shape.join(', ')}]`;
  const problems = [...expected].flatMap(([key, shape]) => {
    const found = tensors.get(key);
    if (found === undefined) return [`missing ${key} ${shown(shape)}`];
    const fits = found.shape.length === shape.length && found.shape.every((n, i) => n === shape[i]);
    return fits ? [] : [`${key} is ${shown(found.shape)}, expected ${shown(shape)}`];
  });
  for (const key of tensors.keys())
    if (!expected.has(key) && !IGNORED.test(key)) problems.push(`unexpected ${key}`);
  if (problems.length > 0) {
    throw new FormatError(`the weights do not fit the network ${name}:\n  ${problems.join('\n  ')}`);
  }
  assertFinite(tensors, name);
  const parameters = new Map(
    [...expected].map(([key, shape]) => [key, tensor(device, tensors.get(key)!.data, shape)] as const),
  );
  return { ...description, device, parameters };
}

/** Frees the parameters. */
export function disposeNetwork(network: Network): void {
  disposeFolds(network);
  for (const parameter of network.parameters.values()) parameter.dispose();
}

/**
 * Pixels as the network's input [1, C, H, W]. Where the network wants one size, the shorter side is scaled to it and
 * the middle is cut out.
 */
export function preprocess(network: Network, pixels: Pixels): Tensor {
  const { channels, size, scale, mean, std } = network.preprocessing;
  const { width, height, rgb } = pixels;
  const plane = width * height;
  const values = new Float32Array(channels * plane);
  for (let i = 0; i < plane; i++) {
    const [r, g, b] = [rgb[3 * i]!, rgb[3 * i + 1]!, rgb[3 * i + 2]!];
    const samples = channels === 3 ? [r, g, b] : [0.299 * r + 0.587 * g + 0.114 * b];
    for (let c = 0; c < channels; c++) values[c * plane + i] = (samples[c]! / scale - mean[c]!) / std[c]!;
  }
  return scope(() => {
    const x = tensor(network.device, values, [1, channels, height, width]);
    if (size === undefined || (size[0] === height && size[1] === width)) return x;
    const ratio = Math.max(size[0] / height, size[1] / width);
    const scaled = [
      Math.max(size[0], Math.round(height * ratio)),
      Math.max(size[1], Math.round(width * ratio)),
    ] as const;
    const [top, left] = [Math.floor((scaled[0] - size[0]) / 2), Math.floor((scaled[1] - size[1]) / 2)];
    const whole = upsample(x, scaled);
    return slice(whole, [0, 0, top, left], [1, channels, top + size[0], left + size[1]]);
  });
}

/** The part of the picture that the network sees, in its size: what a map is drawn over. */
export function visiblePixels(network: Network, pixels: Pixels): Pixels {
  const { size } = network.preprocessing;
  if (size === undefined || (size[0] === pixels.height && size[1] === pixels.width)) return pixels;
  const [height, width] = size;
  const ratio = Math.min(pixels.height / height, pixels.width / width);
  const [top, left] = [(pixels.height - height * ratio) / 2, (pixels.width - width * ratio) / 2];
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const sy = Math.min(pixels.height - 1, Math.floor(top + (y + 0.5) * ratio));
    for (let x = 0; x < width; x++) {
      const sx = Math.min(pixels.width - 1, Math.floor(left + (x + 0.5) * ratio));
      const from = 3 * (sy * pixels.width + sx);
      rgb.set(pixels.rgb.subarray(from, from + 3), 3 * (y * width + x));
    }
  }
  return { width, height, rgb };
}

/** A class by index or by name (case does not matter; a unique part of a name will do). */
export function classIndex(network: NetworkDescription, wanted: number | string): number {
  const { classes, name } = network;
  const asNumber = typeof wanted === 'number' ? wanted : /^\d+$/.test(wanted) ? Number(wanted) : undefined;
  if (asNumber !== undefined && Number.isInteger(asNumber) && asNumber >= 0 && asNumber < classes.length)
    return asNumber;
  if (typeof wanted === 'string') {
    const text = wanted.toLowerCase();
    const exact = classes.findIndex((label) => label.toLowerCase() === text);
    if (exact >= 0) return exact;
    const partial = classes.flatMap((label, i) => (label.toLowerCase().includes(text) ? [i] : []));
    if (partial.length === 1) return partial[0]!;
    if (partial.length > 1) {
      const some = partial.slice(0, 5).map((i) => `${i} "${classes[i]}"`);
      throw new LimelightError(
        `class "${wanted}" of ${name} could be ${some.join(', ')}${partial.length > 5 ? ', …' : ''}`,
      );
    }
  }
  const few = classes.slice(0, 10).join(', ');
  throw new LimelightError(
    `${name} has no class "${wanted}": give an index from 0 to ${classes.length - 1} or a name (${few}${classes.length > 10 ? ', …' : ''})`,
  );
}
