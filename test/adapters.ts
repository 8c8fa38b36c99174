// Runs the tests of engine and kernels on other adapters than the usual one, and with other compilers:
//   npm run test:adapters [-- "lavapipe" "deno" ...]
// One after the other, a line for each; what the machine lacks is said. `LIMELIGHT_MESA` is as for `npm run occupancy`.

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentFor, missingFor } from '../bench/occupancy/driver.node.ts';

interface Adapter {
  readonly name: string;
  /** Why it cannot be had; undefined where it can. */
  readonly lack: () => string | undefined;
  readonly environment: (folder: string) => Promise<Record<string, string>>;
  /** What runs TypeScript; Node when left out. */
  readonly runner?: readonly string[];
  readonly tests: readonly string[];
}

const nothing = () => undefined;
const lavapipe = {
  lack: () => missingFor('lvp'),
  environment: (folder: string) => environmentFor('lvp', folder),
};
const asGpu = { LIMELIGHT_TEST_CLASS: 'gpu' };
const everything = ['test/engine', 'test/kernels'];
/** What of it is not about Node's ways to a device. */
const portable = ['operations', 'variants', 'side-by-side', 'exact', 'errors', 'memory', 'precision']
  .map((name) => `test/engine/${name}.test.ts`)
  .concat('test/kernels');

const deno = () =>
  spawnSync('deno', ['--version']).error === undefined ? undefined : 'no deno (npm install --no-save deno)';

const adapters: readonly Adapter[] = [
  {
    name: 'swiftshader',
    lack: nothing,
    environment: async () => ({ LIMELIGHT_DEVICE: 'swiftshader' }),
    tests: everything,
  },
  {
    name: 'gles as a GPU',
    lack: nothing,
    environment: async () => ({ ...asGpu, LIMELIGHT_DEVICE: 'gles' }),
    tests: [...everything, 'test/cam'],
  },
  // Half precision, subgroups.
  { name: 'lavapipe', ...lavapipe, tests: everything },
  {
    name: 'lavapipe as a GPU',
    lack: lavapipe.lack,
    environment: async (folder) => ({ ...asGpu, ...(await lavapipe.environment(folder)) }),
    tests: everything,
  },
  // wgpu with naga, the compiler of Firefox.
  {
    name: 'deno on lavapipe',
    lack: () => deno() ?? lavapipe.lack(),
    environment: async (folder) => {
      const { LIMELIGHT_DEVICE: _, ...rest } = await lavapipe.environment(folder);
      return rest;
    },
    runner: ['deno', 'run', '-A', '--conditions=source'],
    tests: portable,
  },
];

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !adapters.some((adapter) => adapter.name === name));
if (unknown.length > 0) {
  console.error(
    `no adapter is called ${unknown.join(', ')}; they are ${adapters.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}
const node = [process.execPath, '--conditions=source', '--import', 'tsx'];
for (const { name, lack, environment, runner = node, tests } of adapters) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const lacking = lack();
  if (lacking !== undefined) {
    console.log(`${name}: skipped, ${lacking}`);
    continue;
  }
  const folder = await mkdtemp(join(tmpdir(), 'limelight-adapter-'));
  try {
    const [command, ...rest] = [...runner, 'test/run.ts', ...tests] as [string, ...string[]];
    const env = { ...process.env, ...(await environment(folder)) };
    const { status, stdout } = spawnSync(command, rest, {
      env,
      encoding: 'utf8',
      maxBuffer: 2 ** 30,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    for (const failure of stdout.match(/^FAILED .*$/gm) ?? []) console.log(failure);
    console.log(`${name}: ${/^\d+ passed.*$/m.exec(stdout)?.[0] ?? `ended early, exit code ${status}`}`);
    if (status !== 0) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
