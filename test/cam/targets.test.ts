// What can be explained of a class: its logit, and its log-probability where one class or several may be there.

import test from 'tape';
import { logitTarget, logProbabilityTarget } from '../../cam/index.ts';
import { tensor } from '../../engine/index.ts';
import { device } from '../device.ts';

test('targets of a batch of logits', async (t) => {
  const rows = [
    [1, -2, 0.5],
    [30, 0, -80],
  ];
  const logits = tensor(await device(), rows.flat(), [2, 3]);
  const softmax = (row: readonly number[]) => row[1]! - Math.log(row.reduce((s, z) => s + Math.exp(z), 0));
  const cases = [
    [logitTarget(1), (row: readonly number[]) => row[1]!],
    [logProbabilityTarget(1), softmax],
    [logProbabilityTarget(1, 'softmax'), softmax],
    [logProbabilityTarget(1, 'sigmoid'), (row: readonly number[]) => -Math.log1p(Math.exp(-row[1]!))],
    [logProbabilityTarget(2, 'sigmoid'), (row: readonly number[]) => -Math.log1p(Math.exp(-row[2]!))],
  ] as const;
  for (const [target, expected] of cases) {
    const made = target(logits);
    t.deepEqual(made.shape, [2]);
    const values = await made.data();
    t.ok(
      rows.every((row, i) => Math.abs(values[i]! - expected(row)) < 1e-5 * (1 + Math.abs(expected(row)))),
      `${values}`,
    );
    made.dispose();
  }
  logits.dispose();
});
