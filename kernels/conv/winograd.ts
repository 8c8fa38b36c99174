// Launches of Winograd's convolution.

import {
  type Epilogue,
  epilogueConstants,
  epilogueParams,
  type Launch,
  launch,
  loop,
  type SizedLaunch,
} from '../kernel.ts';
import { type Convolution, ceil4, corner, inSize, tilesOf, winogradBytes } from './geometry.ts';

/** Bytes of an intermediate result that are made at once; larger batches go in parts. */
const WINOGRAD_BYTES = 32 * 2 ** 20;
/** Winograd's convolution of some images of a batch: x -> transformed, products with `factor`, (products, bias, summand) -> y. */
export interface WinogradPart {
  readonly x: SizedLaunch;
  /** 36 products [outChannels, inChannels] [inChannels, columns]. */
  readonly columns: number;
  readonly y: Launch;
}

/** Winograd's F(4x4, 3x3): the weights' transformation, then one or more parts of the batch. */
export function conv2dWinograd(
  { geometry: g, adjoint }: Convolution,
  width: number,
  epilogue: Epilogue,
): { w: SizedLaunch; parts: WinogradPart[] } {
  const [tilesY, tilesX] = [ceil4(g.output[0]), ceil4(g.output[1])];
  const images = Math.max(1, Math.floor(WINOGRAD_BYTES / winogradBytes(g)));
  const parts: WinogradPart[] = [];
  for (let image = 0; image < g.batch; image += images) {
    const tiles = Math.min(images, g.batch - image) * tilesOf(g);
    const columns = 4 * ceil4(tiles);
    const grid = { tilesX, tilesY, tiles, columns, image };
    const [from, to] = [tiles * g.inChannels, tiles * g.outChannels];
    const source = { count: from, ...grid, channels: g.inChannels, ...inSize(g), ...corner(g) };
    const [height, width] = g.output;
    const target = {
      count: to,
      ...grid,
      channels: g.outChannels,
      height,
      width,
      ...epilogueParams(epilogue),
    };
    parts.push({
      x: {
        launch: launch('winogradInput', from, source, {}, 2 * loop(6)),
        elements: 36 * g.inChannels * columns,
      },
      columns,
      y: launch('winogradOutput', to, target, epilogueConstants(epilogue), loop(6) + loop(4)),
    });
  }
  const count = g.inChannels * width;
  const [outChannels, inChannels] = adjoint ? [g.inChannels, g.outChannels] : [g.outChannels, g.inChannels];
  const stored = { count, outChannels, inChannels, width };
  const w = launch('winogradWeights', count, stored, { ADJOINT: Number(adjoint) }, loop(6));
  return { w: { launch: w, elements: 36 * count }, parts };
}
