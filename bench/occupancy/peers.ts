// How many workgroups other engines' kernels launch for a product or a convolution, by the formulas of their sources; what
// is launched for it here; and the products that a network is made of.

import { chooseConv } from '../../kernels/conv/variants.ts';
import { NO_EPILOGUE, workgroupsOf } from '../../kernels/kernel.ts';
import { planMatmul } from '../../kernels/matmul/variants.ts';
import type { Plan } from '../../kernels/plan.ts';
import { figuresOf, type Profile } from '../../kernels/profile.ts';
import { shapesOf } from '../../models/dry-run.ts';
import { type Graph, INPUT } from '../../models/graph.ts';
import type { KernelProblem } from '../problems.ts';
import { convolutionOf, matmulOf } from '../variants.ts';

type Product = Extract<KernelProblem, { readonly op: 'matmul' | 'conv2d' }>;

const tiles = (m: number, n: number, rows: number, columns: number) =>
  Math.ceil(m / rows) * Math.ceil(n / columns);

/** Workgroups of tiles of 32x32 up to which tfjs takes smaller ones; on newer GPUs of Intel 16. */
const FEW = 8;

/**
 * tfjs 4.22 (BatchMatMul_impl.ts): tiles of 32x32; where these are few, a workgroup each of up to 128 results, or 128 terms at
 * once, or tiles of 8x16. Rows are pixels.
 */
function ofMatmul(m: number, n: number, k: number): number {
  const large = tiles(m, n, 32, 32);
  if (large > (m <= 8 ? 2 * FEW : FEW)) return large;
  if (m * n <= 128) return m * n;
  return k >= 2000 ? large * Math.ceil(k / 128) : tiles(m, n, 8, 16);
}

/**
 * jax-js 0.1 (tuneWebgpu): 256 threads a workgroup; while there are 1,024 or more, each takes 4, 3 or 5 rows, and as many
 * columns, where that divides them. Long sums of few results go a workgroup each, if the terms of both factors are neighbours.
 */
function ofJax(rows: number, columns: number, terms: number): number {
  let threads = rows * columns;
  for (const side of [rows, columns]) {
    const each = [4, 3, 5].find((n) => side % n === 0);
    if (threads >= 1024 && each !== undefined) threads /= each;
  }
  return terms >= 512 && threads < 4096 ? threads : Math.ceil(threads / 256);
}

/** tfjs (DepthwiseConv2DVec4Program, DepthwiseConv2DProgram): 16 results a thread, or one; channels are its last axis. */
const ofDepthwise = (channels: number, [height, width]: readonly [number, number]): number =>
  height > 4 && width > 4 && channels % 4 === 0
    ? Math.ceil((channels * height * Math.ceil(width / 4)) / 4 / 64)
    : Math.ceil((channels * height * width) / 256);

/** Threads of ONNX Runtime's workgroups for depthwise convolutions (grouped_conv.cc), a result each. */
const DEPTHWISE_THREADS = 64;
/** Results of a thread of the depthwise kernel here, at least: so many times the workgroups are needed for one each. */
const DEPTHWISE_RESULTS = 4;

/**
 * Workgroups of the most that tfjs, ONNX Runtime or jax-js launch for a problem. Convolutions of the first two
 * (conv2d_mm_webgpu.ts) go in tiles of 32 pixels x 32 channels, 1x1 as products.
 */
export function peerWorkgroups(problem: Product): number {
  if (problem.op === 'matmul') {
    const { m, n, k } = problem;
    return Math.max(ofMatmul(m, n, k), ofJax(m, n, k));
  }
  const { batch, size, inChannels, outChannels, kernel, groups } = problem;
  const pixels = size[0] * size[1];
  if (groups > 1) {
    const ofOrt = Math.ceil((outChannels * pixels) / DEPTHWISE_THREADS / DEPTHWISE_RESULTS);
    return batch * Math.max(ofDepthwise(outChannels, size), ofOrt);
  }
  const inTiles =
    kernel === 1 ? ofMatmul(pixels, outChannels, inChannels) : tiles(pixels, outChannels, 32, 32);
  // A convolution's terms are no neighbours in memory, so none of its sums goes a workgroup each.
  return batch * Math.max(inTiles, ofJax(outChannels, pixels, 0));
}

const planOf = (problem: Product, profile: Profile): Plan => {
  if (problem.op === 'matmul') {
    // A linear layer's weight is [n, k].
    const g = { ...matmulOf(problem), b: { batch: 0, row: 1, column: problem.k } };
    return planMatmul(g, NO_EPILOGUE, profile, { a: 'x', b: 'w', y: 'y' });
  }
  const convolution = convolutionOf(problem);
  return chooseConv(convolution, profile).plan(convolution, NO_EPILOGUE, profile);
};

/** Workgroups of the launch that works the longest, of those that are not made once for the weights. */
export function workgroups(problem: Product, profile: Profile): number {
  const launches = planOf(problem, profile).flatMap(({ launch, kept }) => (kept ? [] : [launch]));
  const [longest] = launches.sort((a, b) => b.threads * b.iterations - a.threads * a.iterations);
  const [x, y] = workgroupsOf(longest!.threads, longest!.workgroup ?? figuresOf(profile).tileWorkgroup);
  return x * y;
}

/** Convolutions of one group or one a channel, as if of their results' size and without a stride, and linear layers. */
export function productsOf(graph: Graph, input: readonly number[]): Map<string, Product> {
  const shapes = new Map([[INPUT, input], ...shapesOf(graph, input)]);
  const found = new Map<string, Product>();
  for (const { name, inputs, parameters, traits } of graph.nodes) {
    const { weight } = parameters;
    if (weight === undefined || !traits.weighted) continue;
    const [out, each, kernel = 1] = weight.shape as [number, number, number?];
    const y = shapes.get(name)!;
    if (weight.shape.length === 2) found.set(name, { op: 'matmul', m: 1, n: out, k: each });
    if (weight.shape.length !== 4) continue;
    const inChannels = shapes.get(inputs[0]!)![1]!;
    const groups = inChannels / each;
    if (groups > 1 && each > 1) continue;
    const size = [y[2]!, y[3]!] as const;
    found.set(name, { op: 'conv2d', batch: y[0]!, inChannels, outChannels: out, size, kernel, groups });
  }
  return found;
}
