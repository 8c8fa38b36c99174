// Builds the package into dist: modules with their types, which no bundler needs to be told anything about, and
// dist/browser, a bundle with its dependencies for pages that have no bundler.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { type BuildOptions, build } from 'rolldown';

const root = import.meta.dirname;
const dist = join(root, 'dist');
const read = (path: string) => readFileSync(path, 'utf8');
/** Files that a module names by their place beside it. */
const BESIDE = /new URL\('(\.[^']+)', import\.meta\.url\)/g;

rmSync(dist, { recursive: true, force: true });
execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
  shell: process.platform === 'win32',
});

/** Changes what a module of dist says of files beside it: `say` gives an expression for the path of one. */
function rewrite(path: string, say: (path: string) => string): void {
  const file = join(dist, path);
  writeFileSync(
    file,
    read(file).replace(BESIDE, (_, beside) => say(beside)),
  );
}

// Kernels as text: not every bundler takes along what a module names by its URL.
rewrite('kernels/index.js', (path) => JSON.stringify(read(join(root, 'kernels', path))));
const worker = join(dist, 'models/formats/keras/h5-worker.js');
rewrite('models/formats/keras/h5.js', () => "new URL('./h5-worker.js', import.meta.url)");

/** What is read by its path: weights with their cards, pictures with theirs, files for clusters. */
for (const [folder, kinds] of [
  ['models/shipped', /\.(safetensors|md)$/],
  ['models/images', /\.(png|json|md)$/],
  ['app/cluster', /./],
] as const) {
  for (const name of readdirSync(join(root, folder)))
    if (kinds.test(name)) cpSync(join(root, folder, name), join(dist, folder, name));
}

// Declarations that need no definitions but TypeScript's own, of 5.6 and newer. What WebGPU, browsers or Node define is
// declared empty: empty interfaces merge with whatever definition a user has. Arrays were not generic in 5.6.
const declarations = readdirSync(dist, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.d.ts'))
  .map((name) => join(dist, name));
const foreign = new Set(['AbortSignal', 'URL']);
for (const file of declarations) {
  const text = read(file).replace(/\b((?:Float|Uint|Int)\d+Array)<ArrayBuffer>/g, '$1');
  for (const [name] of text.matchAll(/\bGPU\w+/g)) foreign.add(name);
  writeFileSync(file, text);
}
writeFileSync(join(dist, 'foreign.d.ts'), [...foreign].map((name) => `interface ${name} {}\n`).join(''));
for (const entry of [
  'index.d.ts',
  'engine/index.d.ts',
  'models/index.d.ts',
  'models/hub/index.node.d.ts',
  'app/pictures.node.d.ts',
]) {
  const file = join(dist, entry);
  const path = relative(dirname(file), join(dist, 'foreign.d.ts')).replaceAll('\\', '/');
  writeFileSync(file, `/// <reference path="${path}" />\n${read(file)}`);
}

/**
 * Bundles modules of dist, given by the names of their bundles, into a folder. Files that a module names by their place
 * beside it stay where they are, but for modules that are bundled too.
 */
async function bundle(folder: string, entries: Record<string, string>, options: BuildOptions): Promise<void> {
  const into = join(dist, folder);
  const place = (path: string): string => {
    const entry = Object.keys(entries).find((name) => entries[name] === path);
    return entry ? `./${entry}.js` : relative(into, path).replaceAll('\\', '/');
  };
  const { output } = await build({
    ...options,
    input: entries,
    write: false,
    plugins: [
      {
        name: 'files-stay-where-they-are',
        transform: (code, id) =>
          id.startsWith(dist)
            ? code.replace(
                BESIDE,
                (_, path) => `new URL('${place(resolve(dirname(id), path))}', import.meta.url)`,
              )
            : null,
      },
    ],
    // Errors are told apart by their names.
    output: { minify: true, keepNames: true, chunkFileNames: '[name]-[hash].js' },
  });
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  for (const file of output)
    writeFileSync(join(into, file.fileName), file.type === 'chunk' ? file.code : file.source);
}

await bundle(
  'browser',
  {
    index: join(dist, 'index.js'),
    engine: join(dist, 'engine/index.js'),
    models: join(dist, 'models/index.js'),
    'h5-worker': worker,
  },
  { platform: 'browser', resolve: { conditionNames: ['browser', 'import', 'default'] } },
);
// The command line in place of its modules: to find and load two hundred files takes Node 80 ms at each start.
await bundle(
  'app/cli',
  { main: join(dist, 'app/cli/main.js') },
  { platform: 'node', external: /^[@a-z](?!:)/ },
);
