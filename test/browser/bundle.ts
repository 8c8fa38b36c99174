// Bundles for the browser: what the package is as npm would publish it, and what a bundler makes of a page that uses it.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, createLogger, type InlineConfig, type Rolldown } from 'vite';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const modules = join(repository, 'node_modules');

/** All that `npm run build` reads. */
const SOURCES = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'build.ts',
  'limelight.mjs',
  'index.ts',
  'kernels',
  'engine',
  'models',
  'cam',
  'app',
];

/**
 * Builds and packs a copy of the repository and installs it, with its dependencies, as the module `limelight` of a
 * project in `folder`.
 */
export function installPackage(folder: string): void {
  const copy = join(folder, 'repository');
  for (const name of SOURCES) cpSync(join(repository, name), join(copy, name), { recursive: true });
  symlinkSync(modules, join(copy, 'node_modules'));
  const options = {
    cwd: copy,
    encoding: 'utf8',
    stdio: 'pipe',
    env: { ...process.env, npm_config_update_notifier: 'false' },
  } as const;
  execFileSync('npm', ['run', 'build'], options);
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--silent'], options).trim();
  const installed = join(folder, 'node_modules');
  const home = join(installed, 'limelight');
  mkdirSync(home, { recursive: true });
  execFileSync('tar', ['-xf', packed, '-C', home, '--strip-components=1'], options);
  // Symbolic links to all of them, so that one which has no business in a page is found and lands there.
  const { dependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies)) {
    mkdirSync(join(installed, name, '..'), { recursive: true });
    symlinkSync(join(modules, name), join(installed, name));
  }
}

/** What a bundle is made of. */
export interface Bundle {
  /** Where it was written. */
  readonly folder: string;
  /** Paths of the modules that it, or a worker of it, contains. */
  readonly modules: readonly string[];
  /** What it imports and does not contain. */
  readonly outside: readonly string[];
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** What the bundler had to say. */
  readonly warnings: readonly string[];
}

/** Bundles with vite and says what came of it. */
export async function bundle(config: InlineConfig, folder: string): Promise<Bundle> {
  const warnings: string[] = [];
  const inWorkers: string[] = [];
  const collect = {
    name: 'modules-of-workers',
    generateBundle: (_: unknown, output: Rolldown.OutputBundle) => {
      for (const part of Object.values(output)) if (part.type === 'chunk') inWorkers.push(...part.moduleIds);
    },
  };
  const customLogger = createLogger('silent');
  customLogger.warn = (message) => warnings.push(message);
  const { output } = (await build({
    ...config,
    logLevel: 'silent',
    customLogger,
    worker: {
      plugins: () => [collect],
      rolldownOptions: { checks: { bundlerTimings: false } },
    },
    build: {
      outDir: folder,
      emptyOutDir: true,
      // How long it took on a busy machine is no complaint about the bundle.
      rolldownOptions: { checks: { bundlerTimings: false } },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = output.filter((part) => part.type === 'chunk');
  const own = new Set(chunks.map(({ fileName }) => fileName));
  return {
    folder,
    modules: [...chunks.flatMap(({ moduleIds }) => moduleIds), ...inWorkers],
    outside: chunks
      .flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports])
      .filter((name) => !own.has(name)),
    files: output.map((part) => ({
      name: part.fileName,
      bytes: Buffer.byteLength(part.type === 'chunk' ? part.code : part.source),
    })),
    warnings,
  };
}
