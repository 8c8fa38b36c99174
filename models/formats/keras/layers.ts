// The table of Keras's layers: each class's nodes in Limelight's graph. The last node carries the layer's name, those
// before it the layer's name and their kind ("conv1/conv"), so that a name means what it means in Keras: the layer's
// output, its activation included. Keras's [N, H, W, C] is kept as [N, C, H, W], every other rank as it is.

import * as ops from '../../../engine/index.ts';
import * as layers from '../../layers.ts';
import type { LayerRow } from './context.ts';
import { activationLayer, identity, named, prelu } from './layers/function.ts';
import {
  anyBatchNormalization,
  averagePooling1d,
  conv1d,
  conv1dTranspose,
  cropping1d,
  depthwiseConv1d,
  globalPooling1d,
  maxPooling1d,
  separableConv1d,
  upSampling1d,
  zeroPadding1d,
} from './layers/line.ts';
import {
  ADD,
  concatenate,
  DIVIDE,
  MULTIPLY,
  merging,
  SUBTRACT,
  scaledSum,
  tfFunction,
} from './layers/merge.ts';
import { layerNormalization, layerScale, normalization, rescaling } from './layers/normalise.ts';
import { averagePooling2d, globalPooling, maxPooling2d } from './layers/pool.ts';
import { flatten, padding, permute, reshape, resizing, upSampling2d } from './layers/shape.ts';
import { conv2d, conv2dTranspose, dense, depthwiseConv2d, separableConv2d } from './layers/weighted.ts';

/** Layers in training alone. */
const TRAINING = [
  'Dropout',
  'SpatialDropout1D',
  'SpatialDropout2D',
  'AlphaDropout',
  'GaussianDropout',
  'GaussianNoise',
  'ActivityRegularization',
  'Identity',
  'RandomFlip',
  'RandomRotation',
  'RandomTranslation',
  'RandomZoom',
  'RandomContrast',
  'RandomBrightness',
  'StochasticDepth',
  'FixedDropout',
];

/** Layers that may be called with a value and a number. */
export const takesNumbers = (className: string): boolean =>
  ['Add', 'Subtract', 'Multiply', 'Divide', 'TrueDivide', 'TFOpLambda'].includes(className);

/** Every class that is understood. */
export const layerTable: ReadonlyMap<string, LayerRow> = new Map<string, LayerRow>([
  ['Conv2D', conv2d],
  ['Convolution2D', conv2d],
  ['DepthwiseConv2D', depthwiseConv2d],
  ['SeparableConv2D', separableConv2d],
  ['Conv2DTranspose', conv2dTranspose],
  ['Conv1D', conv1d],
  ['Convolution1D', conv1d],
  ['DepthwiseConv1D', depthwiseConv1d],
  ['SeparableConv1D', separableConv1d],
  ['Conv1DTranspose', conv1dTranspose],
  ['Dense', dense],
  ['BatchNormalization', anyBatchNormalization],
  ['BatchNormalizationV1', anyBatchNormalization],
  ['SyncBatchNormalization', anyBatchNormalization],
  ['LayerNormalization', layerNormalization],
  ['Rescaling', rescaling],
  ['Normalization', normalization],
  ['MaxPooling2D', maxPooling2d],
  ['AveragePooling2D', averagePooling2d],
  ['GlobalAveragePooling2D', globalPooling(layers.globalAvgPool)],
  ['GlobalMaxPooling2D', globalPooling(layers.globalMaxPool)],
  ['MaxPooling1D', maxPooling1d],
  ['AveragePooling1D', averagePooling1d],
  ['GlobalAveragePooling1D', globalPooling1d(layers.globalAvgPool)],
  ['GlobalMaxPooling1D', globalPooling1d(layers.globalMaxPool)],
  ['Add', ADD],
  ['Subtract', SUBTRACT],
  ['Multiply', MULTIPLY],
  ['Divide', DIVIDE],
  ['TrueDivide', DIVIDE],
  ['TFOpLambda', tfFunction],
  ['LayerScale', layerScale],
  ['CustomScaleLayer', scaledSum],
  ['Maximum', merging('max', ops.maximum)],
  ['Minimum', merging('min', ops.minimum)],
  ['Average', merging('average', ops.add, (x, n) => ops.scale(x, 1 / n))],
  ['Concatenate', concatenate],
  ['Flatten', flatten],
  ['Reshape', reshape],
  ['Permute', permute],
  ['ZeroPadding2D', padding('pad', 'padding', 1)],
  ['Cropping2D', padding('crop', 'cropping', -1)],
  ['UpSampling2D', upSampling2d],
  ['ZeroPadding1D', zeroPadding1d],
  ['Cropping1D', cropping1d],
  ['UpSampling1D', upSampling1d],
  ['Resizing', resizing],
  ['Activation', activationLayer],
  ['ReLU', named('ReLU')],
  ['LeakyReLU', named('LeakyReLU')],
  ['ELU', named('ELU')],
  ['Softmax', named('Softmax')],
  ['PReLU', prelu],
  ...TRAINING.map((name) => [name, identity] as const),
]);
