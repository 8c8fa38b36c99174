// What the page's strip rests on: the parts of channels add up to the map, and to the cell under the pointer, for every method
// whose map is a sum over channels; the address says what is chosen.

import test from 'tape';
import { defaults, readAddress, writeAddress } from '../../app/page/state.ts';
import { paperOf } from '../../app/page/terms/papers.ts';
import { cellParts, mapWithout, partsOf } from '../../app/page/terms/parts.ts';
import { methods } from '../../cam/index.ts';
import { seededRandom } from '../reference/index.ts';

const [K, H, W] = [5, 3, 4];
const next = seededRandom(3);
const numbers = (count: number) => Float32Array.from({ length: count }, () => next() * 2 - 1);
const [A, g, w] = [numbers(K * H * W), numbers(K * H * W), numbers(K)];
const featureMap = { shape: [1, K, H, W], data: A };
const term = (symbol: string, shape: number[], data: Float32Array) => ({
  symbol,
  shape,
  data,
  tex: symbol,
  equation: '',
  is: '',
});

/** M in float64, from what each element adds. */
function mapOf(part: (at: number, k: number) => number): Float32Array {
  const map = new Float64Array(H * W);
  for (let at = 0; at < A.length; at++) map[at % (H * W)]! += part(at, Math.floor(at / (H * W)));
  return Float32Array.from(map);
}

test('parts of channels', (t) => {
  const cases: readonly [string, string, Float32Array, (at: number, k: number) => number][] = [
    ['w_k A_k', 'w_k', w, (at, k) => w[k]! * A[at]!],
    ['I_k', 'I_k', g, (at) => g[at]!],
    ['g_k A_k', 'g_k', g, (at) => g[at]! * A[at]!],
    ['\\mathrm{ReLU}(g_k) A_k', 'g_k', g, (at) => Math.max(0, g[at]!) * A[at]!],
    ['\\mathrm{ReLU}(g_k A_k)', 'g_k', g, (at) => Math.max(0, g[at]! * A[at]!)],
  ];
  for (const [tex, symbol, data, part] of cases) {
    const M = mapOf(part);
    const terms = [term(symbol, symbol === 'w_k' ? [K] : [1, K, H, W], data), term('M', [H, W], M)];
    const parts = partsOf(featureMap, terms)!;
    t.equal(parts?.tex, tex, `${tex} is recognised by its sum`);
    const cell = cellParts(parts, 7, new Set([1]));
    const expected = M[7]! - part(1 * H * W + 7, 1);
    t.ok(
      Math.abs(cell.reduce((sum, one) => sum + one.part, 0) - expected) < 1e-6,
      'a cell is the sum of its parts',
    );
    t.ok(
      Math.abs(mapWithout(parts, new Set([1]))[7]! - expected) < 1e-6,
      'and the map without a channel has it',
    );
    const sizes = parts.order.map((k) => Math.abs(parts.weights[k]!));
    t.deepEqual(
      sizes,
      sizes.toSorted((a, b) => b - a),
      'the largest channel comes first',
    );
  }
  const other = term(
    'M',
    [H, W],
    mapOf((at) => A[at]! ** 2),
  );
  t.equal(
    partsOf(featureMap, [term('w_k', [K], w), other]),
    undefined,
    'what is no such sum is said not to be',
  );
  t.end();
});

test('addresses', (t) => {
  const chosen = { ...defaults, methods: ['cam', 'grad-cam++'], classes: [3, 0], opacity: 40, signed: true };
  t.deepEqual(readAddress(writeAddress(chosen)), chosen, 'are read as they are written');
  t.equal(writeAddress(defaults), '', 'and say nothing where nothing is chosen');
  const wrong = '?methods=jet,&classes=-1,x&opacity=900&colours=jet&network=none&picture=none&of=none';
  t.deepEqual(readAddress(wrong), defaults, 'what cannot be chosen is left aside');
  t.end();
});

test('papers', (t) => {
  // An arXiv identifier has the month that it is of, so that a slip of the pen seldom looks like one.
  const month = /^https:\/\/arxiv\.org\/abs\/(\d\d)(?:0[1-9]|1[0-2])\.(\d{4}|\d{5})$/;
  for (const { name, paper } of methods.values()) {
    if (paper === 'Limelight') continue;
    const address = paperOf(paper) ?? '';
    const [, year, number] = month.exec(address) ?? [];
    const isKnown = /^https:\/\/(?:doi\.org\/10\.\d{4,5}\/\S+|github\.com\/[\w-]+\/[\w-]+)$/.test(address);
    t.ok(year || isKnown, `${name} leads to a paper: ${address}`);
    if (!year) continue;
    // Five digits since 2015; what appears at a conference or in print was on arXiv up to two years before.
    t.equal(number!.length, Number(year) < 15 ? 4 : 5, `${name}: ${address}`);
    const printed = Number(/\d{4}/.exec(paper)![0]);
    t.ok(
      printed - 2000 - Number(year) >= 0 && printed - 2000 - Number(year) <= 2,
      `${name} is of ${printed}`,
    );
  }
  t.end();
});
