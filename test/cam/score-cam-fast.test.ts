// Score-CAM of few channels: which they are, by float64 on the host, and that their weights are those of Score-CAM.

import test from 'tape';
import { explain, observe } from '../../cam/index.ts';
import { tensor } from '../../engine/index.ts';
import { conv, globalAvgPool, linear, relu } from '../../models/layers.ts';
import { device } from '../device.ts';
import { relativeError, seededRandom } from '../reference/index.ts';
import { randomNetwork } from './networks.ts';

for (const [channels, expected] of [
  [6, 6],
  [37, 10],
  [230, 23],
] as const) {
  test(`score-cam-fast takes ${expected} of ${channels} channels`, async (t) => {
    const graph = {
      nodes: [
        conv('conv1', 'input', { in: 3, out: channels, kernel: 3, padding: 1 }),
        relu('features', 'conv1'),
        globalAvgPool('gap', 'features'),
        linear('classifier', 'gap', { in: channels, out: 4 }),
      ],
      output: 'classifier',
    };
    const network = randomNetwork(await device(), graph, channels);
    const next = seededRandom(channels);
    const pixels = Float32Array.from({ length: 3 * 63 }, () => next() * 2 - 1);
    // Channels 3 and 4 alike: neither is counted for the other.
    const weight = network.parameters.get('conv1.weight')!;
    const values = (await weight.data()).slice();
    values.copyWithin(4 * 27, 3 * 27, 4 * 27);
    const bias = (await network.parameters.get('conv1.bias')!.data()).slice();
    bias[4] = bias[3]!;
    const parameters = new Map(network.parameters)
      .set('conv1.weight', tensor(network.device, values, weight.shape))
      .set('conv1.bias', tensor(network.device, bias, [channels]));
    const trace = observe({ ...network, parameters }, tensor(network.device, pixels, [1, 3, 7, 9]));
    const a = await trace.at().featureMap.data();
    const spreads = Array.from({ length: channels }, (_, k) => {
      const plane = [...a.slice(63 * k, 63 * k + 63)];
      const average = plane.reduce((total, value) => total + value, 0) / 63;
      return plane.reduce((total, value) => total + (value - average) ** 2, 0);
    });
    const order = spreads.map((_, k) => k).sort((i, j) => spreads[j]! - spreads[i]! || i - j);
    const chosen = new Set(order.slice(0, expected));
    const found = await explain(trace, {
      methods: ['score-cam', 'score-cam-fast'],
      classes: [0, 1],
      signed: true,
    });
    for (const index of [0, 1]) {
      const [full, fast] = found.filter((e) => e.classIndex === index) as [
        (typeof found)[0],
        (typeof found)[0],
      ];
      const all = await full.weights!.data();
      const wanted = all.map((value, k) => (chosen.has(k) ? value : 0));
      t.ok(relativeError(await fast.weights!.data(), wanted) < 1e-5, `class ${index}: weights`);
      const map = Array.from({ length: 63 }, (_, i) =>
        wanted.reduce((total, value, k) => total + value * a[63 * k + i]!, 0),
      );
      t.ok(relativeError(await fast.map.data(), map) < 1e-5, `class ${index}: map`);
      t.match(
        fast.notes.join(),
        new RegExp(`the ${expected} channels of largest spread alone, of ${channels},`),
      );
    }
  });
}

test('score-cam-fast: channels that do not vary tie, and weigh nothing', async (t) => {
  const graph = {
    nodes: [
      conv('conv1', 'input', { in: 3, out: 24, kernel: 1 }),
      relu('features', 'conv1'),
      globalAvgPool('gap', 'features'),
      linear('classifier', 'gap', { in: 24, out: 3 }),
    ],
    output: 'classifier',
  };
  const network = randomNetwork(await device(), graph, 1);
  const x = tensor(network.device, new Float32Array(3 * 16).fill(0.5), [1, 3, 4, 4]);
  const [e] = await explain(network, x, { methods: ['score-cam-fast'], classes: [0] });
  t.ok((await e!.weights!.data()).every((value) => value === 0));
});
