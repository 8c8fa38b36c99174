// What `tune` may choose is right, whatever it chooses; what it kept is used where it is good, and else ignored with a word.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import type { Device, Tensor } from '../../engine/index.ts';
import * as engine from '../../engine/index.ts';
import { deviceClasses, type FigureName, figures, figuresOf } from '../../kernels/profile.ts';
import { device } from '../device.ts';
import * as ref from '../reference/index.ts';

/** Runs `use` with a cache folder of its own. */
async function withCache(use: (folder: string) => Promise<void>): Promise<void> {
  const before = process.env.LIMELIGHT_CACHE;
  const folder = mkdtempSync(join(tmpdir(), 'limelight-tune-'));
  process.env.LIMELIGHT_CACHE = folder;
  try {
    await use(folder);
  } finally {
    if (before === undefined) delete process.env.LIMELIGHT_CACHE;
    else process.env.LIMELIGHT_CACHE = before;
    rmSync(folder, { recursive: true });
  }
}

/** Opens a device only to see how. */
async function opened(options: engine.DeviceOptions = {}): Promise<Device> {
  const on = await engine.openDevice(options);
  engine.closeDevice(on);
  return on;
}

test('tune: what it keeps is read when a device is opened', (t) =>
  withCache(async (folder) => {
    const on = await engine.openDevice();
    t.doesNotMatch(on.why, /tun/, 'nothing is kept at first');
    const found = await engine.tune(on, { seconds: 0.1 });
    engine.closeDevice(on);
    t.notOk(found.complete, 'a tenth of a second is not enough');
    const [name] = readdirSync(folder);
    t.equal(found.kept, join(folder, name!), 'it says where');
    const kept = JSON.parse(readFileSync(found.kept, 'utf8'));
    t.deepEqual(
      { class: kept.class, figures: kept.figures },
      { class: found.class, figures: found.figures },
      'and keeps what it says',
    );
    const write = (changed: object) => writeFileSync(found.kept, JSON.stringify({ ...kept, ...changed }));

    write({ class: 'gpu', figures: { enoughTiles: 64, directRows: 4 } });
    const tuned = await opened();
    t.equal(tuned.profile.class, 'gpu');
    t.deepEqual(figuresOf(tuned.profile), { ...figuresOf({ class: 'gpu' }), enoughTiles: 64, directRows: 4 });
    t.match(tuned.why, /; tuned$/);
    t.equal(
      (await opened({ profile: 'software' })).profile.tuned,
      undefined,
      'of another class than asked for',
    );
    t.equal((await opened({ tuned: false })).profile.tuned, undefined, 'not wanted');

    for (const [changed, why] of [
      [{ adapter: 'another' }, /it is of another adapter; tune again$/],
      [{ kernels: '0' }, /the kernels have changed since/],
      [{ class: 'abacus' }, /it names no class of devices/],
      [{ figures: { enoughTiles: 63 } }, /enoughTiles is no figure that may be 63/],
      [{ figures: { enoughTiles: '64' } }, /enoughTiles is no figure that may be "64"/],
      [{ figures: { toString: 64 } }, /toString is no figure/],
    ] as const) {
      write(changed);
      const on = await opened();
      t.match(on.why, why, JSON.stringify(changed));
      t.equal(on.profile.tuned, undefined, 'is ignored');
    }
    for (const text of ['', 'null', '[1', '[]', '7']) {
      writeFileSync(found.kept, text);
      t.match((await opened()).why, /tuning-.*\.json ignored: it is /, `"${text}"`);
    }
  }));

test('tune: is refused where there is nothing to measure', async (t) => {
  await engine.tune(engine.dryDevice()).then(
    () => t.fail('was tuned'),
    (error: unknown) => t.ok(error instanceof engine.DeviceLostError, String(error)),
  );
});

test('tune: results are right with every value that a figure may have', async (t) => {
  const on = await device();
  const next = ref.seededRandom(5);
  const draw = (...shapes: (readonly number[])[]) => shapes.map((shape) => ref.randomArray(shape, next));
  const padding = [1, 1, 1, 1] as const;
  const [a, b] = draw([33, 70], [70, 18]) as [ref.Array64, ref.Array64];
  const [x, w] = draw([2, 9, 20, 21], [20, 9, 3, 3]) as [ref.Array64, ref.Array64];
  const [deep] = draw([9, 1, 3, 3]) as [ref.Array64];
  const [line] = draw([3, 290]) as [ref.Array64];
  /** Each with its inputs and float64 result. */
  const problems: readonly [string, ref.Array64[], (...inputs: Tensor[]) => Tensor, ref.Array64][] = [
    ['matmul', [a, b], (a, b) => engine.matmul(a!, b!), ref.matmul(a, b)],
    ['conv2d', [x, w], (x, w) => engine.conv2d(x!, w!, { padding }), ref.conv2d(x, w, { padding })],
    [
      'depthwise',
      [x, deep],
      (x, w) => engine.conv2d(x!, w!, { padding, groups: 9 }),
      ref.conv2d(x, deep, { padding, groups: 9 }),
    ],
    ['softmax', [line], (x) => engine.softmax(x!, 1), ref.softmax(line, 1)],
    ['concat', [a, a, a], (...all) => engine.concat(all, 0), ref.concat([a, a, a], 0)],
  ];
  for (const of of deviceClasses) {
    for (const [name, { values }] of Object.entries(figures)) {
      for (const value of values) {
        const tuned = { [name as FigureName]: value };
        // Work of any size goes by Winograd where that is the figure in question.
        const small = name.startsWith('winograd') && { winogradChannels: 8, winogradWork: 2 ** 20, ...tuned };
        const at: Device = { ...on, profile: { ...on.profile, class: of, tuned: { ...tuned, ...small } } };
        for (const [what, inputs, f, expected] of problems) {
          const tensors = inputs.map(({ data, shape }) => engine.tensor(at, data, shape));
          const y = f(...tensors);
          const error = ref.relativeError(await y.data(), expected.data);
          if (error > 2e-5) t.fail(`${what}, ${of}, ${name} ${value}: error ${error}`);
          for (const made of [...tensors, y]) made.dispose();
        }
      }
    }
    t.pass(of);
  }
});
