// The drawing of a network on the page: blocks against every path by exhaustion, what is drawn of them open and closed, and how
// sure a prediction is said to be.

import test from 'tape';
import { doubtsOf, entropyOf } from '../../app/page/doubts.ts';
import { blocksOf, drawables, type Step } from '../../app/page/graph/blocks.ts';
import { summed } from '../../app/page/terms/parts.ts';
import type { Predicted } from '../../app/page/work/tasks.ts';
import { catalogEntry } from '../../models/index.ts';
import { seededRandom } from '../reference/index.ts';

/** The nodes that every path from an input to the last node goes through. */
function onEveryPath(nodes: readonly Step[]): Set<string> {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  let common: Set<string> | undefined;
  const follow = (name: string, path: readonly string[]): void => {
    const node = byName.get(name);
    if (!node) {
      common = new Set(path.filter((one) => common?.has(one) ?? true));
      return;
    }
    for (const input of node.inputs) follow(input, [...path, name]);
  };
  follow(nodes.at(-1)!.name, []);
  return common!;
}

test('blocks end at the nodes that everything goes through', (t) => {
  const next = seededRandom(5);
  let mixed = 0;
  for (let round = 0; round < 200; round++) {
    const count = 2 + Math.floor(9 * next());
    const nodes: Step[] = [];
    const unused = new Set<string>();
    for (let i = 0; i < count; i++) {
      // Near ones, so that blocks end; the last takes what nobody took, so that all lead to it.
      const pick = () => (i === 0 ? 'input' : `n${Math.max(0, i - 1 - Math.floor(3 * next() * next()))}`);
      const inputs = i === count - 1 ? [pick(), ...unused] : next() < 0.4 ? [pick(), pick()] : [pick()];
      for (const input of inputs) unused.delete(input);
      nodes.push({ name: `n${i}`, inputs: [...new Set(inputs)] });
      unused.add(`n${i}`);
    }
    const blocks = blocksOf(nodes);
    const expected = nodes.filter(({ name }) => onEveryPath(nodes).has(name)).map(({ name }) => name);
    const ends = blocks.map(({ name }) => name);
    if (ends.join() !== expected.join()) t.fail(`${JSON.stringify(nodes)}: ${ends}, not ${expected}`);
    if (blocks.flatMap((block) => block.nodes).length !== count) t.fail('every node is in one block');
    if (blocks.length > 1 && blocks.length < count) mixed++;
  }
  t.ok(mixed > 50, `of 200 graphs ${mixed} have blocks and single nodes`);
  t.end();
});

test('blocks of networks', (t) => {
  const resnet = blocksOf(catalogEntry('resnet18').graph.nodes);
  t.equal(resnet.filter(({ nodes }) => nodes.length > 1).length, 8, 'ResNet-18 has eight residual blocks');
  const vit = blocksOf(catalogEntry('digit-vit').graph.nodes);
  t.equal(vit.filter(({ nodes }) => nodes.length > 1).length, 6, 'three attentions and three perceptrons');
  const closed = drawables(resnet, ({ nodes }) => nodes.length === 1);
  const { nodes } = catalogEntry('resnet18').graph;
  t.equal(closed.length, resnet.length);
  t.ok(
    closed.every(({ from }) => from.length === 1),
    'closed, it is a chain',
  );
  const one = resnet.find((block) => block.nodes.length > 1)!;
  const open = drawables(resnet, (block) => block === one || block.nodes.length === 1);
  t.equal(open.length, resnet.length + one.nodes.length - 1);
  for (const { name, from, block } of open.filter((drawn) => drawn.block !== undefined)) {
    t.equal(block, one.name);
    const { inputs } = nodes.find((node) => node.name === name)!;
    t.equal(from.length, new Set(inputs).size, `${name} takes what it takes`);
  }
  t.end();
});

const predicted = (probabilities: 'softmax' | 'sigmoid', p: readonly number[], more: Partial<Predicted>) =>
  ({
    probabilities,
    classes: p.map((probability, index) => ({ index, name: String(index), logit: 0, probability })),
    channels: 3,
    picture: { width: 64, height: 64, coloured: 0 },
    seen: { width: 64, height: 64, rgb: new Uint8Array() },
    ...more,
  }) as unknown as Predicted;

test('how sure a prediction is said to be', (t) => {
  t.equal(entropyOf([0.25, 0.25, 0.25, 0.25]), 2);
  t.ok(Math.abs(entropyOf([0.5, 0.25, 0.25, 0]) - 1.5) < 1e-12);
  const facts = (...given: Parameters<typeof predicted>) => doubtsOf(predicted(...given)).facts.join();
  t.equal(facts('softmax', [0.97, 0.01, 0.01, 0.01], {}), '');
  t.match(facts('softmax', [0.4, 0.2, 0.2, 0.2], {}), /spread/);
  t.match(facts('sigmoid', [0.3, 0.2], {}), /none of its classes: the likeliest has 30\.0 %/);
  t.equal(facts('sigmoid', [0.9, 0.8], {}), '');
  const picture = { width: 64, height: 64, coloured: 0.5 };
  t.match(facts('softmax', [1, 0], { picture, channels: 1 }), /in colour \(50\.0 %/);
  t.equal(facts('softmax', [1, 0], { picture, channels: 3 }), '');
  const seen = { width: 224, height: 224, rgb: new Uint8Array() };
  t.match(facts('softmax', [1, 0], { seen }), /enlarged 3\.5 times/);
  t.end();
});

test('means over positions as sums', (t) => {
  const term = (symbol: string, tex: string, data: number[]) => ({
    symbol,
    tex,
    data: Float32Array.from(data),
    shape: [data.length],
    equation: '',
    is: '',
  });
  const mean = 'w_k = \\frac{1}{Z} \\sum_{xy} g_k';
  const terms = [term('g_k', 'g_k', [4, 6]), term('w_k', mean, [1, 2]), term('M', 'M', [3])];
  const found = summed(terms, 4)!;
  t.deepEqual(
    found.map(({ data }) => [...data]),
    [[4, 6], [4, 8], [12]],
  );
  t.equal(found[1]!.tex, 'w_k = \\sum_{xy} g_k');
  t.equal(summed([term('w_k', 'w_k = v_1', [1])], 4), undefined, 'weights that are no means stay');
  t.end();
});
