// What each channel adds to a map: plain arithmetic on numbers that were read back.

import type { Values } from '../work/subject.ts';
import type { TermValues } from '../work/tasks.ts';

/** The channels' parts [K, h w] of a map, and the channels from the most important on. */
export interface Parts {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
  /** What the parts are, as TeX. */
  readonly tex: string;
  /** What the channels are sorted by, one a channel. */
  readonly weights: Float32Array;
  readonly order: readonly number[];
}

type Rule = (
  a: number,
  at: number,
  term: (symbol: string) => Float32Array | undefined,
  channel: number,
) => number | undefined;

const positive = (x: number) => Math.max(0, x);

/** What a map is a sum of, in one method or another; which it is, is told by the sum. */
const rules: Readonly<Record<string, Rule>> = {
  'w_k A_k': (a, _, term, k) => product(term('w_k')?.[k], a),
  I_k: (_, at, term) => term('I_k')?.[at],
  'g_k A_k': (a, at, term) => product(term('g_k')?.[at], a),
  '\\mathrm{ReLU}(g_k) A_k': (a, at, term) => product(apply(positive, term('g_k')?.[at]), a),
  '\\mathrm{ReLU}(g_k A_k)': (a, at, term) => apply(positive, product(term('g_k')?.[at], a)),
};

const product = (x: number | undefined, a: number) => (x === undefined ? undefined : x * a);
const apply = (f: (x: number) => number, x: number | undefined) => (x === undefined ? undefined : f(x));

/** By how much, of the map's largest magnitude, a sum of parts may miss it: rounding of float32 sums. */
const TOLERANCE = 1e-3;

/** The parts of a map; undefined where it is no sum over channels. */
export function partsOf(featureMap: Values, terms: readonly TermValues[]): Parts | undefined {
  const [, channels, height, width] = featureMap.shape as readonly [number, number, number, number];
  const area = height * width;
  const term = (symbol: string) => terms.find((one) => one.symbol === symbol)?.data;
  const map = term('M')!;
  if (map.length !== area) return undefined;
  const largest = map.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [tex, rule] of Object.entries(rules)) {
    const data = new Float32Array(channels * area);
    let isKnown = true;
    for (let at = 0; at < data.length && isKnown; at++) {
      const part = rule(featureMap.data[at]!, at, term, Math.floor(at / area));
      if (part === undefined) isKnown = false;
      else data[at] = part;
    }
    if (!isKnown) continue;
    const off = map.reduce(
      (most, value, at) => Math.max(most, Math.abs(value - sumAt(data, channels, area, at))),
      0,
    );
    if (off > TOLERANCE * largest) continue;
    // Where a method has no weights, channels are ranked by what they add up to.
    const weights =
      term('w_k') ??
      Float32Array.from({ length: channels }, (_, k) => sum(data.subarray(k * area, (k + 1) * area)));
    const order = Array.from({ length: channels }, (_, k) => k).sort(
      (a, b) => Math.abs(weights[b]!) - Math.abs(weights[a]!) || a - b,
    );
    return { channels, height, width, data, tex, weights, order };
  }
  return undefined;
}

/** How a formula says that a weight is a mean over positions. */
const MEAN = '\\frac{1}{Z} \\sum';

/** Terms whose weights are means over Z positions as if they were sums, or back; undefined where they are no means. */
export function summed(terms: readonly TermValues[], z: number): readonly TermValues[] | undefined {
  if (!terms.some(({ symbol, tex }) => symbol === 'w_k' && tex.includes(MEAN))) return undefined;
  return terms.map((term) =>
    term.symbol === 'w_k' || term.symbol === 'M'
      ? {
          ...term,
          tex: term.tex.replace(MEAN, '\\sum'),
          is: `${term.is}, times Z`,
          data: term.data.map((value) => z * value),
        }
      : term,
  );
}

const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);

function sumAt(data: Float32Array, channels: number, area: number, at: number): number {
  let total = 0;
  for (let k = 0; k < channels; k++) total += data[k * area + at]!;
  return total;
}

/** What a cell of the map is made of: channels with their parts, the largest magnitude first. */
export function cellParts(
  { data, channels, height, width }: Parts,
  cell: number,
  without: ReadonlySet<number>,
) {
  const area = height * width;
  return Array.from({ length: channels }, (_, k) => ({ channel: k, part: data[k * area + cell]! }))
    .filter(({ channel, part }) => part !== 0 && !without.has(channel))
    .sort((a, b) => Math.abs(b.part) - Math.abs(a.part));
}

/** The map without some channels [h w], the weights of the others as they were. */
export function mapWithout(
  { data, channels, height, width }: Parts,
  without: ReadonlySet<number>,
): Float32Array {
  const area = height * width;
  const map = new Float64Array(area);
  for (let k = 0; k < channels; k++)
    if (!without.has(k)) for (let at = 0; at < area; at++) map[at]! += data[k * area + at]!;
  return Float32Array.from(map);
}
