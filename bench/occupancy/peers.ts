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

/**
 * tfjs 4 (BatchMatMul_impl.ts): up to 128 results a workgroup each; few results of few terms in tiles of 8x8; few results of
 * many terms in tiles of 32x32 and 32 terms; else tiles of 32x32. Rows are pixels.
 */
function ofMatmul(m: number, n: number, k: number): number {
  if (m * n <= 128) return m * n;
  if (m <= 128 && n <= 48 && k >= 2000)
    return tiles(m, n, m < 16 ? 8 : 32, n < 16 ? 8 : 32) * Math.ceil(k / 32);
  if (((m <= 256 && n <= 64) || (m <= 64 && n <= 256)) && k <= 512) return tiles(m, n, 8, 8);
  return tiles(m, n, 32, 32);
}

/**
 * Workgroups of the most that tfjs or ONNX Runtime launch for a problem. Convolutions of both (conv2d_mm_webgpu.ts) go in
 * tiles of 32 pixels x 32 channels, 1x1 as products.
 */
export function peerWorkgroups(problem: Product): number {
  if (problem.op === 'matmul') return ofMatmul(problem.m, problem.n, problem.k);
  const { batch, size, inChannels, outChannels, kernel } = problem;
  const pixels = size[0] * size[1];
  return (
    batch * (kernel === 1 ? ofMatmul(pixels, outChannels, inChannels) : tiles(pixels, outChannels, 32, 32))
  );
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

/** Convolutions of one group, as if of the size of their results and without a stride, and linear layers of a network. */
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
    if (each !== shapes.get(inputs[0]!)![1]) continue;
    const size = [y[2]!, y[3]!] as const;
    const channels = { inChannels: each, outChannels: out };
    found.set(name, { op: 'conv2d', batch: y[0]!, ...channels, size, kernel, groups: 1 });
  }
  return found;
}
