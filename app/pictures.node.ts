// `limelight/pictures`, under Node: picture files in, explanations drawn over them out. In a browser the page decodes
// pictures itself, and draws with the numbers of `Explanation.upsampled`.

import type { Explanation } from '../cam/index.ts';
import type { HostTensor } from '../models/formats/host-tensor.ts';
import type { Network } from '../models/network.ts';
import type { Pixels } from '../models/pixels.ts';
import { seenOf } from './image/array.ts';
import type { ColourMap } from './image/colour.ts';
import { type Drawable, overlayOf, sheetOf } from './image/explained.node.ts';

export { type ColourMap, colourMaps } from './image/colour.ts';
export { decodeImage, encodePng, ImageError } from './image/decode.ts';

/** How explanations are drawn; everything may be left out. */
export interface DrawingOptions {
  /** Whether they were made with `signed`: then on a diverging colour map. */
  readonly signed?: boolean;
  /** The colour map of those that were not; viridis when left out. */
  readonly colours?: ColourMap;
}

async function drawable(
  network: Network,
  picture: Pixels | HostTensor,
  explanation: Explanation,
  { signed = false }: DrawingOptions,
): Promise<Drawable> {
  const { map } = explanation;
  const pixels = seenOf(network, picture);
  return {
    explanation,
    map: { shape: map.shape, data: await map.data() },
    pixels,
    model: network.name,
    signed,
  };
}

/**
 * An explanation laid over what the network sees of its picture, or over an array that it was given (a signal is drawn as
 * curves), with class, layer and a colour bar, as the bytes of a
 * PNG file.
 *
 * @throws {OutputError} where the optional package that draws is not installed.
 */
export const overlay = async (
  network: Network,
  picture: Pixels | HostTensor,
  explanation: Explanation,
  options: DrawingOptions = {},
): Promise<Uint8Array> => overlayOf(await drawable(network, picture, explanation, options), options.colours);

/**
 * Explanations of one picture side by side, a row for each class and layer, as the bytes of a PNG file.
 *
 * @throws {OutputError} where the optional package that draws is not installed.
 */
export async function sheet(
  network: Network,
  picture: Pixels | HostTensor,
  explanations: readonly Explanation[],
  options: DrawingOptions & { readonly title?: string } = {},
): Promise<Uint8Array> {
  const explained = await Promise.all(explanations.map((one) => drawable(network, picture, one, options)));
  const { kind, name } = network.device;
  const { title = network.name, colours } = options;
  return sheetOf(explained, { title, device: `${kind}: ${name}`, colours });
}
