// What is measured, as data: a problem that every engine can be given, its host inputs, and the work it takes.

/** One kernel, one network or one explanation. Sizes in elements; f32 everywhere. */
export type Problem =
  | { readonly op: 'matmul'; readonly m: number; readonly n: number; readonly k: number }
  | ({ readonly op: 'conv2d' } & ConvProblem)
  | { readonly op: 'globalAvgPool'; readonly shape: readonly [number, number, number, number] }
  | { readonly op: 'softmax'; readonly shape: readonly [rows: number, columns: number] }
  | { readonly op: 'relu'; readonly shape: readonly number[] }
  | { readonly op: 'forward'; readonly network: string; readonly batch: number }
  /** Forward pass, and the gradient of half the logits' squares, added up, at the last feature map. */
  | { readonly op: 'gradient'; readonly network: string }
  /** Explanations of one image: every method for the first `classes` classes, or for the predicted one (0). */
  | {
      readonly op: 'explain';
      readonly network: string;
      readonly methods: readonly string[];
      readonly classes: number;
    };

/** Stride 1, output of the input's size. */
export interface ConvProblem {
  readonly batch: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly size: readonly [height: number, width: number];
  readonly kernel: number;
  readonly groups: number;
}

export type KernelProblem = Exclude<Problem, { network: string }>;

export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** Floating-point operations by the direct algorithm, and the bytes that cannot but move: each tensor once. */
export interface Work {
  readonly flops: number;
  readonly bytes: number;
}

export const elements = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** Shapes of a kernel's inputs x and, where it has them, weights w; and of its output y. */
export function shapesOfKernel(p: KernelProblem): { x: number[]; w?: number[]; y: number[] } {
  switch (p.op) {
    case 'matmul':
      return { x: [p.m, p.k], w: [p.k, p.n], y: [p.m, p.n] };
    case 'conv2d':
      return {
        x: [p.batch, p.inChannels, ...p.size],
        w: [p.outChannels, p.inChannels / p.groups, p.kernel, p.kernel],
        y: [p.batch, p.outChannels, ...p.size],
      };
    case 'globalAvgPool':
      return { x: [...p.shape], y: p.shape.slice(0, 2) };
    default:
      return { x: [...p.shape], y: [...p.shape] };
  }
}

/** Operations an element of the output takes; exp counts as one. */
function flopsPerOutput(p: KernelProblem): number {
  switch (p.op) {
    case 'matmul':
      return 2 * p.k;
    case 'conv2d':
      return (2 * p.kernel ** 2 * p.inChannels) / p.groups;
    case 'globalAvgPool':
      return p.shape[2] * p.shape[3];
    case 'softmax':
      return 5; // maximum, subtraction, exp, sum, division
    case 'relu':
      return 1;
  }
}

export function workOfKernel(p: KernelProblem): Work {
  const { x, w, y } = shapesOfKernel(p);
  const moved = [x, w ?? [0], y].reduce((sum, shape) => sum + elements(shape), 0);
  return { flops: flopsPerOutput(p) * elements(y), bytes: 4 * moved };
}

/** Pseudo-random numbers in 0 .. 1, the same for the same seed: mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The same numbers for every engine, in -0.5 .. 0.5. */
export function randomTensor(shape: readonly number[], seed: number): HostTensor {
  const draw = randomNumbers(seed);
  return { shape, data: Float32Array.from({ length: elements(shape) }, () => draw() - 0.5) };
}

/** Inputs of a kernel problem; NCHW, weights OIHW. */
export function inputsOf(p: KernelProblem): { x: HostTensor; w?: HostTensor } {
  const { x, w } = shapesOfKernel(p);
  return { x: randomTensor(x, 1), ...(w && { w: randomTensor(w, 2) }) };
}
