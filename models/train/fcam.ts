// How F-CAM's decoders are trained (Belharbi 2022): the network is frozen, no box and no mask is known, and three terms
// say what a foreground is.
//
//   L = L_seeds + L_crf + L_size
//
//   L_seeds = cross-entropy at the seeds                               data/seeds.ts
//   L_crf   = -lambda/N sum_n sum_c p_c^T W p_c                        pixels that are near and alike belong together
//   L_size  = 1/20 (B(sum p_0) + B(sum p_1))                           neither shall vanish
//
//   p = softmax(scores) over background and foreground
//   W_ij = exp(-|I_i - I_j|^2 / (2 sigma_I^2) - |x_i - x_j|^2 / (2 sigma_x^2))
//   B(s) = -log(s)/t for s >= 1/t^2, and the line that continues it below (extended log barrier, Kervadec 2019)
//
// W is dense and exact, as exp of a product of two [n, 5] matrices, where the official code filters by a lattice. It would
// be [4096, 4096]: each step takes every fourth pixel of every fourth row, from a first one that is drawn anew, so that
// over the steps all pixels have their say. lambda grows with the square of the pixels that are left out.

import {
  add,
  affine,
  exp,
  full,
  log,
  logSoftmax,
  matmul,
  maximum,
  minimum,
  mul,
  oneHot,
  reshape,
  scale,
  scope,
  softmax,
  sum,
  type Tensor,
  tensor,
  toHost,
  upsample,
} from '../../engine/index.ts';
import { CLASS_MAP, classMap } from '../architectures/fcam.ts';
import type { HostTensor } from '../formats/host-tensor.ts';
import { INPUT } from '../graph.ts';
import type { Network } from '../network.ts';
import { run } from '../run.ts';
import { below, type Random } from './data/random.ts';
import { type Box, SCENE_SIZE, type Scene } from './data/scenes.ts';
import { drawSeeds } from './data/seeds.ts';
import type { Batch, Scorer } from './recipe.ts';

/** sigma_I in grey levels; sigma_x as a share of the picture's side: 100 pixels of 224. */
const SIGMA = { colour: 15, place: (100 / 224) * SCENE_SIZE };
/** Every so many pixels of a row, and rows, are taken. */
const STEP = 4;
/** lambda of the official code, for all pixels of a picture of 224 x 224. */
const LAMBDA = 2e-9 * (224 / (SCENE_SIZE / STEP)) ** 4;

/**
 * A batch of scenes, each with one of its classes, drawn. What a decoder may take of the frozen network is computed; what
 * it is compared with is drawn too. `boxes` [N, 4] is there to test by and does not occur in the loss.
 */
export async function fcamBatch(network: Network, scenes: readonly Scene[], next: Random): Promise<Batch> {
  const count = scenes.length;
  const pixels = new Float32Array(count * SCENE_SIZE * SCENE_SIZE);
  scenes.forEach((scene, n) => {
    for (const [i, grey] of scene.pixels.entries()) pixels[n * scene.pixels.length + i] = grey / 255;
  });
  const chosen = scenes.map(({ digits }) => digits[below(digits.length, next)]!);
  const made = scope(() => {
    const x = tensor(network.device, pixels, [count, 1, SCENE_SIZE, SCENE_SIZE]);
    const found = run(network, new Map([[INPUT, x]]), ['stage1', 'features']);
    const features = found.get('features')!;
    const [, channels, h, w] = features.shape as [number, number, number, number];
    const classes = chosen.map((digit) => digit.class);
    const rows = matmul(
      oneHot(x, classes, network.classes.length),
      network.parameters.get('classifier.weight')!,
    );
    const cam = matmul(reshape(rows, [count, 1, channels]), reshape(features, [count, channels, h * w]));
    const small = classMap(reshape(cam, [count, 1, h, w]));
    const map = upsample(small, [SCENE_SIZE, SCENE_SIZE]);
    return { stage1: found.get('stage1')!, features, [CLASS_MAP]: small, map };
  });
  await toHost(Object.values(made));
  const read: Record<string, HostTensor> = {};
  for (const [name, value] of Object.entries(made)) {
    read[name] = { shape: value.shape, data: await value.data() };
    value.dispose();
  }
  const { map, ...inputs } = read;
  const boxes = { shape: [count, 4], data: Float32Array.from(chosen.flatMap(({ box }) => box)) };
  return {
    inputs,
    targets: { boxes, seeds: seedsOf(map!.data, count, next), ...pairsOf(pixels, count, next) },
  };
}

/** Seeds of each map [N, 2, 64, 64], so weighted that all together weigh 1. */
function seedsOf(maps: Float32Array, count: number, next: Random): HostTensor {
  const area = SCENE_SIZE * SCENE_SIZE;
  const data = new Float32Array(2 * count * area);
  for (let n = 0; n < count; n++)
    data.set(drawSeeds(maps.subarray(n * area, (n + 1) * area), SCENE_SIZE, next), 2 * n * area);
  const total = data.reduce((sum, one) => sum + one, 0);
  return { shape: [count, 2, SCENE_SIZE, SCENE_SIZE], data: data.map((one) => one / total) };
}

/**
 * Which pixels are taken: a row [n, 64] of 0 and a 1 for each, of rows and of columns; and W = exp(left right^T) between
 * them, with left and right [N, n^2, 5]: -|a - b|^2 / 2 = a.b - |a|^2 / 2 - |b|^2 / 2 for what pixels look like and where
 * they lie, in units of sigma.
 */
function pairsOf(pixels: Float32Array, count: number, next: Random) {
  const side = SCENE_SIZE / STEP;
  const [top, start] = [below(STEP, next), below(STEP, next)];
  const taken = (first: number): HostTensor => {
    const data = new Float32Array(side * SCENE_SIZE);
    for (let i = 0; i < side; i++) data[i * SCENE_SIZE + first + i * STEP] = 1;
    return { shape: [side, SCENE_SIZE], data };
  };
  const shape = [count, side * side, 5];
  const left = new Float32Array(count * side * side * 5);
  const right = left.slice();
  for (let i = 0; i < count * side * side; i++) {
    const [n, y, x] = [Math.floor(i / side ** 2), Math.floor(i / side) % side, i % side];
    const [row, column] = [top + y * STEP, start + x * STEP];
    const grey = 255 * pixels[(n * SCENE_SIZE + row) * SCENE_SIZE + column]!;
    const looks = [grey / SIGMA.colour, row / SIGMA.place, column / SIGMA.place];
    const half = -looks.reduce((total, one) => total + one * one, 0) / 2;
    left.set([...looks, half, 1], 5 * i);
    right.set([...looks, 1, half], 5 * i);
  }
  return {
    rows: taken(top),
    columns: taken(start),
    left: { shape, data: left },
    right: { shape, data: right },
  };
}

/** B, by the epoch from 0. */
function barrier(s: Tensor, epoch: number): Tensor {
  const t = 1.01 ** epoch;
  const edge = full(s.device, [], 1 / t ** 2);
  const line = affine(minimum(s, edge), -t, 1 / t);
  return add(scale(log(maximum(s, edge)), -1 / t), line);
}

/** L of scores [N, 2, 64, 64]; `crf` gives by how much the paper's lambda is multiplied, by the epoch from 0. */
export const fcamLoss =
  (crf: (epoch: number) => number) =>
  (scores: Tensor, targets: Readonly<Record<string, Tensor>>, epoch: number): Tensor => {
    const { seeds, rows, columns, left, right } = targets as Record<
      'seeds' | 'rows' | 'columns' | 'left' | 'right',
      Tensor
    >;
    const count = scores.shape[0]!;
    const p = softmax(scores, 1);
    const L_seeds = scale(sum(mul(seeds, logSoftmax(scores, 1))), -1);

    const taken = reshape(matmul(matmul(rows, p), columns, false, true), [count, 2, -1]);
    const W = exp(matmul(left, right, false, true));
    const L_crf = scale(sum(mul(taken, matmul(taken, W))), (-crf(epoch) * LAMBDA) / count);

    const L_size = scale(sum(barrier(sum(p, [2, 3]), epoch)), 0.05 / count);
    return add(add(L_seeds, L_crf), L_size);
  };

/** Share of the objects in whose box the foreground is surest, and the share of the picture that is called foreground. */
export function foregroundScorer(): Scorer {
  const area = SCENE_SIZE * SCENE_SIZE;
  let [count, hits, filled] = [0, 0, 0];
  return {
    add(scores, { targets: { boxes } }) {
      for (let n = 0; n < boxes!.shape[0]!; n++, count++) {
        const [x0, y0, x1, y1] = boxes!.data.subarray(4 * n, 4 * n + 4) as unknown as Box;
        const margin = Float32Array.from(
          { length: area },
          (_, i) => scores[(2 * n + 1) * area + i]! - scores[2 * n * area + i]!,
        );
        const peak = margin.indexOf(margin.reduce((a, b) => Math.max(a, b)));
        const [x, y] = [peak % SCENE_SIZE, Math.floor(peak / SCENE_SIZE)];
        if (x0 <= x && x < x1 && y0 <= y && y < y1) hits++;
        filled += margin.reduce((total, one) => total + Number(one > 0), 0) / area;
      }
    },
    result: () => ({ pointing: hits / count, foreground: filled / count }),
  };
}
