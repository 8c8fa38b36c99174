// What a convolution is: its sizes, its adjoint, and what follows from them.

/** A convolution; padding as [top, left, bottom, right], sizes in pixels. */
export interface ConvGeometry {
  readonly batch: number;
  readonly inChannels: number;
  readonly input: readonly [height: number, width: number];
  readonly outChannels: number;
  readonly output: readonly [height: number, width: number];
  readonly kernel: readonly [y: number, x: number];
  readonly stride: readonly [y: number, x: number];
  readonly padding: readonly [top: number, left: number, bottom: number, right: number];
  readonly dilation: readonly [y: number, x: number];
  readonly groups: number;
}

/**
 * What is to be computed: a convolution, or the adjoint of one in its input written as a convolution of stride 1 whose
 * weights are exchanged and turned (`adjoint`) and whose input has `spread` - 1 zeros between its pixels.
 */
export interface Convolution {
  readonly geometry: ConvGeometry;
  readonly adjoint: boolean;
  readonly spread: readonly [y: number, x: number];
  /** The convolution that it is, or of which it is the adjoint. */
  readonly original: ConvGeometry;
}

export const forward = (geometry: ConvGeometry): Convolution => ({
  geometry,
  adjoint: false,
  spread: [1, 1],
  original: geometry,
});

/** dy -> dx of the convolution `g`. */
export function inputGradient(g: ConvGeometry): Convolution {
  const [top, left] = [0, 1].map((i) => g.dilation[i]! * (g.kernel[i]! - 1) - g.padding[i]!) as [
    number,
    number,
  ];
  const exchanged = {
    inChannels: g.outChannels,
    outChannels: g.inChannels,
    input: g.output,
    output: g.input,
  };
  return {
    geometry: { ...g, ...exchanged, stride: [1, 1], padding: [top, left, 0, 0] },
    adjoint: true,
    spread: g.stride,
    original: g,
  };
}

/** The axes of a window of pixels. */
export type Window = Pick<ConvGeometry, 'kernel' | 'stride' | 'dilation'>;

/** Whether a stride, dilation, spread or kernel is one both ways. */
export const isOne = (pair: readonly number[]) => pair.every((n) => n === 1);
/** Pixels between the first and the last tap of a kernel's row, both included. */
export const reachX = ({ kernel, dilation }: ConvGeometry) => (kernel[1] - 1) * dilation[1] + 1;
/** Weights of a kernel for one channel. */
export const taps = ({ kernel }: ConvGeometry) => kernel[0] * kernel[1];
/** Vec4 that hold n elements. */
export const ceil4 = (n: number) => Math.ceil(n / 4);

/** Elements of y, x and w. */
export const outputCount = (g: ConvGeometry) => g.batch * g.outChannels * g.output[0] * g.output[1];
export const inputCount = (g: ConvGeometry) => g.batch * g.inChannels * g.input[0] * g.input[1];
export const weightCount = (g: ConvGeometry) => (g.outChannels * g.inChannels * taps(g)) / g.groups;

/** Tiles of 4 x 4 pixels in an image of the result. */
export const tilesOf = ({ output }: ConvGeometry) => ceil4(output[0]) * ceil4(output[1]);

/** Pixels of an image of the result, in whole vec4: the columns of its patches. */
export const patchColumns = ({ output }: ConvGeometry) => 4 * ceil4(output[0] * output[1]);

/** Bytes of the larger of Winograd's two intermediate results, for one image. */
export const winogradBytes = (g: ConvGeometry) => 36 * 4 * tilesOf(g) * Math.max(g.inChannels, g.outChannels);

/** Fields of the kernels' uniforms that are the geometry's. */
export const inSize = ({ input: [height, width] }: ConvGeometry) => ({ height, width });
export const outSize = ({ output: [outHeight, outWidth] }: ConvGeometry) => ({ outHeight, outWidth });
export const corner = ({ padding: [top, left] }: ConvGeometry) => ({ top, left });
export const kernelSize = ({ kernel: [kernelY, kernelX] }: ConvGeometry) => ({ kernelY, kernelX });
export const steps = ([strideY, strideX]: readonly [number, number]) => ({ strideY, strideX });

/** Channels of one group of the convolution whose weights are [O, C/groups, KH, KW], and vec4 of its result. */
export function packing({ geometry: g }: Convolution) {
  const [groupIn, groupOut] = [g.inChannels / g.groups, g.outChannels / g.groups];
  const vectors = ceil4(groupOut);
  return { groups: g.groups, vectors, groupIn, groupOut };
}

export type Packing = ReturnType<typeof packing>;

/** Iterations of a part of a convolution by the definition; one tap, or one row, is not cut. */
export const LONGEST = 32_768;
