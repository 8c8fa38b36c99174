// The engine's surface: devices, tensors, derivatives and the table of operations.

export { grad, stopGradient, type Vjp, valueAndGrad, vjp } from './autograd.ts';
export {
  closeDevice,
  type Device,
  type DeviceOptions,
  dryDevice,
  flush,
  openDevice,
  type Variant,
} from './device.ts';
export * from './errors.ts';
export { counted, type Dependence, dependenceOf, mark, placesOf } from './facts.ts';
export * from './ops/attention.ts';
export { broadcastShape } from './ops/axes.ts';
export * from './ops/conv.ts';
export * from './ops/elementwise.ts';
export { type Activation, addBias, type Following } from './ops/epilogue.ts';
export * from './ops/layout.ts';
export { affine, broadcastTo, reshape, scale, sumTo } from './ops/linear.ts';
export * from './ops/matmul.ts';
export * from './ops/normalise.ts';
export * from './ops/pool.ts';
export * from './ops/reduce.ts';
export * from './ops/resample.ts';
export * from './ops/softmax.ts';
export {
  coverage,
  gridPlaces,
  isNowhere,
  isSame,
  type MaybePlaces,
  NOWHERE,
  type Part,
  type Places,
} from './places.ts';
export {
  indexTensor,
  placeholder,
  type Shape,
  scope,
  sizeOf,
  Tensor,
  tensor,
  toHost,
  unowned,
} from './tensor.ts';
