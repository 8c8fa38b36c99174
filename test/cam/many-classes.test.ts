// A network of 200,000 classes: more numbers than JavaScript takes as the arguments of a function.

import test from 'tape';
import { explain } from '../../cam/index.ts';
import { largest, least } from '../../engine/extremes.ts';
import { tensor } from '../../engine/index.ts';
import { conv, globalAvgPool, linear } from '../../models/layers.ts';
import { classIndex, loadNetwork } from '../../models/network.ts';
import { device } from '../device.ts';
import { seededRandom } from '../reference/index.ts';

const CLASSES = 200_000;

test('a network of 200,000 classes is explained', async (t) => {
  const next = seededRandom(3);
  const random = (...shape: number[]) => ({
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next() - 0.5),
  });
  const weight = random(CLASSES, 2);
  const bias = random(CLASSES);
  bias.data[123_456] = 1000;
  const network = loadNetwork(
    await device(),
    {
      name: 'many',
      summary: '',
      graph: {
        nodes: [
          conv('features', 'input', { in: 3, out: 2, kernel: 1 }),
          globalAvgPool('gap', 'features'),
          linear('scores', 'gap', { in: 2, out: CLASSES }),
        ],
        output: 'scores',
      },
      targetLayer: 'features',
      probabilities: 'softmax',
      classes: Array.from({ length: CLASSES }, (_, i) => `class ${i}`),
      preprocessing: { channels: 3, scale: 255, mean: [0], std: [1] },
    },
    new Map([
      ['features.weight', random(2, 3, 1, 1)],
      ['features.bias', random(2)],
      ['scores.weight', weight],
      ['scores.bias', bias],
    ]),
  );
  const input = tensor(await device(), random(1, 3, 4, 4).data, [1, 3, 4, 4]);
  const [found] = await explain(network, input, { methods: ['grad-cam'] });
  t.equal(found!.className, 'class 123456');
  t.throws(() => classIndex(network, 'clas 77'), /no class "clas 77"/, 'a slip of the pen among them');
});

test('the largest and the least of a million numbers', (t) => {
  const numbers = Float32Array.from({ length: 1e6 }, (_, i) => Math.sin(i));
  numbers[700_000] = 2;
  numbers[300_000] = -2;
  t.deepEqual([largest(numbers), least(numbers)], [2, -2]);
  t.deepEqual([largest([]), least([])], [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  t.ok(Number.isNaN(largest([1, Number.NaN])) && Number.isNaN(least([1, Number.NaN])));
  t.end();
});
