import { isAbsolute } from 'node:path';
import test from 'tape';
import { explainTwice } from '../../bench/cold.node.ts';
import { modelArgument } from '../../bench/networks.node.ts';
import { flags } from '../app/limelight.ts';

test('the command line is timed to its first and to its second explanation', async (t) => {
  const [first, second] = await explainTwice(flags, 'digit-dense', 'grad-cam');
  t.ok(first > 0 && second > 0, 'both are told');
});

test('a command line that fails is not timed', async (t) => {
  for (const [model, method, expected] of [
    ['no-such-network', 'grad-cam', /failed: .*no-such-network/],
    ['digit-dense', 'no-such-method', /failed: .*no-such-method/],
  ] as const) {
    const message = await explainTwice(flags, model, method).then(String, (error: Error) => error.message);
    t.match(message, expected, `${model}, ${method}`);
  }
});

test('a measured network is named as the command line names it', (t) => {
  const before = process.env.LIMELIGHT_ASSETS;
  process.env.LIMELIGHT_ASSETS = '/assets';
  try {
    t.equal(modelArgument('digit-scenes'), 'digit-scenes');
    t.equal(modelArgument('squeezenet1_0'), 'squeezenet1_0=/assets/models/squeezenet1_0.safetensors');
    t.ok(isAbsolute(modelArgument('mobilenet_v1_0.25')), 'a file alone holds its graph');
  } finally {
    if (before === undefined) delete process.env.LIMELIGHT_ASSETS;
    else process.env.LIMELIGHT_ASSETS = before;
  }
  t.end();
});
