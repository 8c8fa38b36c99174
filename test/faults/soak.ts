// The soak: mixed networks, methods, sizes and devices for an hour, every other turn with a failure injected. Every
// failure must be told by a typed error and leave the device's live bytes and the files as they were; memory, handles,
// threads, children and files must stay flat.
//
//   npm run soak -- --minutes 60 --out bench/results/soak.json
//
// Each sample is taken with all devices closed and garbage collected, so that samples are alike. LIMELIGHT_ASSETS adds
// the real networks, Keras's .h5, which a process of its own reads, among them.
//
// glibc keeps what is freed between blocks that stay, which compilers of kernels leave much of. Before each sample it is made
// to give all that back (in-use.c, which takes a C compiler), so that what still rises has not been freed.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeWhole } from '../../app/image/write.node.ts';
import { decodeImage, overlay } from '../../app/pictures.node.ts';
import { environment } from '../../bench/environment.node.ts';
import { disposeExplanation, explain, methods, NotFiniteError } from '../../cam/index.ts';
import {
  closeDevice,
  type Device,
  KernelError,
  LimelightError,
  openDevice,
  tensor,
} from '../../engine/index.ts';
import { catalog } from '../../models/catalog.ts';
import { partsIn } from '../../models/formats/folder.node.ts';
import { disposeNetwork, type ModelSource, type Network, open, preprocess } from '../../models/index.ts';
import { shipped } from '../app/limelight.ts';
import { graphs, randomNetwork } from '../cam/networks.ts';
import { mutated } from '../models/mutations.ts';
import { seededRandom } from '../reference/index.ts';
import { withFaults } from './inject.ts';
import { pause } from './processes.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: 'limelight-out/soak.json' },
  },
});
const minutes = Number(options.minutes);
const next = seededRandom(Number(options.seed));
const below = (n: number) => Math.floor(next() * n);
const oneOf = <T>(list: readonly T[]): T => list[below(list.length)]!;

const SAMPLES = 60;
/** Megabytes that a closed device may keep, as opens.test.ts has it. */
const PER_DEVICE = 0.2;
const COMBINATIONS = 30;
/** Take minutes on software. */
const SLOW = ['rise', 'shapley', 'recipro-cam', 'token-occlusion', 'grad-cam++-true'];
/** An explanation that takes longer is given up; software takes minutes for some. */
const PATIENCE_MS = 10_000;
class GivenUp extends LimelightError {}
/** Turns that a device is open for at most. */
const MOST_TURNS = 40;

// What is explained.

type Opener = (device: Device, damage: (bytes: Uint8Array) => Uint8Array) => Promise<Network>;

const fromBytes =
  (path: string): Opener =>
  (device, damage) => {
    const bytes = damage(readFileSync(path));
    const file: ModelSource = {
      name: basename(path),
      arrayBuffer: async () => Uint8Array.from(bytes).buffer,
    };
    return open(device, file, { parts: partsIn(join(path, '..')) });
  };
const { LIMELIGHT_ASSETS } = process.env;
const assets = [
  'resnet20_cifar10.onnx',
  'resnet20_cifar10.safetensors',
  'resnet8_cifar10.keras.h5',
  'resnet8_cifar10.tfjs/model.json',
  'mobilenet_v1_0.25_224_keras.onnx',
].map((name) => join(LIMELIGHT_ASSETS ?? '', 'models', name));
const files = [
  ...[...catalog.values()].flatMap(({ weights }) => (weights ? [fileURLToPath(weights)] : [])),
  ...(LIMELIGHT_ASSETS ? assets : []),
];
const fromFiles = files.map((path) => [basename(path), fromBytes(path)] as const);
/** Fits only one size. */
const { dense: _, ...ofAnySize } = graphs;
const networks = new Map<string, Opener>([
  ...fromFiles,
  ...[...catalog.values()].flatMap(({ name, weights }) =>
    weights ? [[name, (device: Device) => open(device, name)] as const] : [],
  ),
  ...Object.entries(ofAnySize).map(
    ([name, graph]) => [name, async (device: Device) => randomNetwork(device, graph, below(100))] as const,
  ),
]);
const pictures = readdirSync(shipped('images'))
  .filter((name) => name.endsWith('.png'))
  .map((name) => shipped(`images/${name}`));

// What fails.

interface Turn {
  readonly device: Device;
  readonly work: (patience?: number) => Promise<void>;
}

/** A getter in the place of a value, which answers otherwise once, the n-th time that it is asked. */
async function onceOtherwise<T extends object>(
  of: T,
  name: keyof T,
  otherwise: unknown,
  use: () => Promise<void>,
) {
  const value = of[name];
  let left = 1 + below(300);
  Object.defineProperty(of, name, {
    configurable: true,
    get: () => (--left === 0 ? otherwise : value),
    set() {},
  });
  try {
    await use();
  } finally {
    Object.defineProperty(of, name, { configurable: true, writable: true, value });
  }
}

const failures = {
  'an allocation': ({ device, work }: Turn) => onceOtherwise(device.memory, 'budget', 0, work),
  'a launch, write or read': ({ device, work }: Turn) =>
    onceOtherwise(device.commands!, 'failure', new KernelError('a fault'), work),
  'a step in the file system': ({ work }: Turn) => {
    let left = 1 + below(20);
    const fault = () => {
      if (--left === 0) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    };
    return withFaults(/^(open|writeFile|rename|sync|mkdir)$/, fault, work);
  },
  'the caller gives up': ({ work }: Turn) => work(below(300)),
  'the device is closed': async ({ device, work }: Turn) => {
    const later = setTimeout(() => closeDevice(device), below(300));
    await work().finally(() => clearTimeout(later));
  },
  'the file is damaged': ({ work }: Turn) => work(),
  'the input is not finite': ({ work }: Turn) => work(),
};
type Failure = keyof typeof failures;
const kinds = Object.keys(failures) as Failure[];

// A turn.

const counts = { turns: 0, explanations: 0, opens: 0, failed: 0 };
const tallies: Record<string, Record<string, number>> = {};
function tally(what: string, key: string): void {
  tallies[what] ??= {};
  tallies[what][key] = (tallies[what][key] ?? 0) + 1;
}
const wrong: string[] = [];
let slowest = { seconds: 0, turn: '' };
const folder = mkdtempSync(join(tmpdir(), 'limelight-soak-'));
const library = join(folder, '0.node');
const compiled = spawnSync('cc', [
  '-shared',
  '-fPIC',
  '-o',
  library,
  fileURLToPath(new URL('in-use.c', import.meta.url)),
]);
if (compiled.status !== 0) throw new Error(`cc: ${compiled.error?.message ?? compiled.stderr}`);

const routes = ['gles', 'swiftshader'];
const devices = new Map<string, { device: Device; turns: number }>();

async function deviceOf(route: string): Promise<Device> {
  const known = devices.get(route);
  if (known && --known.turns > 0 && !known.device.commands!.closed) return known.device;
  if (known) closeDevice(known.device);
  const device = await openDevice({ adapter: route });
  counts.opens++;
  devices.set(route, { device, turns: 1 + below(MOST_TURNS) });
  return device;
}

/** What turns are drawn from: few enough that all have been compiled when the second half of the samples begins. */
const combinations = Array.from({ length: COMBINATIONS }, () => ({
  route: oneOf(routes),
  network: oneOf([...networks]),
  file: oneOf(fromFiles),
  method: oneOf([...methods.keys()].filter((name) => !SLOW.includes(name))),
  size: oneOf([32, 64, 96]),
}));

async function turn(): Promise<void> {
  const { route, network, file, method, size } = oneOf(combinations);
  const device = await deviceOf(route);
  const failure = next() < 0.5 ? oneOf(kinds) : undefined;
  const [name, opener] = failure === 'the file is damaged' ? file : network;
  const chosen = ['grad-cam', method];
  const label = `${route}, ${name}, ${chosen.join(' and ')} at ${size}${failure ? `; ${failure} fails` : ''}`;
  tally('devices', route);
  tally('networks', name);
  for (const method of chosen) tally('methods', method);
  if (failure) tally('failures injected', failure);
  const atFirst = device.memory.liveBytes;
  const began = performance.now();

  async function work(patience = PATIENCE_MS): Promise<void> {
    const damage = (bytes: Uint8Array) => (failure === 'the file is damaged' ? mutated(bytes, next) : bytes);
    const network = await opener(device, damage);
    const { channels, size: fixed } = network.preprocessing;
    try {
      const path = oneOf(pictures);
      const picture = await decodeImage(readFileSync(path), path);
      const resized = {
        ...network,
        preprocessing: { ...network.preprocessing, size: fixed ?? [size, size] },
      };
      const input =
        failure === 'the input is not finite'
          ? tensor(device, new Float32Array(channels * size * size).fill(Number.NaN), [
              1,
              channels,
              size,
              size,
            ])
          : preprocess(resized as Network, picture);
      const controller = new AbortController();
      const later = setTimeout(() => controller.abort(new GivenUp('out of time')), patience);
      try {
        const made = await explain(network, input, { methods: chosen, signal: controller.signal });
        counts.explanations += made.length;
        try {
          const drawn = await overlay(resized as Network, picture, oneOf(made));
          await writeWhole(join(folder, `${below(10)}.png`), drawn);
        } finally {
          made.forEach(disposeExplanation);
        }
      } finally {
        clearTimeout(later);
        input.dispose();
      }
    } finally {
      disposeNetwork(network);
    }
  }

  try {
    await (failure ? failures[failure]({ device, work }) : work());
    tally('outcomes', 'explained');
  } catch (error) {
    counts.failed++;
    const { name: type, message } = error as Error;
    tally('outcomes', type);
    if (!(error instanceof LimelightError)) wrong.push(`${label}: ${(error as Error).stack}`);
    // A method that does not apply to a network says so; that a number is not finite is said of such input alone.
    if (error instanceof NotFiniteError && failure === undefined) wrong.push(`${label}: ${message}`);
  }
  const seconds = Math.round((performance.now() - began) / 1000);
  if (seconds > slowest.seconds) slowest = { seconds, turn: label };
  const live = device.memory.liveBytes;
  if (live !== atFirst && !device.commands!.closed)
    wrong.push(`${label}: ${atFirst} live bytes before, ${live} after`);
  const strange = readdirSync(folder).filter((file) => !/^\d\.(png|node)$/.test(file));
  if (strange.length > 0) wrong.push(`${label}: left ${strange.join(', ')}`);
}

// What must stay flat.

interface Sample {
  readonly minute: number;
  /** Explained so far. */
  readonly turns: number;
  /** Devices opened so far. */
  readonly opens: number;
  /** Megabytes: what the process has, and what of it malloc has given out. */
  readonly resident: number;
  readonly inUse: number;
  readonly heap: number;
  readonly external: number;
  readonly handles: number;
  readonly threads: number;
  readonly children: number;
  readonly files: number;
}

const started = performance.now();
const minutesPassed = () => (performance.now() - started) / 60_000;
const megabytes = (bytes: number) => Number((bytes / 2 ** 20).toFixed(1));

/** Has glibc give back what was freed; the bytes that are in use. */
function bytesInUse(): number {
  const module = { exports: Number.NaN };
  process.dlopen(module, library);
  return module.exports;
}

async function sample(): Promise<Sample> {
  for (const { device } of devices.values()) closeDevice(device);
  devices.clear();
  for (let i = 0; i < 5; i++) {
    globalThis.gc!();
    await pause(50);
  }
  const inUse = megabytes(bytesInUse());
  const { rss, heapUsed, external } = process.memoryUsage();
  const tasks = readdirSync('/proc/self/task');
  const children = tasks.flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return {
    minute: Number(minutesPassed().toFixed(1)),
    turns: counts.turns,
    opens: counts.opens,
    resident: megabytes(rss),
    inUse,
    heap: megabytes(heapUsed),
    external: megabytes(external),
    handles: readdirSync('/proc/self/fd').length,
    threads: tasks.length,
    children: children.length,
    files: readdirSync(tmpdir()).filter((name) => /limelight/.test(name)).length,
  };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/**
 * By how much `name` rises over the second half of the samples: by the median of the slopes between any two of them (Theil
 * 1950, Sen 1968), so that a device which was not collected in time for a sample counts for nothing.
 */
function rise(half: readonly Sample[], name: keyof Sample): number {
  const slopes = half.flatMap((one, i) =>
    half
      .slice(i + 1)
      .flatMap((other) =>
        other.minute > one.minute ? [(other[name] - one[name]) / (other.minute - one.minute)] : [],
      ),
  );
  return median(slopes) * (half.at(-1)!.minute - half[0]!.minute);
}

/** What rises over the second half, and by how much it may. */
function rises(samples: readonly Sample[]): Record<string, { readonly rise: number; readonly may: number }> {
  const half = samples.slice(samples.length >> 1);
  const of = (name: keyof Sample) => mean(half.map((one) => one[name]));
  const may: Partial<Record<keyof Sample, number>> = {
    resident: PER_DEVICE * (half.at(-1)!.opens - half[0]!.opens) + 0.02 * of('resident'),
    inUse: 0.02 * of('inUse'),
    heap: 0.05 * of('heap'),
    external: 0.05 * of('external'),
    handles: 0.5,
    threads: 0.5,
    children: 0.5,
  };
  const rounded = (value: number) => Number(value.toFixed(2));
  return Object.fromEntries(
    Object.entries(may).map(([name, most]) => [
      name,
      { rise: rounded(rise(half, name as keyof Sample)), may: rounded(most) },
    ]),
  );
}

const samples: Sample[] = [];
const { name: adapter, kind } = await deviceOf('gles');
const about = environment(
  [{ name: 'limelight', adapter: `${adapter} (${kind}), and SwiftShader`, version: '' }],
  {
    load: 0,
    rounds: 0,
    seconds: 60 * minutes,
  },
);
function report(): string[] {
  const rising = samples.length >= 8 ? rises(samples) : {};
  const grown = Object.entries(rising).flatMap(([name, { rise, may }]) =>
    rise > may ? [`${name} rises by ${rise} over the second half; ${may} is allowed`] : [],
  );
  const { date, commit, cpu, cores, platform } = about;
  const result = {
    environment: { date, commit, adapter: about.adapter, cpu, cores, platform },
    minutes: Number(minutesPassed().toFixed(1)),
    seed: Number(options.seed),
    ...counts,
    slowest,
    wrong,
    rising,
    grown,
    ...tallies,
    samples,
  };
  writeFileSync(options.out, `${JSON.stringify(result, null, 1)}\n`);
  return [...wrong, ...grown];
}

while (minutesPassed() < minutes) {
  await turn();
  counts.turns++;
  if (minutesPassed() < ((samples.length + 1) * minutes) / SAMPLES) continue;
  samples.push(await sample());
  report();
  const { minute, turns, resident, handles, threads } = samples.at(-1)!;
  console.error(
    `${minute} min, ${turns} turns, ${resident} MB, ${handles} handles, ${threads} threads, ${wrong.length} wrong`,
  );
}
const found = report();
rmSync(folder, { recursive: true });
for (const one of found) console.error(`WRONG ${one}`);
console.error(`${counts.turns} turns, ${counts.failed} failed, ${found.length} wrongs`);
process.exit(found.length > 0 ? 1 : 0);
