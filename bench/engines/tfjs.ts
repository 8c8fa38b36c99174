// TensorFlow.js 4, wherever it runs: kernels. It keeps channels last; inputs and results are turned outside the timing.

import { type HostTensor, inputsOf, type KernelProblem, shapesOfKernel } from '../problems.ts';
import type { Prepared } from './engine.ts';

export interface Tensor {
  readonly shape: number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}
export type Pads = number | 'same' | 'valid' | [number, number][];

/** What is used of tfjs-core. */
export interface Tfjs {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  env(): { set(flag: string, value: boolean): void };
  tensor(data: Float32Array, shape: readonly number[]): Tensor;
  tidy<T>(body: () => T): T;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  conv2d(x: Tensor, w: Tensor, strides: readonly number[], pad: Pads): Tensor;
  depthwiseConv2d(x: Tensor, w: Tensor, strides: readonly number[], pad: Pads): Tensor;
  maxPool(x: Tensor, size: readonly number[], strides: readonly number[], pad: Pads): Tensor;
  batchNorm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    offset: Tensor,
    scale: Tensor,
    epsilon: number,
  ): Tensor;
  mean(x: Tensor, axes: number[]): Tensor;
  sum(x: Tensor): Tensor;
  square(x: Tensor): Tensor;
  mul(x: Tensor, factor: number): Tensor;
  softmax(x: Tensor): Tensor;
  relu(x: Tensor): Tensor;
  clipByValue(x: Tensor, min: number, max: number): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  concat(parts: readonly Tensor[], axis: number): Tensor;
  pad(x: Tensor, widths: [number, number][]): Tensor;
  stridedSlice(x: Tensor, begin: number[], end: number[], strides: number[]): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  grad(f: (x: Tensor) => Tensor): (x: Tensor) => Tensor;
}

/** tfjs asks whether inputs are elements of a page, by classes that only pages have. */
export function standInForElements(): void {
  const elements = ['HTMLCanvasElement', 'HTMLImageElement', 'HTMLVideoElement', 'ImageBitmap', 'VideoFrame'];
  for (const name of elements) if (!(name in globalThis)) Reflect.set(globalThis, name, class {});
}

/** Starts a backend; throws if it cannot be. */
export async function startBackend(tf: Tfjs, backend: string): Promise<void> {
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs cannot start its ${backend} backend`);
  await tf.ready();
}

/** Copies an array of four axes into another order of them. */
function permuted(data: ArrayLike<number>, shape: readonly number[], order: readonly number[]): Float32Array {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const size = order.map((axis) => shape[axis]!);
  const step = order.map((axis) => strides[axis]!);
  const out = new Float32Array(data.length);
  let at = 0;
  for (let a = 0; a < size[0]!; a++)
    for (let b = 0; b < size[1]!; b++)
      for (let c = 0; c < size[2]!; c++)
        for (let d = 0; d < size[3]!; d++)
          out[at++] = data[a * step[0]! + b * step[1]! + c * step[2]! + d * step[3]!]!;
  return out;
}

const nhwc = [0, 2, 3, 1];
export const hwio = [2, 3, 1, 0];

/** A host tensor with its axes in another order, on the backend. */
export function upload(tf: Tfjs, { data, shape }: HostTensor, order?: readonly number[]): Tensor {
  if (order === undefined) return tf.tensor(data, shape);
  return tf.tensor(
    permuted(data, shape, order),
    order.map((axis) => shape[axis]!),
  );
}

export const image = (tf: Tfjs, x: HostTensor) => upload(tf, x, x.shape.length === 4 ? nhwc : undefined);

/** Result [N, H, W, C] in the order of NCHW; `shape` is [N, C, H, W]. */
export const channelsFirst = (data: ArrayLike<number>, [n, c, h, w]: readonly number[]) =>
  permuted(data, [n!, h!, w!, c!], [0, 3, 1, 2]);

export function repeated(once: () => Tensor): Prepared['run'] {
  return async (times) => {
    for (let i = 1; i < times; i++) once().dispose();
    const result = once();
    const data = await result.data();
    result.dispose();
    return data;
  };
}

export function prepareKernel(tf: Tfjs, problem: KernelProblem): Prepared {
  const host = inputsOf(problem);
  const { y } = shapesOfKernel(problem);
  const isDepthwise = problem.op === 'conv2d' && problem.groups === problem.inChannels;
  const x = image(tf, host.x);
  const w =
    host.w && upload(tf, host.w, host.w.shape.length === 4 ? (isDepthwise ? [2, 3, 0, 1] : hwio) : undefined);
  const once = (): Tensor => {
    switch (problem.op) {
      case 'matmul':
        return tf.matMul(x, w!);
      case 'conv2d':
        return isDepthwise ? tf.depthwiseConv2d(x, w!, [1, 1], 'same') : tf.conv2d(x, w!, [1, 1], 'same');
      case 'globalAvgPool':
        return tf.mean(x, [1, 2]);
      case 'softmax':
        return tf.softmax(x);
      case 'relu':
        return tf.relu(x);
    }
  };
  return {
    run: repeated(once),
    ...(y.length === 4 && { ordered: (data: ArrayLike<number>) => channelsFirst(data, y) }),
    dispose: () => {
      x.dispose();
      w?.dispose();
    },
  };
}
