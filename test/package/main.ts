// The package as strangers get it: packed, installed from the registry with its dependencies but not the optional ones,
// and used from every kind of project. `npm run test:package`; it needs the npm registry, and says so where there is none.

import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'puppeteer-core';
import { findChromium, withChromium } from '../browser/chromium.ts';
import { withServer } from '../browser/serve.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'limelight-package-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const at = (...path: readonly string[]) => join(folder, ...path);
const home = at('node_modules/limelight');
const tool = (name: string) => at('node_modules/.bin', name);

const write = (path: string, text: string): void => {
  mkdirSync(join(at(path), '..'), { recursive: true });
  writeFileSync(at(path), text);
};

function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): SpawnSyncReturns<string> {
  const options = { cwd: folder, encoding: 'utf8', env: { ...process.env, ...env } } as const;
  return spawnSync(program, args, options);
}

function must(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = run(program, args);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error ?? ''}\n${stdout}\n${stderr}`);
  return stdout;
}

// --- The project: the tarball with what it depends on, and the tools of other projects.

const TOOLS = [
  '@arethetypeswrong/cli',
  '@rollup/plugin-commonjs',
  '@rollup/plugin-node-resolve',
  '@webgpu/types',
  'bun',
  'deno',
  'esbuild',
  'next',
  'publint',
  'react',
  'react-dom',
  'rollup',
  'typescript@5.6',
  'typescript-newest@npm:typescript@latest',
  'vite',
  'webpack',
];
const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
  cwd: repository,
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .at(-1)!;
write('package.json', '{ "private": true, "type": "module" }');
const npm = ['install', '--no-audit', '--no-fund', '--no-update-notifier'];
const installed = run('npm', [...npm, '--omit=optional', `./${packed}`]);
if (installed.status !== 0) {
  console.log(`skipped: the package's dependencies cannot be installed here\n${installed.stderr}`);
  process.exit(0);
}

// --- What is looked at. Each check throws what is wrong; a text that it gives is a figure to be told.

type Check = () => string | undefined | Promise<string | undefined>;
const checks: [title: string, check: Check][] = [];
const check = (title: string, body: Check) => checks.push([title, body]);

function equal(found: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: found ${a}, expected ${b}`);
}

interface Answer {
  readonly className: string;
  readonly map: readonly number[];
  readonly kind: string;
}

/** A program for all: a shipped network by name, a map of numbers out. */
const program = (from: string) => `
import { explain, open, openDevice, preprocess } from '${from}';
export async function answer() {
  const device = await openDevice();
  const network = await open(device, 'digit-scenes');
  const rgb = Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (i * 2654435761) >>> 24);
  const input = preprocess(network, { width: 64, height: 64, rgb });
  const [found] = await explain(network, input, { methods: ['grad-cam'], classes: ['7'] });
  return { className: found.className, map: [...await found.map.data()], kind: device.kind };
}
`;
write('program.mjs', program('limelight'));

let expected: Answer | undefined;
/** The first answer is Node's; the numbers of the others agree with it to roundings of float32. */
function compare(found: Answer): string {
  expected ??= found;
  equal(found.className, expected.className, 'the class');
  const largest = Math.max(...expected.map.map(Math.abs));
  const error = Math.max(...expected.map.map((value, i) => Math.abs(value - found.map[i]!))) / largest;
  if (!(largest > 0) || !(error < 1e-5) || found.map.length !== expected.map.length)
    throw new Error(`the map is off by ${error} of its largest value, ${largest}`);
  return `on ${found.kind}`;
}

check('a module of Node imports it', () => {
  write(
    'node.mjs',
    "import { answer } from './program.mjs';\nconsole.log(JSON.stringify(await answer()));\nprocess.exit();",
  );
  return compare(JSON.parse(must('node', 'node.mjs')));
});

check('a script of Node requires it', () => {
  write(
    'node.cjs',
    program('limelight')
      .replace(/import (\{.*\}) from '(.*)'/, "const $1 = require('$2')")
      .replace('export ', '') +
      '\nanswer().then((found) => { console.log(JSON.stringify(found)); process.exit(); });',
  );
  return compare(JSON.parse(must('node', 'node.cjs')));
});

check('without optional packages the command line works, and says what drawing needs', () => {
  equal(readdirSync(at('node_modules/@resvg')), ['resvg-js'], 'no binary of resvg is installed');
  const picture = join(home, 'dist/models/images/scene-1.png');
  const predicted = JSON.parse(must(tool('limelight'), 'predict', picture, '--json', '--top', '1'));
  equal(predicted.predictions[0].class, 2, 'the class');
  const { status, stderr } = run(tool('limelight'), ['explain', picture, '--method', 'grad-cam']);
  equal(status, 1, 'the exit code');
  if (!/cannot be drawn: .*npm install --include=optional/.test(stderr) || /^ {4}at /m.test(stderr))
    throw new Error(stderr);
  return undefined;
});

check('the tarball has cards and licences, and no training', () => {
  const files = must('tar', '-tzf', packed).split('\n');
  for (const name of [
    'LICENSE',
    'README.md',
    'dist/models/shipped/cifar10-gap.md',
    'dist/models/images/README.md',
  ])
    if (!files.includes(`package/${name}`)) throw new Error(`${name} is missing`);
  equal(
    files.filter((name) => /train\.node|recipes|\.wgsl$|\.test\./.test(name)),
    [],
    'files that nobody needs',
  );
  const { size } = statSync(at(packed));
  return `${(size / 1e6).toFixed(1)} MB packed`;
});

/** Why what follows cannot be tried, where it cannot. */
let untried: string | undefined;
check('the tools of other projects are installed', () => {
  const { status, stderr } = run('npm', [...npm, '--no-save', ...TOOLS]);
  if (status !== 0) untried = stderr;
  return status === 0 ? undefined : 'they cannot be had here';
});

check('publint has no complaint', () => {
  must(tool('publint'), '--strict', home);
  return undefined;
});

check('the types are not wrong', () => {
  must(tool('attw'), '--profile', 'esm-only', packed);
  return undefined;
});

write(
  'typed/typed.ts',
  `import { type Explanation, explain, open, openDevice, preprocess } from 'limelight';
import type { Tensor } from 'limelight/engine';
import { readNpy } from 'limelight/models';
export async function explained(bytes: Uint8Array): Promise<readonly Explanation[]> {
  const network = await open(await openDevice(), bytes, { classes: ['a', 'b'] });
  const input: Tensor = preprocess(network, { width: 1, height: 1, rgb: new Uint8Array(3) });
  return explain(network, input, { methods: ['grad-cam'] });
}
export const shape: readonly number[] = readNpy(new Uint8Array(), 'x.npy').shape;
`,
);
/** Where declarations are read, and by which compilers: the newest has WebGPU among a browser's types. */
const surroundings: readonly {
  title: string;
  compilers: readonly string[];
  lib: readonly string[];
  types?: readonly string[];
}[] = [
  { title: 'nothing but the language', compilers: ['typescript', 'typescript-newest'], lib: ['ES2022'] },
  { title: 'a browser', compilers: ['typescript', 'typescript-newest'], lib: ['ES2022', 'DOM'] },
  {
    title: 'a browser with WebGPU',
    compilers: ['typescript'],
    lib: ['ES2022', 'DOM'],
    types: ['@webgpu/types'],
  },
];
for (const { title, compilers, lib, types = [] } of surroundings) {
  check(`TypeScript checks every declaration in ${title}`, () => {
    const compilerOptions = {
      noEmit: true,
      strict: true,
      module: 'nodenext',
      target: 'es2022',
      skipLibCheck: false,
      lib,
      types,
    };
    write('typed/tsconfig.json', JSON.stringify({ compilerOptions, files: ['typed.ts'] }));
    const versions = compilers.map((compiler) => {
      const tsc = at('node_modules', compiler, 'bin/tsc');
      must('node', tsc, '-p', 'typed');
      return must('node', tsc, '--version').trim();
    });
    return versions.join(', ');
  });
}

// --- Bundlers: a page, and a program that wants one function.

type Bundle = (entry: string, out: string) => void;
const bundlers: Readonly<Record<string, Bundle>> = {
  esbuild(entry, out) {
    const options = ['--bundle', '--minify', '--format=esm', '--platform=browser', '--log-level=error'];
    must(tool('esbuild'), entry, ...options, `--outdir=${out}`);
  },
  rollup(entry, out) {
    write(
      'rollup.config.mjs',
      `import resolve from '@rollup/plugin-node-resolve';
import commonjs from '@rollup/plugin-commonjs';
export default { input: '${entry}', plugins: [resolve({ browser: true }), commonjs()], output: { dir: '${out}', compact: true } };`,
    );
    must(tool('rollup'), '-c', 'rollup.config.mjs', '--silent');
  },
  vite(entry, out) {
    write(
      'vite.config.mjs',
      `export default { logLevel: 'error', build: { outDir: '${out}', emptyOutDir: true, rollupOptions: { input: '${entry}', preserveEntrySignatures: 'strict', output: { entryFileNames: '[name].js' } } } };`,
    );
    must(tool('vite'), 'build', '--base', './');
  },
  webpack(entry, out) {
    write(
      'webpack.mjs',
      `import webpack from 'webpack';
const output = { path: ${JSON.stringify(at(out))}, filename: '[name].js', library: { type: 'module' } };
webpack({ mode: 'production', entry: { ${entry.replace('.mjs', '')}: './${entry}' }, output, experiments: { outputModule: true } }, (error, stats) => {
  if (error ?? stats.hasErrors()) { console.error(error ?? stats.toString('errors-only')); process.exit(1); }
});`,
    );
    must('node', 'webpack.mjs');
  },
};
write('one.mjs', "export { writeNpy } from 'limelight';\n");

/** How large what bundlers make of it is, in bytes of JavaScript: a page that explains, and one function alone. */
const sizes: { bundler: string; page: number; one: number }[] = [];
const folderSize = (path: string, kind = '') =>
  readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(kind))
    .map((name) => statSync(join(path, name)))
    .reduce((sum, { size }) => sum + size, 0);
const size = (out: string) => folderSize(at(out), '.js');

/** Opens a page that puts its answer where everybody finds it. */
async function answered(browser: Browser, url: string): Promise<string> {
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('response', (response) => {
    if (response.status() >= 400 && !response.url().endsWith('favicon.ico'))
      problems.push(`${response.status()} ${response.url()}`);
  });
  await page.goto(url);
  await page.waitForFunction('globalThis.answered !== undefined || globalThis.failed !== undefined');
  const [found, failed] = (await page.evaluate('[globalThis.answered, globalThis.failed]')) as [
    Answer,
    string,
  ];
  await page.close();
  if (failed || problems.length > 0) throw new Error([failed, ...problems].join('\n'));
  return compare(found);
}

/** Opens a page of the project. */
async function inPage(browser: Browser, path: string): Promise<string> {
  let said = '';
  await withServer(folder, async (origin) => {
    said = await answered(browser, `${origin}/${path}`);
  });
  return said;
}

const page = (
  head: string,
  module: string,
) => `<!doctype html><meta charset="utf-8"><title>page</title>${head}
<script type="module">
import { answer } from '${module}';
answer().then((found) => { globalThis.answered = found; }, (error) => { globalThis.failed = String(error.stack); });
</script>`;

function browserChecks(browser: Browser): void {
  for (const [name, bundle] of Object.entries(bundlers)) {
    check(`${name} bundles a page`, async () => {
      const out = `out-${name}`;
      bundle('program.mjs', out);
      // These leave to their user what modules name by URL.
      if (name === 'esbuild' || name === 'rollup')
        cpSync(join(home, 'dist/models/shipped'), at(out, 'shipped'), { recursive: true });
      write(`${name}.html`, page('', `./${out}/program.js`));
      const said = await inPage(browser, `${name}.html`);
      bundle('one.mjs', `one-${name}`);
      const bytes = size(`one-${name}`);
      if (bytes > 4_000) throw new Error(`writeNpy alone takes ${bytes} bytes`);
      sizes.push({ bundler: name, page: size(out), one: bytes });
      return said;
    });
  }
  check('a page without a bundler takes it by an import map', () => {
    const map = { imports: { limelight: '/node_modules/limelight/dist/browser/index.js' } };
    write('map.html', page(`<script type="importmap">${JSON.stringify(map)}</script>`, './program.mjs'));
    return inPage(browser, 'map.html');
  });
  check('a page of Next takes it', () => withNext((origin) => answered(browser, origin)));
  check('a web worker takes it', () => {
    write(
      'worker.mjs',
      `${program('/node_modules/limelight/dist/browser/index.js')}\nanswer().then((found) => postMessage({ found }), (error) => postMessage({ error: String(error.stack) }));`,
    );
    cpSync(new URL('./ask.mjs', import.meta.url), at('ask.mjs'));
    write('worker.html', page('', './ask.mjs'));
    return inPage(browser, 'worker.html');
  });
}

const nextFiles: Readonly<Record<string, string>> = {
  'next.config.mjs': "export default { serverExternalPackages: ['limelight'] };",
  'app/layout.jsx': 'export default ({ children }) => <html lang="en"><body>{children}</body></html>;',
  'app/page.jsx': `'use client';
import { useEffect } from 'react';
import { answer } from '../program.mjs';
export default function Page() {
  useEffect(() => {
    answer().then((found) => { globalThis.answered = found; }, (error) => { globalThis.failed = String(error.stack); });
  }, []);
  return <p>page</p>;
}`,
  'app/answer/route.js': `import { answer } from '../../program.mjs';
export const dynamic = 'force-dynamic';
export const GET = async () => Response.json(await answer());`,
};

/** Serves what Next has built, as long as `body` wants it. */
async function withNext<T>(body: (origin: string) => Promise<T>): Promise<T> {
  const server = spawn(tool('next'), ['start', '--port', '0'], { cwd: folder, stdio: 'pipe' });
  try {
    let said = '';
    for await (const text of server.stdout) {
      said += text;
      const [, port] = /Local:.*:(\d+)/.exec(said) ?? [];
      if (port) return await body(`http://localhost:${port}`);
    }
    throw new Error(`the server ended: ${said}`);
  } finally {
    server.kill();
  }
}

check('a server of Next takes it', () => {
  for (const [path, text] of Object.entries(nextFiles)) write(path, text);
  must(tool('next'), 'build');
  return withNext(async (origin) => compare(await (await fetch(`${origin}/answer`)).json()));
});

check('Bun runs it', () => {
  must('node', at('node_modules/bun/install.js'));
  // Bun keeps what a program sets of its environment from native code: what a driver reads is set before.
  const { status, stdout, stderr } = run(tool('bun'), ['node.mjs'], { EGL_PLATFORM: 'surfaceless' });
  if (status !== 0) throw new Error(stderr.slice(0, 2000));
  return compare(JSON.parse(stdout));
});

/** Where Debian's chromium has SwiftShader, a Vulkan driver: Deno's own WebGPU has no other way to it. */
const drivers = '/usr/lib/chromium';

check('Deno runs it on its own WebGPU', () => {
  write(
    'deno.mjs',
    "import { answer } from './program.mjs';\nif (Deno.args[0]) console.log(JSON.stringify(await answer()));\nDeno.exit();",
  );
  const manifest = join(drivers, 'vk_swiftshader_icd.json');
  const hasDriver = existsSync(manifest);
  const env = { LD_LIBRARY_PATH: drivers, VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest };
  const asked = ['run', '--allow-all', 'deno.mjs', ...(hasDriver ? ['answer'] : [])];
  const { status, stdout, stderr } = run(tool('deno'), asked, hasDriver ? env : {});
  if (status !== 0) throw new Error(stderr.slice(0, 2000));
  return hasDriver ? compare(JSON.parse(stdout)) : 'imported; there is no Vulkan driver to try it on';
});

const kilobytes = (bytes: number) => (bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0);
const sizeTable = () => `# What bundlers make of the package

Written by \`npm run test:package\`, in kB of minified JavaScript: a page that explains a picture (formats are loaded when a
file of theirs is opened, and counted here), and \`writeNpy\` alone. The package: ${kilobytes(statSync(at(packed)).size)} kB packed,
${kilobytes(folderSize(home))} kB installed, ${kilobytes(folderSize(at('node_modules/limelight/dist/browser')))} kB of it the bundle for pages without a bundler.

| bundler | page that explains | \`writeNpy\` alone |
|---|---|---|
${sizes.map(({ bundler, page, one }) => `| ${bundler} | ${kilobytes(page)} | ${kilobytes(one)} |\n`).join('')}`;

async function runAll(): Promise<void> {
  let failed = 0;
  for (const [title, body] of checks) {
    if (untried !== undefined) {
      console.log(`ok ${title} # SKIP without the tools of other projects: ${untried.trim().split('\n')[0]}`);
      continue;
    }
    try {
      const said = await body();
      console.log(`ok ${title}${said ? `: ${said}` : ''}`);
    } catch (error) {
      failed++;
      console.log(`not ok ${title}\n${String(error).replace(/^/gm, '  ')}`);
    }
  }
  if (sizes.length > 0) writeFileSync(fileURLToPath(new URL('./sizes.md', import.meta.url)), sizeTable());
  console.log(`\n${checks.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

const chromium = findChromium();
if (chromium) {
  await withChromium(chromium, async (browser) => {
    browserChecks(browser);
    await runAll();
  });
} else {
  console.log('there is no Chromium: pages are not tried');
  await runAll();
}
