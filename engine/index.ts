// `limelight/engine`: devices, tensors, derivatives of any order, and the operations. What is named here is for users; the
// layers above take the rest from the files that hold it.

export { derivatives, grad, stopGradient, type Vjp, valueAndGrad, vjp } from './autograd.ts';
export { type Device, flush, type Precision } from './device.ts';
export {
  DeviceLostError,
  DisposedError,
  KernelError,
  LimelightError,
  MemoryBudgetError,
  MixedDevicesError,
  NoDeviceError,
  ScopeError,
  ShapeError,
  UnknownAdapterError,
} from './errors.ts';
export { closeDevice, type DeviceOptions, dryDevice, openDevice, type Variant } from './open.ts';
export type { Place } from './operation.ts';
export { attentionMix, attentionProbabilities } from './ops/attention.ts';
export { broadcastShape } from './ops/axes.ts';
export { type ConvOptions, conv2d, convTranspose2d } from './ops/conv.ts';
export {
  abs,
  add,
  addRelu,
  clamp,
  div,
  equal,
  erf,
  exp,
  full,
  gelu,
  greater,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  log,
  maximum,
  minimum,
  mul,
  neg,
  notFinite,
  pow,
  powScalar,
  reciprocal,
  relu,
  relu6,
  sigmoid,
  sign,
  silu,
  softplus,
  sqrt,
  step,
  sub,
  tanh,
} from './ops/elementwise.ts';
export { type Activation, addBias, type Following } from './ops/epilogue.ts';
export {
  concat,
  flatten,
  gather,
  narrow,
  pad,
  sideBySide,
  slice,
  stridedWindow,
  transpose,
} from './ops/layout.ts';
export { affine, broadcastTo, reshape, scale, sumTo, withRule } from './ops/linear.ts';
export { linear, matmul } from './ops/matmul.ts';
export {
  type BatchNormParameters,
  batchNorm,
  batchNormTraining,
  inverseDeviation,
  layerNorm,
  planeDot,
  scaleShift,
  standardise,
} from './ops/normalise.ts';
export {
  avgPool2d,
  globalAvgPool,
  globalMaxPool,
  maxPool2d,
  maxPoolSelect,
  type PoolOptions,
} from './ops/pool.ts';
export { argmax, divideByMaxNorm, max, maxNorm, mean, min, select, sum } from './ops/reduce.ts';
export { maskImages, upsample } from './ops/resample.ts';
export { binaryCrossEntropy, crossEntropy, logSoftmax, oneHot, softmax } from './ops/softmax.ts';
export {
  indexTensor,
  placeholder,
  type Shape,
  type Steps,
  scope,
  scopeInSteps,
  sizeOf,
  Tensor,
  tensor,
  toHost,
  unowned,
} from './tensor.ts';
export { type Tuned, tune } from './tune.ts';
export type { Tuning } from './tuning.ts';
