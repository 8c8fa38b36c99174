// limelight verify as a user meets it.

import test from 'tape';
import { claims } from '../../cam/index.ts';
import { hasStack, limelight, scene } from './limelight.ts';

test('verify shows each claim, why it does not apply and by how much it fails, and where bounds come from', (t) => {
  const { status, stdout, stderr } = limelight('verify', 'digit-dense', scene, '--verbose');
  t.equal(status, 0, stderr);
  for (const { name, tex } of claims.values()) {
    t.ok(stdout.includes(`${name}:`), name);
    // The table wraps between words.
    t.ok(stdout.includes(tex.split(' ')[0]!), tex);
  }
  t.match(stdout, /does not apply: after "features"/);
  t.match(stdout, /bound.*: f32 rounding/);
  t.end();
});

test('verify ends with 1 where a claim fails, and says in JSON which', (t) => {
  const asked = ['--claim', 'batch', '--same-as', 'digit-vit', '--class', '3', '--json'];
  const { status, stdout, stderr } = limelight('verify', 'digit-scenes', ...asked);
  t.equal(status, 1);
  t.match(stderr, /no picture is given: claims are checked on noise/);
  t.match(stderr, /^limelight: noise: what must hold does not: same-as$/m);
  t.notOk(hasStack(stderr), 'no stack');
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.deepEqual(
    lines.map(({ claim, holds, image, model, layer }) => [claim, holds, image, model, layer]),
    [
      ['batch', true, null, 'digit-scenes', 'features'],
      ['same-as', false, null, 'digit-scenes', 'features'],
    ],
  );
  t.ok(lines[1].residual > lines[1].bound, 'two networks differ by more than rounding');
  t.end();
});

test('verify: what does not exist is bad usage', (t) => {
  const { status, stdout, stderr } = limelight('verify', 'digit-scenes', '--claim', 'beauty');
  t.equal(status, 2);
  t.match(stderr, /no claim "beauty"; the claims are /);
  t.equal(stdout, '');
  t.end();
});
