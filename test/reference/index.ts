// Plain float64 definitions of every operation of the engine. They share no code with it.

export { type Array64, array, filled } from './array.ts';
export { randomArray, relativeError, seededRandom } from './compare.ts';
export { type ConvOptions, conv2d, conv2dWeightGradient, convTranspose2d } from './convolution.ts';
export { binary, broadcastTo, clamp, elu, hardSigmoid, leakyRelu, map, unary } from './elementwise.ts';
export { directionalDerivative, gradient } from './finite-differences.ts';
export { concat, gather, pad, reshape, slice, transpose } from './layout.ts';
export { binaryCrossEntropyWithLogits, crossEntropy } from './losses.ts';
export { matmul } from './matmul.ts';
export { batchNorm, batchNormTraining, instanceNorm, layerNorm, lrn } from './normalisation.ts';
export {
  type AvgPoolOptions,
  avgPool2d,
  globalAvgPool,
  globalMaxPool,
  type MaxPoolOptions,
  maxPool2d,
  poolOutputSize,
} from './pooling.ts';
export { argmax, logSoftmax, max, maxNorm, mean, min, softmax, sum } from './reduction.ts';
export { resizeBilinear, resizeNearest } from './resize.ts';
