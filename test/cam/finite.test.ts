// What is NaN or infinite is refused where it is first seen, and never shown as a map.

import test from 'tape';
import {
  type ExplainOptions,
  explain,
  explainBatch,
  NotFiniteError,
  type Outputs,
  methods as table,
} from '../../cam/index.ts';
import { concat, sqrt, stopGradient, sub, sum, type Tensor, tensor } from '../../engine/index.ts';
import type { Network } from '../../models/network.ts';
import { device } from '../device.ts';
import { seededRandom } from '../reference/index.ts';
import { graphs, randomNetwork, randomTensors } from './networks.ts';

const methods = [...table.keys()];

/** An image of 3 x 8 x 6, the number at `at` replaced. */
async function image(at?: number, value = 0): Promise<Tensor> {
  const next = seededRandom(7);
  const values = Float32Array.from({ length: 3 * 48 }, (_, i) => (i === at ? value : next() * 2 - 1));
  return tensor(await device(), values, [1, 3, 8, 6]);
}

/** A network one of whose parameters is multiplied. */
async function scaled(key?: string, factor = 1): Promise<Network> {
  const on = await device();
  const tensors = randomTensors(graphs.gapLinear, 1);
  const parameters = new Map(
    [...tensors].map(([name, { data, shape }]) => [
      name,
      tensor(on, name === key ? data.map((value) => value * factor) : data, shape),
    ]),
  );
  return { ...randomNetwork(on, graphs.gapLinear), parameters };
}

test('what is not finite is refused, and leaves nothing behind', async (t) => {
  const plain = await scaled();
  const flat = ({ logits }: Outputs) => sqrt(sub(sum(logits, [1]), stopGradient(sum(logits, [1]))));
  const broken = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].flatMap((value) =>
    [0, 77, 143].map((at) => [value, at] as const),
  );
  const rows: [string, Network, Tensor, ExplainOptions, RegExp][] = [
    [
      'a feature map that overflows',
      await scaled('conv2.weight', 3e38),
      await image(),
      {},
      /numbers of the feature map of "features" are NaN or infinite; the input is finite, so the network overflows/,
    ],
    [
      'logits that overflow',
      await scaled('classifier.weight', 3e38),
      await image(),
      {},
      /numbers of the logits are NaN or infinite; the input is finite/,
    ],
    [
      'a derivative that overflows',
      plain,
      await image(),
      { methods: ['cam', 'grad-cam'], target: () => flat },
      /grad-cam: 12 of 12 numbers of the map of class 1 at "features" are NaN or infinite, though the logits/,
    ],
  ];
  for (const [value, at] of broken) {
    const message = /: 1 of 144 numbers of the input are NaN or infinite; check how/;
    rows.push([`${value} at ${at}`, plain, await image(at, value), {}, message]);
  }
  for (const [about, network, x, options, message] of rows) {
    const { memory } = network.device;
    const live: number[] = [];
    // Twice: the first time leaves the packed copies that the weights keep.
    for (let time = 0; time < 2; time++) {
      await explain(network, x, { methods, classes: [1], ...options }).then(
        () => t.fail(`${about} was explained`),
        (error: unknown) => {
          t.ok(error instanceof NotFiniteError, `${about}: ${error}`);
          t.match(String(error), message, about);
        },
      );
      live.push(memory.liveBytes);
    }
    t.equal(live[1], live[0], 'live bytes');
  }
});

test('a batch with one such image is refused whole', async (t) => {
  const network = await scaled();
  const { memory } = network.device;
  const both = concat([await image(), await image(5, Number.NaN)], 0);
  const explainBoth = () => explainBatch(network, both, { methods: ['grad-cam'] });
  const attempt = async () =>
    explainBoth().then(
      () => t.fail('was explained'),
      (error: unknown) => t.ok(error instanceof NotFiniteError, String(error)),
    );
  await attempt();
  const before = memory.liveBytes;
  await attempt();
  t.equal(memory.liveBytes, before, 'live bytes');
  both.dispose();
});
