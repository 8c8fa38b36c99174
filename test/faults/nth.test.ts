// The n-th step fails, for n from 1 until nothing fails: each time with a typed error, and live bytes and files are as
// they were before. LIMELIGHT_FAULTS=all explains by every method, those of thousands of steps among them.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs, { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { describeError } from '../../app/cli/errors.ts';
import { conclude } from '../../app/evaluation/conclude.node.ts';
import type { Header, PictureLine } from '../../app/evaluation/record.ts';
import { openResults, writeResults } from '../../app/evaluation/results.node.ts';
import { writeWhole } from '../../app/image/write.node.ts';
import { disposeExplanation, type Explanation, explain, methods as table } from '../../cam/index.ts';
import { type Device, KernelError, LimelightError, tensor } from '../../engine/index.ts';
import { forget } from '../../engine/memory.ts';
import { vit } from '../../models/architectures/vit.ts';
import { catalogEntry } from '../../models/catalog.ts';
import { partsIn } from '../../models/formats/folder.node.ts';
import { readPart } from '../../models/formats/imported.ts';
import { cachedFile } from '../../models/hub/cache.node.ts';
import { disposeNetwork } from '../../models/network.ts';
import { open } from '../../models/open.ts';
import { hasStack } from '../app/limelight.ts';
import { graphs, randomNetwork } from '../cam/networks.ts';
import { device } from '../device.ts';
import { graphShards, readers, shards } from '../fuzz/readers.ts';
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
  /^(open|mkdir|f?stat|readdir|readFile|writeFile|appendFile|ftruncate|rename|sync|read|write|realpath|utimes)(Sync)?$|^lstat$/;

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

/** Each allocation, and each launch, write and read of `body` fails once; what it gives is as ever when none does. */
async function deviceFails(t: Test, what: string, on: Device, body: () => Promise<unknown>): Promise<void> {
  // Copies that others left on the device would go when memory is short.
  for (const storage of on.memory.copied) forget(storage);
  const atFirst = on.memory.liveBytes;
  const right = await body();
  for (const [shortage, inject] of Object.entries(shortages)) {
    const failing = async (step: Step) => {
      const undo = inject(on, step);
      try {
        return await body();
      } finally {
        undo();
      }
    };
    const results = await eachFails(
      t,
      `${what}, ${shortage}`,
      failing,
      () => `${on.memory.liveBytes} live bytes`,
    );
    t.deepEqual(results, right, 'the results are as ever');
    t.equal(on.memory.liveBytes, atFirst);
  }
}

/** A network of tokens, which GAE explains. */
const tokens = vit({ image: 4, patch: 2, width: 8, depth: 2, heads: 2, hidden: 12, classes: 5, channels: 1 });

/** One of each way to an explanation: gradients, their derivatives, versions of feature map or picture, rules, factors. */
const families = [
  ...[
    'cam',
    'grad-cam',
    'grad-cam++',
    'shapley-cam',
    'ablation-cam',
    'score-cam',
    'eigen-cam',
    'recipro-cam',
  ],
  ...['layer-integrated-gradients', 'attn-lrp', 'shapley', 'full-grad', 'guided-grad-cam', 'rise'],
];
const { LIMELIGHT_FAULTS } = process.env;
const explained =
  LIMELIGHT_FAULTS === 'all' ? [...table.keys(), 'smooth-grad-cam', 'augmented-grad-cam'] : families;

for (const method of explained) {
  // Those with a decoder run it once more than others run their network.
  if (table.get(method)?.decoder) continue;
  test(`the n-th step on a device fails: ${method}`, async (t) => {
    const on = await device();
    const [graph, shape] = method === 'gae' ? [tokens, [1, 1, 4, 4]] : [graphs.gapLinear, [1, 3, 6, 8]];
    const size = shape.reduce((a, b) => a * b, 1);
    const input = tensor(on, Float32Array.from({ length: size }, seededRandom(5)), shape);
    await deviceFails(t, method, on, async () => {
      const made = randomNetwork(on, graph, 1, method === 'gae' ? 'blocks.1.norm1' : undefined);
      try {
        const explanations = await explain(made, input, { methods: [method], classes: [1] });
        try {
          return await numbers(explanations);
        } finally {
          explanations.forEach(disposeExplanation);
        }
      } finally {
        disposeNetwork(made);
      }
    });
    input.dispose();
  });
}

/** A file of each format; those of Keras are read by a process of their own each time, so that they take long. */
const formats: readonly string[] =
  LIMELIGHT_FAULTS === 'all' ? ['onnx', 'tfjs-layers', 'tfjs-graph', 'h5', 'keras'] : ['onnx', 'tfjs-layers'];
const fileOf = async (format: string) => (await readers[format]!.good()).at(-1)!;

test('the n-th step on a device fails: opening files', async (t) => {
  const on = await device();
  const shipped = readFileSync(catalogEntry('digit-scenes').weights!);
  for (const format of ['safetensors', ...formats]) {
    const file = format === 'safetensors' ? new Uint8Array(shipped) : await fileOf(format);
    await deviceFails(t, format, on, async () => {
      const made = await open(on, file, { parts: format === 'tfjs-graph' ? graphShards : shards });
      try {
        const weights = [...made.parameters.values()];
        return await Promise.all(weights.map(async (weight) => [...(await weight.data())]));
      } finally {
        disposeNetwork(made);
      }
    });
  }
});

const LINES: readonly PictureLine[] = ['a', 'b', 'c'].map((name) => ({ name, error: `${name} is damaged` }));
const HEADER: Header = {
  limelight: 'evaluation',
  shard: { index: 1, count: 1 },
  device: 'none',
  settings: {
    ...{ version: '1', model: 'm', weights: 'w', network: 'n', layer: 'l', signed: false, methods: ['cam'] },
    ...{ metrics: ['confidence'], data: 'd', pictures: 3, names: 's' },
  },
};

/** Measures what is missing in a file of results, and concludes. */
async function evaluate(folder: string): Promise<void> {
  const path = join(folder, 'evaluation.jsonl');
  const writer = await writeResults(path, HEADER, true);
  try {
    const there = readFileSync(path, 'utf8');
    for (const line of LINES) if (!there.includes(JSON.stringify(line))) writer.add(line);
  } finally {
    writer.close();
  }
  const results = openResults([path]);
  try {
    await conclude(results, folder);
  } finally {
    results.close();
  }
}

test('the n-th step in the file system of an evaluation fails, and it goes on where it was', async (t) => {
  const contents = (folder: string) =>
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), 'utf8')]);
  const whole = mkdtempSync(join(tmpdir(), 'limelight-nth-'));
  await evaluate(whole);
  const wrong: string[] = [];
  let n = 1;
  for (; ; n++) {
    const folder = mkdtempSync(join(tmpdir(), 'limelight-nth-'));
    let left = n;
    const fault = (name: string) => {
      if (--left === 0) throw Object.assign(new Error(`no space for ${name}`), { code: 'ENOSPC' });
    };
    const error = await withFaults(FILES, fault, () => evaluate(folder)).catch((error: unknown) => error);
    if (left <= 0 && hasStack(describeError(error))) wrong.push(`step ${n}: ${describeError(error)}`);
    await evaluate(folder);
    if (String(contents(folder)) !== String(contents(whole))) wrong.push(`step ${n}: ${contents(folder)}`);
    rmSync(folder, { recursive: true });
    if (left > 0) break;
  }
  rmSync(whole, { recursive: true });
  t.deepEqual(wrong, [], `each of ${n - 1} steps failed once`);
  t.ok(n > 10, 'some did');
});

test('a disk that takes a part of a line gets the rest', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-nth-'));
  const { writeSync } = fs;
  fs.writeSync = ((fd: number, bytes: Uint8Array, from: number, length: number, at: number) =>
    writeSync(fd, bytes, from, Math.min(length, 7), at)) as typeof writeSync;
  syncBuiltinESMExports();
  try {
    await evaluate(folder);
  } finally {
    fs.writeSync = writeSync;
    syncBuiltinESMExports();
  }
  const text = readFileSync(join(folder, 'evaluation.jsonl'), 'utf8');
  t.equal(text, [HEADER, ...LINES].map((line) => `${JSON.stringify(line)}\n`).join(''));
  rmSync(folder, { recursive: true });
});
