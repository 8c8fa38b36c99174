// Each way to compute a convolution, its adjoint in the input, or its weight gradient, as a plan. Buffers: x, w,
// and for what follows `bias` and `summand`, -> y; for the weight gradient x and dy -> y.

import { type Epilogue, NO_EPILOGUE } from '../kernel.ts';
import { packedProduct, packedRows } from '../matmul/matmul.ts';
import { planMatmul } from '../matmul/variants.ts';
import { addends, type Plan, type Step } from '../plan.ts';
import type { Profile } from '../profile.ts';
import { addedUp, reduce, reduced } from '../reduce/reduce.ts';
import { type ConvGeometry, type Convolution, outputCount, taps, weightCount } from './geometry.ts';
import { conv2dInputGradientNaive, conv2dNaive, conv2dWeightGradientNaive } from './naive.ts';
import {
  conv2dImplicit,
  conv2dWeightGradientImplicit,
  gatherPatches,
  packPatches,
  respacePixels,
} from './products.ts';
import {
  conv2dDepthwise,
  conv2dDirect,
  conv2dRows,
  conv2dWeightGradient,
  packPixels,
  padForWeightGradient,
} from './tiles.ts';
import { conv2dWinograd } from './winograd.ts';

export type ConvPlan = (convolution: Convolution, epilogue: Epilogue, profile: Profile) => Plan;
export type WeightGradientPlan = (g: ConvGeometry, profile: Profile) => Plan;

const result = (g: ConvGeometry) => ({ writes: 'y', elements: outputCount(g) });

export const naive: ConvPlan = ({ geometry: g, adjoint, original }, epilogue) => {
  if (adjoint) return reduced(conv2dInputGradientNaive(original), ['x', 'w'], 'y');
  const sides = { rows: g.outChannels, columns: g.output[0] * g.output[1] };
  return addedUp(conv2dNaive(g, epilogue), ['x', 'w'], 'y', epilogue, sides);
};

/** A matrix product. A stride goes before it and its adjoint after it, so that the product is over the fewest pixels. */
export const pointwise: ConvPlan = (convolution, epilogue, profile) => {
  const { geometry: g, spread, adjoint } = convolution;
  const pixels = adjoint ? g.input : g.output;
  const [m, k, n] = [g.outChannels, g.inChannels, pixels[0] * pixels[1]];
  const a = adjoint ? { batch: 0, row: 1, column: m } : { batch: 0, row: k, column: 1 };
  const product = { batch: g.batch, m, n, k, a, b: { batch: k * n, row: n, column: 1 } };
  const names = { a: 'w', b: 'x', y: 'y' };
  if ([...g.stride, ...spread].every((step) => step === 1))
    return planMatmul(product, epilogue, profile, names);
  if (adjoint) {
    const respaced = respacePixels(g.batch * m, convolution);
    const few = planMatmul(product, NO_EPILOGUE, profile, { ...names, y: 'few' });
    return [...few, { ...respaced, reads: ['few'], writes: 'y' }];
  }
  const respaced = respacePixels(g.batch * k, convolution);
  const few: Step = { ...respaced, reads: ['x'], writes: 'few' };
  return [few, ...planMatmul(product, epilogue, profile, { ...names, b: 'few' })];
};

export const depthwise: ConvPlan = (convolution, epilogue, profile) => [
  {
    launch: conv2dDepthwise(convolution, epilogue, profile),
    reads: ['x', 'w', ...addends(epilogue, 'w')],
    ...result(convolution.geometry),
  },
];

/** A matrix product with the pixels under each tap; for an adjoint the product comes first, and is gathered. */
export const patches: ConvPlan = (convolution, epilogue, profile) => {
  const { geometry: g, adjoint } = convolution;
  if (adjoint) {
    const [m, k, n] = [g.outChannels * taps(g), g.inChannels, g.input[0] * g.input[1]];
    const a = { batch: 0, row: 1, column: m };
    const b = { batch: k * n, row: n, column: 1 };
    const product = { batch: g.batch, m, n, k, a, b };
    return [
      ...planMatmul(product, NO_EPILOGUE, profile, { a: 'w', b: 'x', y: 'products' }),
      { launch: gatherPatches(convolution), reads: ['products'], ...result(g) },
    ];
  }
  const [m, k, n] = [g.outChannels, g.inChannels * taps(g), g.output[0] * g.output[1]];
  const { columns, ...pixels } = packPatches(g);
  const a = { batch: 0, row: k, column: 1 };
  const b = { batch: k * columns, row: columns, column: 1 };
  const product = { batch: g.batch, m, n, k, a, b };
  return [
    { ...pixels, reads: ['x'], writes: 'patches' },
    ...planMatmul(product, epilogue, profile, { a: 'w', b: 'patches', y: 'y' }),
  ];
};

/** Winograd's F(4x4, 3x3), a large batch in parts. */
export const winograd: ConvPlan = (convolution, epilogue, profile) => {
  const { geometry: g } = convolution;
  const [m, k, width] = [g.outChannels, g.inChannels, packedRows({ m: g.outChannels })];
  const { w, parts } = conv2dWinograd(convolution, width, epilogue);
  return [
    { ...w, reads: ['w'], writes: 'factor', kept: true },
    ...parts.flatMap(({ x, columns: n, y }, i): Plan => {
      const [pixels, products] = [`pixels ${i}`, `products ${i}`];
      const packed = { aBatch: k * width, bRow: n, bBatch: k * n };
      const product = packedProduct({ batch: 36, m, n, k }, packed, NO_EPILOGUE, profile);
      return [
        { ...x, reads: ['x'], writes: pixels },
        ...addedUp(product, ['factor', pixels], products, NO_EPILOGUE, { rows: m, columns: n }),
        { launch: y, reads: [products, ...addends(epilogue, 'w')], ...result(g) },
      ];
    }),
  ];
};

export const implicit: ConvPlan = (convolution, epilogue, profile) => {
  const { geometry: g } = convolution;
  const sides = { rows: g.outChannels, columns: g.output[0] * g.output[1] };
  return addedUp(conv2dImplicit(convolution, epilogue, profile), ['w', 'x'], 'y', epilogue, sides);
};

export const direct: ConvPlan = (convolution, epilogue, profile) => {
  const { w, y } = conv2dDirect(convolution, epilogue, profile);
  return [
    { ...w, reads: ['w'], writes: 'packed', kept: true },
    { launch: y, reads: ['x', 'x', 'packed', ...addends(epilogue, 'w')], ...result(convolution.geometry) },
  ];
};

export const rows: ConvPlan = (convolution, epilogue) => {
  const { x, w, y } = conv2dRows(convolution, epilogue);
  return [
    { ...x, reads: ['x'], writes: 'padded' },
    { ...w, reads: ['w'], writes: 'packed', kept: true },
    { launch: y, reads: ['padded', 'packed', ...addends(epilogue, 'w')], ...result(convolution.geometry) },
  ];
};

export const weightGradientNaive: WeightGradientPlan = (g) =>
  reduced(conv2dWeightGradientNaive(g), ['x', 'dy'], 'y');

export const weightGradientImplicit: WeightGradientPlan = (g, profile) => {
  const sides = { rows: g.outChannels, columns: weightCount(g) / g.outChannels };
  return addedUp(conv2dWeightGradientImplicit(g, profile), ['dy', 'x'], 'y', NO_EPILOGUE, sides);
};

export const weightGradientTiled: WeightGradientPlan = (g, profile) => [
  { ...padForWeightGradient(g), reads: ['x'], writes: 'padded' },
  { ...packPixels(g), reads: ['dy'], writes: 'packed' },
  ...reduced(conv2dWeightGradient(g, profile), ['padded', 'packed'], 'y'),
];

/** A product of dy and the input's patches for each image, and their sum. */
export const weightGradientOfPatches: WeightGradientPlan = (g, profile) => {
  const [m, n, k] = [g.outChannels, weightCount(g) / g.outChannels, g.output[0] * g.output[1]];
  const { columns, ...pixels } = packPatches(g);
  const a = { batch: m * k, row: k, column: 1 };
  const b = { batch: n * columns, row: 1, column: columns };
  const product = { batch: g.batch, m, n, k, a, b };
  return [
    { ...pixels, reads: ['x'], writes: 'patches' },
    ...planMatmul(product, NO_EPILOGUE, profile, { a: 'dy', b: 'patches', y: 'products' }),
    ...reduced(reduce('sum', 1, g.batch, weightCount(g), 1, profile), ['products'], 'y'),
  ];
};
