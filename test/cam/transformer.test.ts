// GAE and AttnLRP against float64: a small vision transformer written out anew, its gradients by differences.

import test from 'tape';
import { defaultMethodsOf, explain, observe, targets } from '../../cam/index.ts';
import { type Device, tensor } from '../../engine/index.ts';
import { vit } from '../../models/architectures/vit.ts';
import { dryRun } from '../../models/dry-run.ts';
import { tokenLayer } from '../../models/target-layer.ts';
import { device } from '../device.ts';
import { gradient as differences, relativeError, seededRandom } from '../reference/index.ts';
import { graphs, randomNetwork } from './networks.ts';

const [WIDTH, HEADS, HIDDEN, CLASSES, GRID] = [8, 2, 12, 5, 2];
const TOKENS = GRID * GRID + 1;
const CLASS = 2;

const graph = vit({
  image: 4,
  patch: 2,
  width: WIDTH,
  depth: 2,
  heads: HEADS,
  hidden: HIDDEN,
  classes: CLASSES,
  channels: 1,
});

const network = (on: Device) => randomNetwork(on, graph, 4, 'blocks.1.norm1');

const picture = (on: Device) => {
  const next = seededRandom(9);
  return tensor(
    on,
    Float32Array.from({ length: 16 }, () => 2 * next() - 1),
    [1, 1, 4, 4],
  );
};

type Matrix = number[][];

const erf = (x: number): number => {
  let [term, total] = [x, x];
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
};
const gelu = (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2));
const softmax = (row: readonly number[]) => {
  const powers = row.map((x) => Math.exp(x - Math.max(...row)));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / total);
};
const mean = (row: readonly number[]) => row.reduce((a, b) => a + b, 0) / row.length;
const deviation = (row: readonly number[], epsilon = 1e-6) =>
  Math.sqrt(mean(row.map((x) => (x - mean(row)) ** 2)) + epsilon);
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
const transposed = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));

/** What the tail met on its way, in its order. */
interface Met {
  readonly deviations: number[];
  readonly shares: number[];
  readonly products: [Matrix, Matrix][];
  readonly attention: Matrix[];
}

interface TailOptions {
  /**
   * Derivatives are then relevance's: deviations and gelu(z) / z stay as they were met, and products change by half of
   * what each factor's change makes of them.
   */
  readonly given?: Met;
  /** Added to an element of the attention of a head of a layer. */
  readonly nudge?: {
    readonly at: number;
    readonly row: number;
    readonly column: number;
    readonly by: number;
  };
}

/** The tail from the tokens [T, D] to a class's logit. */
async function tail(on: Device) {
  const host = new Map<string, Float32Array>();
  for (const [key, value] of network(on).parameters) host.set(key, await value.data());
  const of = (key: string) => host.get(key)!;
  const linear = (x: Matrix, name: string, outputs: number): Matrix =>
    x.map((row) =>
      Array.from({ length: outputs }, (_, o) =>
        row.reduce(
          (sum, v, i) => sum + v * of(`${name}.weight`)[o * row.length + i]!,
          of(`${name}.bias`)[o]!,
        ),
      ),
    );
  return (tokens: Matrix, { given, nudge }: TailOptions = {}): { met: Met; score: number } => {
    const met: Met = { deviations: [], shares: [], products: [], attention: [] };
    const norm = (x: Matrix, name: string): Matrix =>
      x.map((row) => {
        const at = met.deviations.push(deviation(row)) - 1;
        const by = (given ?? met).deviations[at]!;
        return row.map((v, i) => ((v - mean(row)) / by) * of(`${name}.weight`)[i]! + of(`${name}.bias`)[i]!);
      });
    const act = (z: number): number => {
      const at = met.shares.push(gelu(z) / z) - 1;
      return z * (given ?? met).shares[at]!;
    };
    const multiply = (a: Matrix, b: Matrix): Matrix => {
      const at = met.products.push([a, b]) - 1;
      if (given === undefined) return product(a, b);
      const [a0, b0] = given.products[at]!;
      const [was, left, right] = [product(a0, b0), product(a, b0), product(a0, b)];
      return was.map((row, i) => row.map((v, j) => v + (left[i]![j]! - v + right[i]![j]! - v) / 2));
    };
    let x = tokens;
    for (const block of ['blocks.0', 'blocks.1']) {
      const qkv = linear(norm(x, `${block}.norm1`), `${block}.attn.qkv`, 3 * WIDTH);
      const own = WIDTH / HEADS;
      const part = (which: number, head: number): Matrix =>
        qkv.map((row) => row.slice(which * WIDTH + head * own, which * WIDTH + (head + 1) * own));
      const mixed = Array.from({ length: HEADS }, (_, head) => {
        const scores = multiply(part(0, head), transposed(part(1, head)));
        const P = scores.map((row) => softmax(row.map((v) => v / Math.sqrt(own))));
        if (nudge?.at === met.attention.length) P[nudge.row]![nudge.column]! += nudge.by;
        met.attention.push(P);
        return multiply(P, part(2, head));
      });
      const joined = x.map((_, t) => mixed.flatMap((rows) => rows[t]!));
      const add = (to: Matrix, more: Matrix) => to.map((row, t) => row.map((v, i) => v + more[t]![i]!));
      x = add(x, linear(joined, `${block}.attn.proj`, WIDTH));
      const hidden = linear(norm(x, `${block}.norm2`), `${block}.mlp.fc1`, HIDDEN).map((row) => row.map(act));
      x = add(x, linear(hidden, `${block}.mlp.fc2`, WIDTH));
    }
    return { met, score: linear([norm(x, 'norm')[0]!], 'head', CLASSES)[0]![CLASS]! };
  };
}

/** The network traced, and its tokens before the first attention. */
async function traced() {
  const on = await device();
  const trace = observe(network(on), picture(on), { layers: ['pos_embed'] });
  const flat = await trace.value('pos_embed').data();
  const rows = Array.from({ length: TOKENS }, (_, t) => [...flat.slice(t * WIDTH, (t + 1) * WIDTH)]);
  return { trace, tokens: rows, score: await tail(on) };
}

test('the tokens before the first attention are found, where there is any', (t) => {
  t.equal(tokenLayer(dryRun(graph, [1, 1, 4, 4])), 'pos_embed');
  t.equal(tokenLayer(dryRun(graphs.gapLinear, [1, 3, 8, 8])), undefined);
  t.ok(defaultMethodsOf(dryRun(graph, [1, 1, 4, 4])).includes('attn-lrp'));
  t.ok(defaultMethodsOf(dryRun(graphs.gapLinear, [1, 3, 8, 8])).includes('grad-cam'));
  t.end();
});

test('GAE: attention and its gradients against differences in float64', async (t) => {
  const { trace, tokens, score } = await traced();
  const plain = score(tokens);
  const [logits] = [await trace.outputs.logits.data()];
  t.ok(Math.abs(plain.score - logits[CLASS]!) < 1e-5, 'the reference is the network');
  const h = 1e-5;
  let R = Array.from({ length: TOKENS }, (_, i) => Array.from({ length: TOKENS }, (_, j) => Number(i === j)));
  for (const layer of [0, 1]) {
    const taken = R.map((_, row) =>
      R.map((_, column) => {
        const heads = Array.from({ length: HEADS }, (_, head) => {
          const at = layer * HEADS + head;
          const moved = (by: number) => score(tokens, { nudge: { at, row, column, by } }).score;
          return Math.max(0, ((moved(h) - moved(-h)) / (2 * h)) * plain.met.attention[at]![row]![column]!);
        });
        return mean(heads);
      }),
    );
    const more = product(taken, R);
    R = R.map((row, i) => row.map((v, j) => v + more[i]![j]!));
  }
  const [e] = await explain(trace.network, trace.picture, { methods: ['gae'], classes: [CLASS] });
  t.equal(e!.layer, 'pos_embed', 'taken where tokens begin');
  const found = await e!.terms.find(({ symbol }) => symbol === 'R')!.tensor.data();
  t.ok(relativeError(found, R.flat()) < 1e-5, 'R');
  t.ok(relativeError(await e!.map.data(), R[0]!.slice(1)) < 1e-5, "the class token's row over the patches");
  trace.dispose();
});

test('AttnLRP: its rules against differences of a tail that keeps them, in float64', async (t) => {
  const { trace, tokens, score } = await traced();
  const { met } = score(tokens);
  const matrix = (data: ArrayLike<number>): Matrix =>
    tokens.map((row, i) => row.map((_, j) => data[i * WIDTH + j]!));
  const x = { shape: [TOKENS, WIDTH], data: Float64Array.from(tokens.flat()) };
  const relevance = (given?: Met) =>
    differences((at) => score(matrix(at.data), given ? { given } : {}).score, x).data.map(
      (g, i) => g * x.data[i]!,
    );
  const overChannels = (values: ArrayLike<number>) =>
    matrix(values)
      .slice(1)
      .map((row) => row.reduce((a, b) => a + b, 0));
  const options = { classes: [CLASS], signed: true };
  const [e] = await explain(trace.network, trace.picture, { methods: ['attn-lrp'], ...options });
  const map = await e!.map.data();
  t.equal(e!.layer, 'pos_embed');
  t.ok(relativeError(map, overChannels(relevance(met))) < 1e-5, 'the rules');
  t.ok(relativeError(map, overChannels(relevance())) > 0.05, 'which the plain gradient does not follow');
  const [plain] = await explain(trace, { methods: ['hires-cam'], ...options });
  t.ok(
    relativeError(await plain!.map.data(), overChannels(relevance())) < 1e-5,
    'plain: gradient times value',
  );
  trace.dispose();
});

test('gradients at several values of a network come from one pass, and from where they are asked', async (t) => {
  const { trace } = await traced();
  const target = targets.logit(CLASS);
  const nodes = ['blocks.0', 'blocks.1.norm1'];
  const found = trace.gradients(target, nodes);
  for (const [i, node] of nodes.entries()) {
    const map = trace.at(node);
    const expected = await map.gradient(target).data();
    t.ok(relativeError(await map.view.toMap(found[i]!).data(), expected) < 1e-6, node);
  }
  trace.dispose();
});

test('methods for attention say where there is none; Grad-CAM says what it does among tokens', async (t) => {
  const on = await device();
  const x = tensor(on, new Float32Array(3 * 64).fill(0.5), [1, 3, 8, 8]);
  const plain = randomNetwork(on, graphs.gapLinear, 1);
  try {
    await explain(plain, x, { methods: ['gae'] });
    t.fail('explained');
  } catch (error) {
    t.match((error as Error).message, /attention among tokens, and this network has none/);
  }
  const [there] = await explain(network(on), picture(on), { methods: ['grad-cam'] });
  t.match(there!.notes.join(), /on a transformer Grad-CAM averages the gradient over tokens/);
  const [elsewhere] = await explain(plain, x, { methods: ['grad-cam'] });
  t.doesNotMatch(elsewhere!.notes.join(), /transformer/);
});
