// The ways to a WebGPU adapter under Node, best first: a real GPU, Mesa's llvmpipe, SwiftShader.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { brotliDecompressSync } from 'node:zlib';
import { isSoftwareAdapter } from '../../adapter-names.ts';
import type { Asked, Candidate } from '../choose.ts';
import { ArchiveError, messageOf } from '../errors.ts';
import { cacheFolders, isPrivate, keepFiles } from './cache.ts';
import { loadLibrary, withEnvironment } from './libraries.ts';
import { untar } from './untar.ts';

/** Dawn's `create`: flags in, a GPU out. */
export type Create = (flags: string[]) => GPU;

/**
 * One for each list of flags, for as long as the process lives: it keeps two megabytes or more, and one that is collected
 * while one of its devices lives takes the process with it.
 */
const gpus = new Map<string, GPU>();

export function nodeCandidates(create: Create): Candidate[] {
  const open = async (flags: string[], options: GPURequestAdapterOptions) => {
    const key = flags.join();
    const gpu = gpus.get(key) ?? create(flags);
    gpus.set(key, gpu);
    const adapter = await gpu.requestAdapter(options);
    return adapter && { gpu, adapter };
  };
  return [
    {
      kind: 'native',
      selects: true,
      absent: 'no GPU driver that Dawn accepts',
      describe: (name) =>
        isSoftwareAdapter(name)
          ? 'a software driver installed on this system'
          : 'a GPU driver of this system',
      async open(asked) {
        if (process.platform === 'linux') expectVulkan(asked);
        const flags = asked?.which ? [`adapter=${asked.which}`] : [];
        // Without it, drivers that look for a Wayland display print an error that alarms for no reason.
        const variables = { XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? '/nonexistent' };
        return withEnvironment(variables, () => open(flags, { powerPreference: 'high-performance' }));
      },
    },
    {
      kind: 'gles',
      absent: 'no usable OpenGL ES driver',
      describe: (name) => `${/llvmpipe/.test(name) ? 'Mesa llvmpipe' : 'the driver'} through OpenGL ES`,
      async open() {
        onlyOnLinux();
        await provideEgl();
        // There is no display; only the platform without one is sure to start.
        const variables = { EGL_PLATFORM: process.env.EGL_PLATFORM ?? 'surfaceless' };
        return withEnvironment(variables, () =>
          open(['backend=opengles'], { featureLevel: 'compatibility' }),
        );
      },
    },
    {
      kind: 'swiftshader',
      absent: 'no SwiftShader',
      describe: () => 'SwiftShader, a Vulkan driver in software',
      async open() {
        onlyOnLinux();
        const manifest = await provideSwiftShader();
        // The older of the two names is what older Vulkan loaders know. Either hides all other drivers.
        const variables = { VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest };
        return withEnvironment(variables, () => open(['backend=vulkan'], {}));
      },
    },
  ];
}

/** The one thing to do when the candidate asked for, or none at all, could be opened. */
export function remedy(asked?: Asked): string {
  if (!isMainThread)
    return 'open the device on the main thread, or start the worker with { env: SHARE_ENV }: drivers are led by environment variables, which they do not see of a worker';
  if (asked?.which) return 'ask for plain "native", or for one of the names listed above';
  if (process.platform !== 'linux') return 'update the graphics driver of this computer';
  if (asked?.kind === 'native')
    return (
      'apt install libvulkan1 and the driver of your GPU (mesa-vulkan-drivers for those of AMD and Intel; of Debian 12 the ' +
      "one in bookworm-backports, since Dawn refuses its own lavapipe, Mesa's driver in software); " +
      'without a GPU ask for gles or swiftshader, or leave the choice out'
    );
  if (asked?.kind !== 'gles' && process.arch === 'x64' && !swiftShaderPackage()) {
    return 'npm install --include=optional';
  }
  if (asked?.kind === 'swiftshader') {
    return process.arch === 'x64'
      ? 'set XDG_CACHE_HOME to a folder that belongs to you and may hold programs'
      : 'apt install chromium';
  }
  return 'apt install libegl1 libgl1-mesa-dri';
}

function onlyOnLinux(): void {
  if (process.platform !== 'linux') throw new Error('available on Linux only');
}

/**
 * Throws when Dawn is sure to find no Vulkan driver: asking it all the same would print warnings about
 * libvulkan.so.1 or VK_ERROR_INCOMPATIBLE_DRIVER that alarm for no reason.
 */
function expectVulkan(asked?: Asked): void {
  try {
    loadLibrary('libvulkan.so.1');
  } catch (error) {
    throw new Error(`the Vulkan loader cannot be loaded (${messageOf(error)})`);
  }
  // The loader's own search has more cases than this; so the word of the user, a variable of the loader or
  // anything in /dev that may be a GPU are each enough to let it search.
  const told = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'VK_ADD_DRIVER_FILES'].some(
    (name) => process.env[name],
  );
  if (asked || told || hasGpuNode() || hasDriverManifest()) return;
  throw new Error('no Vulkan driver is installed, and /dev shows no GPU');
}

function hasGpuNode(): boolean {
  const nodes = ['dri', 'dxg', 'kfd', 'kgsl-3d0', 'mali0', 'nvhost-ctrl', 'nvidia0', 'nvidiactl', 'nvmap'];
  return nodes.some((node) => existsSync(join('/dev', node)));
}

function hasDriverManifest(): boolean {
  const {
    HOME = '/',
    XDG_DATA_HOME = join(HOME, '.local/share'),
    XDG_DATA_DIRS = '/usr/share',
  } = process.env;
  const usual = [
    '/etc',
    '/etc/xdg',
    '/usr/local/etc',
    '/usr/local/share',
    '/usr/share',
    '/run/opengl-driver/share',
  ];
  return [...usual, XDG_DATA_HOME, ...XDG_DATA_DIRS.split(delimiter)].some((root) =>
    existsSync(join(root, 'vulkan/icd.d')),
  );
}

/** Sees to it that Dawn can load `libEGL.so`, a name that only development packages install. */
async function provideEgl(): Promise<void> {
  try {
    loadLibrary('libEGL.so');
    return;
  } catch {
    // Most machines come here: they have libEGL.so.1, which Dawn does not look for.
  }
  try {
    loadLibrary('libEGL.so.1');
  } catch (error) {
    throw new Error(`EGL cannot be loaded (${messageOf(error)})`);
  }
  const original = readFileSync(loadedFrom('libEGL.so.1'));
  const folder = await keepFiles(folders(), `egl-${digest(original)}`, ['libEGL.so'], () => {
    const copy = Buffer.from(original);
    const at = copy.indexOf('libEGL.so.1\0', 0, 'latin1');
    if (at < 0)
      throw new Error('libEGL.so.1 does not carry its own name, so it cannot be passed for libEGL.so');
    copy.write('libEGL.so\0\0', at, 'latin1');
    return new Map([['libEGL.so', copy]]);
  });
  loadLibrary(join(folder, 'libEGL.so'));
}

/** The file that a library which is loaded already came from. */
function loadedFrom(library: string): string {
  const maps = readFileSync('/proc/self/maps', 'utf8');
  const path = maps
    .split('\n')
    .map((line) => line.slice(line.indexOf('/')))
    .find((file) => file.includes(`/${library}`));
  if (!path) throw new Error(`${library} is loaded, but /proc/self/maps does not say from where`);
  return path;
}

/** The path of SwiftShader's Vulkan manifest, with a Vulkan loader in the process to read it. */
async function provideSwiftShader(): Promise<string> {
  const folder = await swiftShaderFolder();
  // Loading the driver here already gives the reason when it cannot be, such as a folder mounted noexec.
  loadLibrary(join(folder, 'libvk_swiftshader.so'));
  try {
    loadLibrary('libvulkan.so.1');
  } catch {
    loadLibrary(join(folder, 'libvulkan.so.1'));
  }
  return join(folder, MANIFEST);
}

const MANIFEST = 'vk_swiftshader_icd.json';
const SWIFTSHADER_FILES = ['libvk_swiftshader.so', 'libvulkan.so.1', MANIFEST];
/** Several times what the files take; more would be a damaged archive. */
const MAX_UNPACKED_BYTES = 128 * 2 ** 20;
/** Debian's chromium carries the same files. */
const DEBIAN_CHROMIUM = '/usr/lib/chromium';

async function swiftShaderFolder(): Promise<string> {
  const packed = process.arch === 'x64' && swiftShaderPackage();
  if (!packed) {
    if (await isInstalled(DEBIAN_CHROMIUM)) return DEBIAN_CHROMIUM;
    throw new Error(
      process.arch === 'x64'
        ? 'neither the optional package @sparticuz/chromium nor the chromium of Debian is installed'
        : `the optional package @sparticuz/chromium has no ${process.arch} driver; Debian's chromium is not installed`,
    );
  }
  const compressed = readFileSync(packed);
  return keepFiles(folders(), `swiftshader-${digest(compressed)}`, SWIFTSHADER_FILES, () => {
    try {
      const archive = brotliDecompressSync(compressed, { maxOutputLength: MAX_UNPACKED_BYTES });
      return untar(archive, SWIFTSHADER_FILES);
    } catch (error) {
      throw new ArchiveError(
        `${packed} is damaged (${messageOf(error)}); delete node_modules and install again`,
        {
          cause: error,
        },
      );
    }
  });
}

/** Whether SwiftShader's files lie in a folder, where none but the system's user can have put them. */
async function isInstalled(folder: string): Promise<boolean> {
  const paths = SWIFTSHADER_FILES.map((name) => join(folder, name));
  if (!paths.every((path) => existsSync(path))) return false;
  return (await Promise.all(paths.map(isPrivate))).every(Boolean);
}

/** The archive with SwiftShader inside the optional package; not resolved as a module, which would run it. */
function swiftShaderPackage(): string | undefined {
  const roots = createRequire(import.meta.url).resolve.paths('@sparticuz/chromium') ?? [];
  return roots
    .map((root) => join(root, '@sparticuz/chromium/bin/swiftshader.tar.br'))
    .find((path) => existsSync(path));
}

const folders = () => cacheFolders(process.env, tmpdir(), process.getuid!());
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);
