// A GPU that is not there: Mesa's driver for AMD with its real compiler, opened by Dawn. What it needs, all of Debian's
// packages: mesa-vulkan-drivers (25 or later), libvulkan1 and libvulkan-dev, and a C compiler.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Dispatch, dispatchesOf, type Occupancy, occupancyOf } from './radv.ts';

/** The GPUs that are compiled for unless others are asked for, by RADV's names of their families. */
export const gpus = { navi21: 'RDNA2', navi31: 'RDNA3' } as const;

/** Where the packages are: installed, or unpacked below the folder that LIMELIGHT_MESA names. */
const root = process.env.LIMELIGHT_MESA ?? '/';
const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
/** Drivers of Mesa: for AMD, and one that computes on the CPU, with more of WebGPU's features than llvmpipe. */
type Driver = 'radeon' | 'lvp';
const libraryOf = (driver: Driver) => join(libraries, `libvulkan_${driver}.so`);

/** What opening a driver lacks, in words; undefined where everything is there. */
export function missingFor(
  driver: Driver,
  others: Readonly<Record<string, string>> = {},
): string | undefined {
  const loader = join(libraries, 'libvulkan.so.1');
  const needed = { 'mesa-vulkan-drivers': libraryOf(driver), libvulkan1: loader, ...others };
  const packages = Object.entries(needed).flatMap(([name, file]) => (existsSync(file) ? [] : [name]));
  if (packages.length === 0) return undefined;
  return `${packages.join(', ')} not in ${root}; install, or unpack below a folder and name it by LIMELIGHT_MESA`;
}

/** The environment in which WebGPU opens a driver and no other; what names it is written to `folder`. */
export async function environmentFor(driver: Driver, folder: string): Promise<Record<string, string>> {
  const manifest = join(folder, 'driver.json');
  const ICD = { library_path: libraryOf(driver), api_version: API_VERSION };
  await writeFile(manifest, JSON.stringify({ file_format_version: '1.0.0', ICD }));
  return {
    LIMELIGHT_DEVICE: 'native',
    LD_LIBRARY_PATH: libraries,
    VK_ICD_FILENAMES: manifest,
    XDG_RUNTIME_DIR: folder,
  };
}

const API_VERSION = '1.3.0';

/** What compiling for GPUs that are not there lacks. */
export function missing(): string | undefined {
  const lack = missingFor('radeon', { 'libvulkan-dev': join(root, 'usr/include/vulkan/vk_layer.h') });
  if (lack !== undefined) return lack;
  return spawnSync('cc', ['--version']).error === undefined ? undefined : 'no C compiler (cc)';
}

export interface Compiled {
  readonly dispatches: readonly Dispatch[];
  readonly occupancy: ReadonlyMap<string, Occupancy>;
}

/** Runs cases of the benchmark, by name, on a GPU that is not there. */
export async function compileFor(gpu: string, cases: readonly string[]): Promise<Compiled> {
  const folder = await mkdtemp(join(tmpdir(), 'limelight-occupancy-'));
  try {
    const layer = join(folder, 'libnull.so');
    const source = fileURLToPath(new URL('./null-layer.c', import.meta.url));
    const arguments_ = [
      '-O1',
      '-w',
      '-shared',
      '-fPIC',
      '-I',
      join(root, 'usr/include'),
      '-o',
      layer,
      source,
    ];
    const { status, stderr } = spawnSync('cc', arguments_, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`null-layer.c does not compile: ${stderr}`);
    const name = 'VK_LAYER_LIMELIGHT_null';
    const about = {
      name,
      type: 'GLOBAL',
      library_path: layer,
      api_version: API_VERSION,
      implementation_version: '1',
    };
    const manifest = { file_format_version: '1.1.2', layer: { ...about, description: 'does nothing' } };
    await writeFile(join(folder, 'null.json'), JSON.stringify(manifest));
    const env = {
      ...process.env,
      ...(await environmentFor('radeon', folder)),
      VK_LAYER_PATH: folder,
      VK_INSTANCE_LAYERS: name,
      MESA_SHADER_CACHE_DISABLE: 'true',
      RADV_FORCE_FAMILY: gpu,
      RADV_DEBUG: 'shaderstats,cs,nocache',
    };
    const child = fileURLToPath(new URL('./compile.node.ts', import.meta.url));
    const flags = ['--conditions=source', '--import', 'tsx', child];
    // To files: drivers write to pipes without waiting, and lose what does not fit.
    const files = ['out', 'log'].map((name) => join(folder, name)) as [string, string];
    const outputs = files.map((file) => openSync(file, 'w'));
    const running = spawn(process.execPath, [...flags, ...cases], { env, stdio: ['ignore', ...outputs] });
    await once(running, 'close');
    for (const output of outputs) closeSync(output);
    const [out, log] = files.map((file) => readFileSync(file, 'utf8')) as [string, string];
    const last = log.trim().split('\n').slice(-8).join('\n');
    if (!log.includes('\n@@done\n'))
      throw new Error(`${gpu}: the driver ended early; its last lines:\n${last}`);
    return { dispatches: dispatchesOf(out), occupancy: occupancyOf(log) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
