// The n-th step fails, for n from 1 until nothing fails: each time with a typed error, and live bytes and files are as
// they were before.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { writeWhole } from '../../app/image/write.node.ts';
import { disposeExplanation, type Explanation, explain } from '../../cam/index.ts';
import { type Device, KernelError, LimelightError, tensor } from '../../engine/index.ts';
import { forget } from '../../engine/memory.ts';
import { partsIn } from '../../models/formats/folder.node.ts';
import { readPart } from '../../models/formats/imported.ts';
import { cachedFile } from '../../models/hub/cache.node.ts';
import { disposeNetwork } from '../../models/network.ts';
import { graphs, randomNetwork } from '../cam/networks.ts';
import { device } from '../device.ts';
import { seededRandom } from '../reference/index.ts';
import { withFaults } from './inject.ts';

/** Gives the error of a step that is to fail. */
type Step = (failure: () => Error) => Error | undefined;

/** Runs `body` with the n-th step failing, for every n that there is; `state` is what a failure leaves as it was. */
async function eachFails<T>(
  t: Test,
  what: string,
  body: (step: Step) => Promise<T>,
  state: () => unknown,
): Promise<T> {
  const wrong: string[] = [];
  for (let n = 1; ; n++) {
    let [steps, failed] = [0, false];
    const step = (failure: () => Error) => {
      if (++steps !== n) return undefined;
      failed = true;
      return failure();
    };
    const before = state();
    try {
      const result = await body(step);
      if (!failed) {
        t.deepEqual(wrong, [], `${what}: each of ${n - 1} steps failed once`);
        t.ok(n > 2, 'some did');
        return result;
      }
      // What fails may be of no account, such as a rest that is to be swept away.
    } catch (error) {
      if (!(error instanceof LimelightError)) wrong.push(`step ${n}: ${(error as Error).stack}`);
      if (state() !== before) wrong.push(`step ${n}: ${before}, then ${state()} (${error})`);
    }
  }
}

const FILES =
  /^(open|mkdir|stat|readdir|readFile|writeFile|appendFile|rename|sync|read|realpath|utimes)(Sync)?$|^lstat$/;

/** The same of steps in the file system; `clear` undoes what success leaves in the folder. */
async function filesFail(
  t: Test,
  what: string,
  folder: string,
  body: () => Promise<unknown>,
  clear = () => {},
) {
  const state = () =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .map((entry) => (entry.isFile() ? `${entry.name} ${sizeOf(join(entry.path, entry.name))}` : entry.name))
      .sort()
      .join();
  const failing = async (step: Step) => {
    const fault = (name: string) => {
      const failure = step(() => Object.assign(new Error(`no space for ${name}`), { code: 'ENOSPC' }));
      if (failure) throw failure;
    };
    await withFaults(FILES, fault, body);
    clear();
  };
  await eachFails(t, what, failing, state);
}

const sizeOf = (path: string) => readFileSync(path).length;

test('the n-th step in the file system fails', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-nth-'));
  const bytes = Buffer.alloc(1000, 'x');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const server = createServer((_, response) => response.end(bytes));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights`;

  const out = join(folder, 'out.png');
  const old = () => writeFileSync(out, 'old');
  old();
  await filesFail(
    t,
    'writing a file',
    folder,
    () => writeWhole(out, bytes),
    () => {
      if (sizeOf(out) !== bytes.length) t.fail('it is said to be written, and is not');
      old();
    },
  );

  const cache = join(folder, 'cache');
  const remote = { name: 'weights', url, sha256, bytes: bytes.length };
  mkdirSync(cache);
  await filesFail(
    t,
    'downloading',
    folder,
    () => cachedFile(remote, { folder: cache }),
    () => {
      if (!readFileSync(join(cache, 'weights')).equals(bytes)) t.fail('it is said to be there, and is not');
      rmSync(join(cache, 'weights'));
    },
  );

  const read = async () => readPart(await partsIn(folder)('out.png'), 'out.png', 0, 3);
  await filesFail(t, 'reading a part', folder, read);
  server.close();
  rmSync(folder, { recursive: true });
});

/** What goes to the device, failing: an allocation finds no room; a launch, write or read finds an error of the device. */
const shortages = {
  allocation: (on: Device, step: Step) => {
    const { budget } = on.memory;
    const get = () => (step(() => new Error()) ? 0 : budget);
    Object.defineProperty(on.memory, 'budget', { configurable: true, get });
    return () => Object.defineProperty(on.memory, 'budget', { configurable: true, value: budget });
  },
  'launch, write or read': (on: Device, step: Step) => {
    const commands = on.commands!;
    const get = () => step(() => new KernelError('a fault'));
    Object.defineProperty(commands, 'failure', { configurable: true, get, set: () => {} });
    return () =>
      Object.defineProperty(commands, 'failure', { configurable: true, writable: true, value: undefined });
  },
};

const numbers = async (explanations: readonly Explanation[]) =>
  Promise.all(explanations.map(async ({ map }) => [...(await map.data())]));

for (const [what, inject] of Object.entries(shortages)) {
  test(`the n-th ${what} fails`, async (t) => {
    const on = await device();
    const next = seededRandom(5);
    const input = tensor(on, Float32Array.from({ length: 3 * 6 * 8 }, next), [1, 3, 6, 8]);
    // Copies that other tests left on the device would go when memory is short.
    for (const storage of on.memory.copied) forget(storage);
    const atFirst = on.memory.liveBytes;
    const body = async (step: Step) => {
      const undo = inject(on, step);
      let made: ReturnType<typeof randomNetwork> | undefined;
      try {
        made = randomNetwork(on, graphs.gapLinear);
        const methods = ['cam', 'grad-cam', 'grad-cam++', 'ablation-cam', 'eigen-cam'];
        const explanations = await explain(made, input, { methods, classes: [1] });
        try {
          return await numbers(explanations);
        } finally {
          explanations.forEach(disposeExplanation);
        }
      } finally {
        undo();
        if (made) disposeNetwork(made);
      }
    };
    const right = await body(() => undefined);
    const results = await eachFails(t, what, body, () => `${on.memory.liveBytes} live bytes`);
    t.deepEqual(results, right, 'the results are as ever');
    t.equal(on.memory.liveBytes, atFirst);
    input.dispose();
  });
}
