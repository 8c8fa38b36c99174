// Networks that read words: the layer against its equations in float64, the rules of captions and questions, what unknown
// words are told.

import test from 'tape';
import { LimelightError, tensor } from '../../engine/index.ts';
import { catalog, ModelError, withText } from '../../models/catalog.ts';
import { gru } from '../../models/layers.ts';
import { oneHotWords, wordIndices } from '../../models/text.ts';
import { caption, question } from '../../models/train/data/captions.ts';
import { random } from '../../models/train/data/random.ts';
import type { SceneDigit } from '../../models/train/data/scenes.ts';
import { device } from '../device.ts';
import { randomArray, relativeError, seededRandom } from '../reference/index.ts';

/** PyTorch's nn.GRU, as its documentation has it, one number at a time. */
function states(
  x: number[][],
  h0: number[],
  [wi, wh, bi, bh]: readonly [number[][], number[][], number[], number[]],
): number[][] {
  const logistic = (z: number) => 1 / (1 + Math.exp(-z));
  const dot = (a: number[], b: number[]) => a.reduce((sum, one, i) => sum + one * b[i]!, 0);
  const H = h0.length;
  let h = h0;
  return x.map((now) => {
    h = h.map((old, j) => {
      const [ir, iz, in_] = [0, 1, 2].map((g) => dot(wi[g * H + j]!, now) + bi[g * H + j]!);
      const [hr, hz, hn] = [0, 1, 2].map((g) => dot(wh[g * H + j]!, h) + bh[g * H + j]!);
      const n = Math.tanh(in_! + logistic(ir! + hr!) * hn!);
      const z = logistic(iz! + hz!);
      return (1 - z) * n + z * old;
    });
    return h;
  });
}

for (const [batch, steps, width, hidden, isStarted] of [
  [2, 5, 3, 4, true],
  [1, 1, 7, 5, true],
  [3, 4, 2, 1, false],
] as const) {
  test(`gated recurrent units: ${steps} steps of ${width} -> ${hidden}, ${isStarted ? 'started' : 'from zeros'}`, async (t) => {
    const on = await device();
    const next = seededRandom(hidden);
    const made = ([rows, columns]: readonly [number, number]) => randomArray([rows, columns], next);
    const [x, h0] = [made([batch * steps, width]), made([batch, hidden])];
    const weights = [
      made([3 * hidden, width]),
      made([3 * hidden, hidden]),
      made([1, 3 * hidden]),
      made([1, 3 * hidden]),
    ];
    const names = ['weightIn', 'weight', 'biasIn', 'bias'];
    const parameters = Object.fromEntries(
      weights.map((w, i) => [names[i]!, tensor(on, w.data, i < 2 ? w.shape : [3 * hidden])]),
    );
    const inputs = [tensor(on, x.data, [batch, steps, width])];
    if (isStarted) inputs.push(tensor(on, h0.data, [batch, hidden]));
    const y = gru('gru', isStarted ? ['x', 'h'] : ['x'], { in: width, hidden }).run(inputs, { parameters });
    t.deepEqual(y.shape, [batch, steps, hidden]);
    const rows = ({ data, shape: [count, size] }: (typeof weights)[number]) =>
      Array.from({ length: count! }, (_, i) => [...data.slice(i * size!, (i + 1) * size!)]);
    const [wi, wh, bi, bh] = weights.map(rows);
    const expected = rows(h0).flatMap((start, n) =>
      states(rows(x).slice(n * steps, (n + 1) * steps), isStarted ? start : start.map(() => 0), [
        wi!,
        wh!,
        bi![0]!,
        bh![0]!,
      ]),
    );
    const error = relativeError(await y.data(), expected.flat());
    t.ok(error < 1e-5, `error ${error.toExponential(1)}`);
  });
}

/** A digit of 10 x 10 pixels centred there. */
const at = (digit: number, x: number, y: number): SceneDigit => ({
  class: digit,
  box: [x - 5, y - 5, x + 5, y + 5],
});

test('captions go from the top down and say how each lies to the next', (t) => {
  const said = (...digits: SceneDigit[]) => caption(digits).text;
  t.equal(said(at(3, 20, 20)), 'a three alone');
  t.equal(said(at(7, 22, 50), at(3, 20, 20)), 'a three above a seven');
  t.equal(said(at(7, 50, 25), at(3, 20, 20)), 'a three left of a seven');
  t.equal(said(at(7, 10, 25), at(3, 40, 20)), 'a three right of a seven');
  t.equal(said(at(1, 10, 55), at(3, 40, 20), at(7, 42, 50)), 'a three above a seven right of a one');
  t.deepEqual(
    caption([at(7, 22, 50), at(3, 20, 20)]).named.map((digit) => digit.class),
    [3, 7],
  );
  t.end();
});

test('questions have the answers that the boxes give', (t) => {
  const digits = [at(3, 20, 20), at(7, 22, 50)];
  const expected: Record<string, string> = {
    'how many digits': 'two',
    'is there a three': 'yes',
    'is there a seven': 'yes',
    'what is above the seven': 'three',
    'what is below the three': 'seven',
  };
  const next = random(3);
  const seen = new Set<string>();
  for (let i = 0; i < 300; i++) {
    const { text, answer, about, type } = question(digits, next);
    seen.add(text);
    if (answer !== (expected[text] ?? 'no')) t.fail(`${text}: ${answer}`);
    if ((about !== undefined) !== (type === 'relation')) t.fail(`${text} is about ${about?.class}`);
  }
  t.equal(seen.size, 5 + 8, 'all of them are asked, and whether each of the other eight digits is there');
  t.end();
});

test('a text is read word by word, and what a network does not know is said', (t) => {
  const vocabulary = ['a', 'three', 'four'];
  t.deepEqual(wordIndices(' A three, four', vocabulary), [0, 1, 2]);
  t.deepEqual(wordIndices('three', vocabulary, 3), [-1, -1, 1]);
  t.deepEqual([...oneHotWords([-1, 1], 3).data], [0, 0, 0, 0, 1, 0]);
  t.throws(() => wordIndices('a tree', vocabulary), /does not know the word "tree"; .*three/);
  t.throws(() => wordIndices('a a a a', vocabulary, 3), /has 4 words; the network takes 3 at most/);
  t.throws(() => wordIndices('a tree', vocabulary), LimelightError);
  t.throws(() => withText(catalog.get('digit-scenes')!, new Map(), 'a three'), /digit-scenes takes no text/);
  t.throws(() => withText(catalog.get('digit-scenes')!, new Map(), 'a three'), ModelError);
  t.end();
});
