// Launches of convolutions and their gradients by the definition.

import {
  type Constants,
  type Epilogue,
  epilogueConstants,
  epilogueParams,
  launch,
  loop,
  NO_EPILOGUE,
  type Params,
} from '../kernel.ts';
import { type Parts, type PartsLaunch, shortParts } from '../parts.ts';
import {
  type ConvGeometry,
  corner,
  inputCount,
  inSize,
  kernelSize,
  LONGEST,
  outputCount,
  outSize,
  steps,
  taps,
  weightCount,
} from './geometry.ts';

/** By the definition, in parts of some channels or rows; what a part takes is `iterations` of its `chunk`. */
function naive(
  kernel: string,
  elements: number,
  g: ConvGeometry,
  { parts, chunk }: Parts,
  iterations: number,
  constants: Constants = {},
  further: Params = {},
): PartsLaunch {
  const { batch, inChannels, outChannels, groups } = g;
  const [dilationY, dilationX] = g.dilation;
  const window = { ...kernelSize(g), ...steps(g.stride), ...corner(g), dilationY, dilationX };
  const channels = { inChannels, outChannels, groups };
  const count = parts * elements;
  const split = { count, results: elements, chunk };
  const params = { ...split, batch, ...channels, ...inSize(g), ...outSize(g), ...window, ...further };
  return { launch: launch(kernel, count, params, constants, iterations), parts, elements };
}

/** Iterations over a kernel's taps and, for each, some channels. */
const overTaps = ({ kernel }: ConvGeometry, channels: number) =>
  loop(kernel[0], loop(kernel[1], loop(channels)));
const channelParts = (g: ConvGeometry, channels: number) =>
  shortParts(channels, Math.max(1, Math.floor(LONGEST / taps(g))));

/** (x, w, bias, summand) -> y by the definition; where it has parts they are of sums alone. */
export function conv2dNaive(g: ConvGeometry, epilogue: Epilogue): PartsLaunch {
  const parts = channelParts(g, g.inChannels / g.groups);
  const applied = parts.parts === 1 ? epilogue : NO_EPILOGUE;
  const constants = epilogueConstants(applied);
  const iterations = overTaps(g, parts.chunk);
  return naive('conv2dNaive', outputCount(g), g, parts, iterations, constants, epilogueParams(applied));
}

/** (dy, w) -> dx of the convolution `g` by the definition. */
export function conv2dInputGradientNaive(g: ConvGeometry): PartsLaunch {
  const parts = channelParts(g, g.outChannels / g.groups);
  return naive('conv2dInputGradientNaive', inputCount(g), g, parts, overTaps(g, parts.chunk));
}

/** (x, dy) -> dw by the definition, in parts of some rows of some images. */
export function conv2dWeightGradientNaive(g: ConvGeometry): PartsLaunch {
  const [height, width] = g.output;
  const parts = shortParts(g.batch * height, Math.max(1, Math.floor(LONGEST / width)));
  const iterations = loop(parts.chunk, loop(width));
  return naive('conv2dWeightGradientNaive', weightCount(g), g, parts, iterations);
}
