// Colours for heat maps: sequential maps for evidence, a diverging one for signed evidence. Each is a row of colours,
// equally far apart, between which is interpolated.

/** Red, green and blue, 0 to 255. */
export type Rgb = readonly [number, number, number];

/** Colours from a row of RRGGBB. */
const row = (colours: string): readonly Rgb[] =>
  colours.split(' ').map((hex) => {
    const at = (c: number) => Number.parseInt(hex.slice(2 * c, 2 * c + 2), 16);
    return [at(0), at(1), at(2)];
  });

/**
 * Sequential maps, 0 first. Equal steps of a value look equally large, in grey and for people who are colour-blind
 * too. viridis and magma: Nathaniel Smith, Stefan van der Walt and Eric Firing,
 * matplotlib (CC0); cividis: Nuñez, Anderton and Renslow 2018, PLoS ONE 13(7).
 */
const sequential = {
  viridis: row('440154 482475 414487 355f8d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725'),
  cividis: row('002051 0a326a 2b446e 4d566d 696970 7f7c75 948f78 ada476 caba6a ead156 fdea45'),
  magma: row('000004 140e36 3b0f70 641a80 8c2981 b73779 de4968 f7705c fe9f6d fecf92 fcfdbf'),
  grey: row('000000 ffffff'),
};

/** The name of a sequential colour map. */
export type ColourMap = keyof typeof sequential;

/** All sequential colour maps; the first is taken unless another is asked for. */
export const colourMaps = Object.keys(sequential) as readonly ColourMap[];

/** RdBu with 11 classes, from blue to red: Cynthia Brewer, https://colorbrewer2.org (Apache-2.0). */
const redBlue = row('053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f');

/** The colour of a value from 0 to 1; values outside are clamped. */
export const colour = (value: number, map: ColourMap = 'viridis'): Rgb => between(sequential[map], value);

/** The diverging colour of a value from -1 (blue) over 0 (near white) to 1 (red); values outside are clamped. */
export const divergingColour = (value: number): Rgb => between(redBlue, (value + 1) / 2);

/** The colour at a share of the way along a row. */
function between(colours: readonly Rgb[], share: number): Rgb {
  const position = Math.min(1, Math.max(0, share)) * (colours.length - 1);
  const index = Math.min(Math.floor(position), colours.length - 2);
  const [a, b] = [colours[index]!, colours[index + 1]!];
  const mix = (c: 0 | 1 | 2) => Math.round(a[c] + (b[c] - a[c]) * (position - index));
  return [mix(0), mix(1), mix(2)];
}
