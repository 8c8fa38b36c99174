// Kernels side by side: for a problem, the ways to compute it as lists of launches. To compare a kernel, add a row here.

import * as conv from '../kernels/conv/conv.ts';
import { type ConvGeometry, type Convolution, forward } from '../kernels/conv/geometry.ts';
import { type Launch, NO_EPILOGUE } from '../kernels/kernel.ts';
import * as matmul from '../kernels/matmul/matmul.ts';
import type { ConvProblem, KernelProblem } from './problems.ts';

/** One launch: the buffers it reads, in the order of its bindings, and the one it fills. */
export interface Step {
  readonly launch: Launch;
  /** `x` and `w` are the problem's inputs; other names are those of earlier steps' outputs. */
  readonly reads: readonly string[];
  /** `y` is the result; any other name is a buffer that lives until the last step. Several steps may fill one. */
  readonly writes: string;
  /** Size of the buffer written, in elements. */
  readonly elements: number;
  /** Depends on the weights alone: done once, when they are loaded. */
  readonly once?: boolean;
}

/** Ways to compute a problem, by name. */
export type Variants = Readonly<Record<string, readonly Step[]>>;

export function convolutionOf(p: ConvProblem): Convolution {
  const pad = (p.kernel - 1) / 2;
  return forward({
    batch: p.batch,
    inChannels: p.inChannels,
    input: p.size,
    outChannels: p.outChannels,
    output: p.size,
    kernel: [p.kernel, p.kernel],
    stride: [1, 1],
    padding: [pad, pad, pad, pad],
    dilation: [1, 1],
    groups: p.groups,
  });
}

/** Where a kernel could add a bias and a summand it is given the weights, which it then leaves alone. */
const NOTHING = ['w', 'w'];

function convVariants(p: ConvProblem): Variants {
  const convolution = convolutionOf(p);
  const { geometry } = convolution;
  const result = { writes: 'y', elements: p.batch * p.outChannels * p.size[0] * p.size[1] };
  const direct = conv.conv2dDirect(convolution, NO_EPILOGUE);
  const rows = conv.conv2dRows(convolution, NO_EPILOGUE);
  const naive = conv.conv2dNaive(geometry, NO_EPILOGUE);
  const isWhole = p.groups === 1;
  return {
    naive: [{ launch: naive, reads: ['x', 'w', ...NOTHING], ...result }],
    rows: [
      { ...rows.w, reads: ['w'], writes: 'packed', once: true },
      { ...rows.x, reads: ['x'], writes: 'padded' },
      { launch: rows.y, reads: ['padded', 'packed', ...NOTHING], ...result },
    ],
    direct: [
      { ...direct.w, reads: ['w'], writes: 'packed', once: true },
      { launch: direct.y, reads: ['x', 'x', 'packed', ...NOTHING], ...result },
    ],
    ...(isWhole && { patches: patches(p, geometry, result) }),
    ...(isWhole && p.kernel === 3 && { winograd: winograd(p, convolution, result) }),
    ...(p.groups === p.inChannels && {
      depthwise: [
        { launch: conv.conv2dDepthwise(convolution, NO_EPILOGUE), reads: ['x', 'w', ...NOTHING], ...result },
      ],
    }),
  };
}

function patches(
  { batch, inChannels, outChannels: m, kernel }: ConvProblem,
  geometry: ConvGeometry,
  result: Pick<Step, 'writes' | 'elements'>,
): readonly Step[] {
  const k = inChannels * kernel ** 2;
  const { columns, ...pixels } = conv.patches(geometry);
  const size = { batch, m, n: geometry.output[0] * geometry.output[1], k };
  const strides = { aBatch: 0, bRow: columns, bBatch: k * columns };
  return [
    { ...transposed(m, k), reads: ['w'], writes: 'packed', once: true },
    { ...pixels, reads: ['x'], writes: 'patches' },
    {
      launch: matmul.matmulTiled(size, strides, NO_EPILOGUE),
      reads: ['packed', 'patches', ...NOTHING],
      ...result,
    },
  ];
}

function winograd(
  { inChannels: k, outChannels: m }: ConvProblem,
  convolution: Convolution,
  result: Pick<Step, 'writes' | 'elements'>,
): readonly Step[] {
  const width = matmul.packedRows({ m });
  const { w, parts } = conv.conv2dWinograd(convolution, width, NO_EPILOGUE);
  const products = parts.flatMap(({ x, columns: n, y }, i): Step[] => {
    const [pixels, product] = [`pixels ${i}`, `product ${i}`];
    const strides = { aBatch: k * width, bRow: n, bBatch: k * n };
    const launch = matmul.matmulTiled({ batch: 36, m, n, k }, strides, NO_EPILOGUE);
    return [
      { ...x, reads: ['x'], writes: pixels },
      { launch, reads: ['factor', pixels, ...NOTHING], writes: product, elements: 36 * m * n },
      { launch: y, reads: [product, ...NOTHING], ...result },
    ];
  });
  return [{ ...w, reads: ['w'], writes: 'factor', once: true }, ...products];
}

/** A matrix [m, k] as the tiled product reads its first factor: [k, packedRows]. */
const transposed = (m: number, k: number) =>
  matmul.packFactor(
    { batch: 1, rows: k, columns: m, width: matmul.packedRows({ m }) },
    { batch: 0, row: 1, column: k },
  );

/** A matrix [k, n] as [n, k]. */
const turned = (k: number, n: number) =>
  matmul.packFactor({ batch: 1, rows: n, columns: k, width: k }, { batch: 0, row: 1, column: n });

function matmulVariants({ m, n, k }: { m: number; n: number; k: number }): Variants {
  const rows = { batch: 0, row: k, column: 1 };
  const g = { batch: 1, m, n, k, a: rows, b: { ...rows, row: n } };
  const result = { writes: 'y', elements: m * n };
  const tiled = matmul.matmulTiled(g, { aBatch: 0, bRow: n, bBatch: 0 }, NO_EPILOGUE);
  const ofRows = matmul.matmulRows(matmul.asRows({ ...g, b: { batch: 0, row: 1, column: k } }), NO_EPILOGUE);
  return {
    naive: [{ launch: matmul.matmulNaive(g, NO_EPILOGUE), reads: ['x', 'w', ...NOTHING], ...result }],
    tiled: [
      { ...transposed(m, k), reads: ['x'], writes: 'packed' },
      { launch: tiled, reads: ['packed', 'w', ...NOTHING], ...result },
    ],
    // With the second factor turned first, as the weights of a linear layer lie by themselves.
    ...(k % 4 === 0 && {
      rows: [
        { ...turned(k, n), reads: ['w'], writes: 'turned', once: true },
        { launch: ofRows, reads: ['x', 'turned', ...NOTHING], ...result },
      ],
    }),
  };
}

/** Every variant of a problem that can be chosen; none where there is only what the engine does. */
export function variantsOf(problem: KernelProblem): Variants {
  switch (problem.op) {
    case 'conv2d':
      return convVariants(problem);
    case 'matmul':
      return matmulVariants(problem);
    default:
      return {};
  }
}
