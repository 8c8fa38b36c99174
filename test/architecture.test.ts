// The rules of the whole repository that a compiler does not know: imports go down through the layers and never round,
// and what only Node or only a browser has stays where it may.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'tape';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders = ['app', 'bench', 'cam', 'engine', 'kernels', 'models', 'test'];

/** Source with its comments blanked, strings untouched; a regular expression literal with a quote would upset it. */
const withoutComments = (text: string) =>
  text.replace(
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_, string?: string) => string ?? '',
  );

/** What a source imports, types and modules loaded later included. */
function importsOf(text: string): string[] {
  const from = /^\s*(?:import|export)\b[^'";]*?\bfrom\s*'([^']+)'/gm;
  const bare = /^\s*import\s*'([^']+)'/gm;
  const later = /\bimport\(\s*'([^']+)'/g;
  const source = withoutComments(text);
  return [from, bare, later].flatMap((form) => [...source.matchAll(form)].map((match) => match[1]!));
}

/** A circle of names in a graph, its first name again at its end; undefined where there is none. */
function circleIn(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    done.add(name);
    path.push(name);
    for (const next of graph.get(name) ?? []) {
      const circle = visit(next);
      if (circle) return circle;
    }
    path.pop();
    return undefined;
  };
  for (const name of graph.keys()) {
    const circle = visit(name);
    if (circle) return circle;
  }
  return undefined;
}

interface Source {
  readonly text: string;
  /** Files of the repository. */
  readonly files: readonly string[];
  /** Everything else: packages, Node's modules, `#platform`, `#hub`. */
  readonly packages: readonly string[];
}

/** This file, whose examples of imports are none. */
const own = relative(root, fileURLToPath(import.meta.url));

const names = folders.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules') && name !== own),
);

const sources = new Map<string, Source>(
  ['index.ts', ...names].map((name) => {
    const text = readFileSync(join(root, name), 'utf8');
    const imports = importsOf(text);
    const files = imports
      .filter((path) => path.startsWith('.') && path.endsWith('.ts'))
      .map((path) => relative(root, join(root, dirname(name), path)));
    return [name, { text, files, packages: imports.filter((path) => !path.startsWith('.')) }];
  }),
);

/** Each layer and what it may import; itself goes without saying. */
const below: Readonly<Record<string, readonly string[]>> = {
  kernels: [],
  engine: ['kernels'],
  models: ['engine', 'kernels'],
  cam: ['models', 'engine', 'kernels'],
  'index.ts': ['cam', 'models', 'engine', 'kernels'],
  app: ['bench', 'cam', 'models', 'engine', 'kernels'],
  bench: ['cam', 'models', 'engine', 'kernels'],
  test: ['index.ts', ...folders],
};
const layerOf = (name: string) => name.split('/')[0]!;

/** Where Node's own modules and globals may stand, and where a browser's. */
const mayUseNode = /\.node\.ts$|^(engine\/platform|app\/cli|bench|test|models\/train)\//;
const mayUseBrowser = /\.browser\.ts$|^(engine\/platform\/browser\.ts|app\/page\/|test\/browser\/)/;

/** Packages that run in both. */
const portable = [
  '#hub',
  '#platform',
  'protobufjs/minimal.js',
  '@huggingface/tokenizers',
  'h5wasm',
  'jpeg-js',
  'fflate',
  '@dagrejs/dagre',
  'katex',
  'katex/dist/katex.min.css',
  'vega',
  'vega-interpreter',
  'vega-lite',
  'codemirror',
  '@codemirror/language',
  '@codemirror/lint',
  '@codemirror/state',
  '@codemirror/view',
  '@lezer/highlight',
  '@jsquash/jpeg/codec/dec/mozjpeg_dec.js',
  '@jsquash/webp/codec/dec/webp_dec.js',
];
/** Configuration of a tool rather than code. */
const configuration = ['app/page/vite.config.ts'];

/** Uses of a global: not a property, not a key, and not a name that the file gives to something of its own. */
function usesOf(text: string, globals: readonly string[]): string[] {
  const code = withoutComments(text).replace(/'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g, "''");
  return globals.filter((name) => {
    const own = new RegExp(`(?:const|let|function|class|for \\(const) ${name}\\b|[{(,] *${name}[,:})]`);
    return new RegExp(`(?<![.\\w$])${name}(?=[.([])`).test(code) && !own.test(code);
  });
}
const nodeGlobals = ['Buffer', 'process', 'require', '__dirname', '__filename', 'setImmediate', 'global'];
const browserGlobals = [
  'document',
  'window',
  'location',
  'navigator',
  'localStorage',
  'indexedDB',
  'caches',
  'createImageBitmap',
  'OffscreenCanvas',
  'ImageData',
  'Image',
  'Worker',
  'requestAnimationFrame',
];

test('architecture: how imports are read', (t) => {
  const text = `// import a from './no.ts';
import type {
  A,
} from './a.ts';
import b, { type C } from 'b';
/* export * from './no.ts'; */
export * from './c.ts';
import './d.ts';
const e = await import('node:fs');
const from = "import x from './no.ts'";
`;
  t.deepEqual(importsOf(text), ['./a.ts', 'b', './c.ts', './d.ts', 'node:fs']);
  t.deepEqual(usesOf('Buffer.from(x); a.process.exit(); "require("; // window.open()', nodeGlobals), [
    'Buffer',
  ]);
  t.deepEqual(usesOf('const window = f(); window.size; document.title', browserGlobals), ['document']);
  t.end();
});

test('architecture: how circles are found', (t) => {
  const graph = (edges: Record<string, string[]>) => circleIn(new Map(Object.entries(edges)));
  t.equal(graph({ a: ['b', 'c'], b: ['c'], c: [] }), undefined, 'two ways to one place are none');
  t.deepEqual(graph({ a: ['b'], b: ['c'], c: ['b'] }), ['b', 'c', 'b']);
  t.deepEqual(graph({ a: ['a'] }), ['a', 'a'], 'itself');
  t.end();
});

test('architecture: every import of a file leads to one', (t) => {
  t.ok(sources.size > 150, `${sources.size} sources are read`);
  const lost = [...sources].flatMap(([name, { files }]) =>
    files.filter((file) => !existsSync(join(root, file))).map((file) => `${name} imports ${file}`),
  );
  t.deepEqual(lost, []);
  t.end();
});

test('architecture: imports never go round', (t) => {
  const graph = new Map([...sources].map(([name, { files }]) => [name, files] as const));
  t.equal(circleIn(graph)?.join(' -> '), undefined);
  t.end();
});

test('architecture: imports go down through the layers', (t) => {
  const up = [...sources].flatMap(([name, { files }]) => {
    const allowed = [layerOf(name), ...below[layerOf(name)]!];
    return files.filter((file) => !allowed.includes(layerOf(file))).map((file) => `${name} imports ${file}`);
  });
  t.deepEqual(up, []);
  t.end();
});

test('architecture: what only Node has', (t) => {
  const found = [...sources].flatMap(([name, { text, packages }]) => {
    if (mayUseNode.test(name) || configuration.includes(name)) return [];
    const modules = packages.filter((path) => !portable.includes(path));
    return [...modules, ...usesOf(text, nodeGlobals)].map((what) => `${name} uses ${what}`);
  });
  t.deepEqual(found, []);
  t.end();
});

test('architecture: what only a browser has', (t) => {
  const found = [...sources].flatMap(([name, { text }]) =>
    mayUseBrowser.test(name) ? [] : usesOf(text, browserGlobals).map((what) => `${name} uses ${what}`),
  );
  t.deepEqual(found, []);
  t.end();
});

test('architecture: what a browser loads leads to no file for Node', (t) => {
  for (const entry of [
    'index.ts',
    'app/page/main.ts',
    'app/page/hub/frame.ts',
    'app/page/bench/main.ts',
    'app/page/work/worker.ts',
    'engine/platform/browser.ts',
  ]) {
    const reached = new Set([entry]);
    for (const name of reached) for (const file of sources.get(name)!.files) reached.add(file);
    t.ok(reached.size > 2, `${entry} loads ${reached.size} files`);
    t.deepEqual(
      [...reached].filter((name) => /\.node\.ts$|^engine\/platform\/node|^app\/cli\//.test(name)),
      [],
      `${entry} loads none of Node's`,
    );
  }
  t.end();
});

/** Files whose exports are for those who use the package. */
const isEntry = (name: string) => /(^|\/)(index(\.node)?|pictures\.node)\.ts$/.test(name);

test('architecture: whatever is exported somebody imports', (t) => {
  const words = new Map([...sources].map(([name, { text }]) => [name, new Set(text.match(/\w+/g))] as const));
  const alone = [...sources].flatMap(([name, { text }]) =>
    isEntry(name) || layerOf(name) === 'test'
      ? []
      : [...text.matchAll(/^export (?:async )?(?:const|function\*?|class) (\w+)/gm)]
          .map(([, exported]) => exported!)
          .filter((exported) => ![...words].some(([other, set]) => other !== name && set.has(exported)))
          .map((exported) => `${name} exports ${exported}`),
  );
  t.deepEqual(alone, []);
  t.end();
});

/**
 * Where a layer may be asked what it is called: where layers are defined, and where networks are translated word by word
 * into another library's layers to be measured beside it. (`kind` is a word of pickled files, too.)
 */
const mayAskKind = /^(models\/layers|models\/formats\/pytorch|bench\/engines\/interpret\.ts)/;

test('architecture: layers are told apart by their traits', (t) => {
  const seesNodes = /\b(GraphNode|Graph|nodes|nodeOf)\b/;
  const asked =
    /\bkind\s*[!=]==|[!=]==\s*([\w.!?]+\.)?kind\b|\[\s*\w+[!?]*\.kind\s*\]|\.(has|includes|get)\(\s*([\w.!?]+\.)?kind\s*\)|switch \(([\w.!?]+\.)?kind\)/;
  const wrong = [...sources].filter(([name, { text }]) => {
    const code = withoutComments(text);
    return (
      /^(app|bench|cam|models)\//.test(name) &&
      !mayAskKind.test(name) &&
      seesNodes.test(code) &&
      asked.test(code)
    );
  });
  t.deepEqual(
    wrong.map(([name]) => name),
    [],
  );
  for (const line of ["node.kind === 'conv'", 'VIEWS.has(kind)', 'table[node.kind]', 'switch (node!.kind)']) {
    t.ok(asked.test(line), `${line} would be found`);
  }
  t.end();
});
