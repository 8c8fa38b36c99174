// Arrays drawn, to lay maps over: signals as curves, others as grey or coloured pictures. Each is drawn between its least
// and its largest number.

import { largest, least } from '../../engine/extremes.ts';
import { channelsFirst } from '../../models/array-input.ts';
import type { HostTensor } from '../../models/formats/host-tensor.ts';
import type { Pixels } from '../../models/pixels.ts';
import { type Preprocessing, visiblePixels } from '../../models/preprocess.ts';

/** A plot of a signal, in pixels: its width, and the height that all channels share, but for the least of one. */
const PLOT = { width: 960, height: 320, least: 24 } as const;

/** What a network sees of what it is given, to draw over: the part of a picture, or an array as a picture. */
export const seenOf = (
  network: { readonly preprocessing: Preprocessing },
  given: Pixels | HostTensor,
): Pixels =>
  'rgb' in given ? visiblePixels(network, given) : drawnArray(channelsFirst(network.preprocessing, given));

/** An array [C, H, W]: curves where H is 1; colours of three channels; else the mean of the channels, in grey. */
function drawnArray({ shape, data }: HostTensor): Pixels {
  const [channels, height, width] = shape as [number, number, number];
  if (height === 1) return curves(channels, width, data);
  const [low, high] = [least(data), largest(data)];
  const shade = (value: number) => Math.round((255 * (value - low)) / (high - low || 1));
  const plane = height * width;
  const rgb = new Uint8Array(3 * plane);
  for (let i = 0; i < plane; i++) {
    const values = Array.from({ length: channels }, (_, c) => data[c * plane + i]!);
    const grey = values.reduce((sum, value) => sum + value, 0) / channels;
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = shade(channels === 3 ? values[c]! : grey);
  }
  return { width, height, rgb };
}

/** Each channel as a curve, one above the other. */
function curves(channels: number, steps: number, data: Float32Array): Pixels {
  const { width } = PLOT;
  const band = Math.max(PLOT.least, Math.round(PLOT.height / channels));
  const margin = band / 8;
  const rgb = new Uint8Array(3 * width * band * channels).fill(255);
  for (let c = 0; c < channels; c++) {
    const curve = data.subarray(c * steps, (c + 1) * steps);
    const [low, high] = [least(curve), largest(curve)];
    const rowOf = (value: number) =>
      Math.round(margin + (1 - (value - low) / (high - low || 1)) * (band - 1 - 2 * margin));
    for (let x = 0; x < width; x++) {
      const [fewest, most] = between(curve, (x / width) * steps - 0.5, ((x + 1) / width) * steps - 0.5);
      for (let y = rowOf(most); y <= rowOf(fewest) + 1; y++) {
        const start = 3 * ((c * band + y) * width + x);
        rgb.fill(INK, start, start + 3);
      }
    }
  }
  return { width, height: band * channels, rgb };
}

/** How dark curves are, 0 to 255. */
const INK = 32;

/** The least and the largest value of a curve, straight between its steps, from one position to another. */
function between(curve: Float32Array, from: number, to: number): [least: number, largest: number] {
  const at = (position: number) => {
    const inside = Math.min(Math.max(position, 0), curve.length - 1);
    const before = Math.floor(inside);
    const after = Math.min(before + 1, curve.length - 1);
    return curve[before]! + (inside - before) * (curve[after]! - curve[before]!);
  };
  const steps = curve.subarray(Math.max(0, Math.ceil(from)), Math.max(0, Math.floor(to) + 1));
  const ends = [at(from), at(to)];
  return [Math.min(...ends, least(steps)), Math.max(...ends, largest(steps))];
}
