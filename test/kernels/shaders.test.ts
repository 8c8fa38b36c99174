// The kernels' texts: every variant compiles, and the specialiser does what the files' conventions say.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'tape';
import { sources } from '../../kernels/index.ts';
import { bindings, specialise } from '../../kernels/source.ts';
import { checkKernels, openCompiler, placeOf } from './check.ts';

const body = (code: string) =>
  `@group(0) @binding(0) var<storage, read_write> y: array<u32>;\n@compute @workgroup_size(1) fn main() {\n${code}\n}\n`;

test('kernels: every variant compiles without a message', async (t) => {
  const { compiled, messages } = await checkKernels();
  t.ok(compiled > sources.size, `${compiled} variants`);
  t.deepEqual(messages, []);
});

test('kernels: the compiler reports file, line and column', async (t) => {
  const compile = await openCompiler();
  t.deepEqual(await compile('good.wgsl', body('y[0] = 1u;')), []);
  const [message = ''] = await compile('bad.wgsl', body('y[0] = 1.5;'));
  t.ok(/^bad\.wgsl:3:\d+: error: /.test(message), message);
  const [large = ''] = await compile('pipeline.wgsl', body('y[0] = 1u;').replace('size(1)', 'size(4096)'));
  t.ok(large.startsWith('pipeline.wgsl: error: '), 'what only a pipeline shows');
});

test('kernels: a line of a kernel of several files', (t) => {
  const files = [
    { name: 'a.wgsl', text: 'one\ntwo\n' },
    { name: 'b.wgsl', text: 'three\n' },
  ];
  const lines = files
    .map(({ text }) => text)
    .join('\n')
    .split('\n');
  t.equal(placeOf(files, lines.indexOf('two') + 1), 'a.wgsl:2');
  t.equal(placeOf(files, lines.indexOf('three') + 1), 'b.wgsl:1');
  t.throws(() => placeOf(files, 9), /no line 9/);
  t.end();
});

test('kernels: the table lists every file', (t) => {
  const folder = fileURLToPath(new URL('../../kernels', import.meta.url));
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.wgsl'));
  const listed = [...new Set([...sources.values()].flat().map((url) => fileURLToPath(url)))];
  t.deepEqual(listed.sort(), files.map((file) => join(folder, file)).sort());
  t.end();
});

test('specialise: constants', (t) => {
  const wgsl = 'const A = 4u; // four\nconst B = 2u;\nlet c = A;\n';
  t.equal(specialise(wgsl, {}), wgsl, 'nothing asked, nothing changed');
  t.equal(specialise(wgsl, { A: 7 }), 'const A = 7u; // four\nconst B = 2u;\nlet c = A;\n', 'one replaced');
  t.throws(
    () => specialise(wgsl, { A: 1, C: 1, D: 2 }),
    /no such constant or expression in the kernel: C, D/,
  );
  t.throws(
    () => specialise('  const A = 4u;\n', { A: 1 }),
    /no such constant/,
    'a local one is not a parameter',
  );
  t.end();
});

test('specialise: expressions', (t) => {
  const wgsl =
    'const A = 4u;\nfn f(v: vec4f) -> vec4f { return v; }\nfn g(v: f32) -> f32 {\n  return f(v);\n}\n';
  t.equal(specialise(wgsl, {}), wgsl, 'nothing asked, nothing changed');
  const twice = specialise(wgsl, { A: 2, f: '2.0 * v' });
  t.ok(twice.includes('fn f(v: vec4f) -> vec4f { return 2.0 * v; }') && twice.includes('const A = 2u;'));
  t.throws(
    () => specialise(wgsl, { g: 'v' }),
    /no such constant or expression in the kernel: g/,
    'of one line',
  );
  t.end();
});

const flat = (wgsl: string) => wgsl.replace(/\s+/g, ' ').trim();

test('specialise: unrolled loops', (t) => {
  const nested =
    'const N = 2u;\nfor (var i = 0u; i < N; i++) { // unroll\n  for (var j = 0u; j < 2u; j++) { // unroll\n    f(i, j, ij);\n  }\n}\nend\n';
  t.equal(
    flat(specialise(nested, {})),
    'const N = 2u; { { f(0u, 0u, ij); } { f(0u, 1u, ij); } } { { f(1u, 0u, ij); } { f(1u, 1u, ij); } } end',
    'nested',
  );
  t.equal(
    flat(specialise(nested, { N: 1 })),
    'const N = 1u; { { f(0u, 0u, ij); } { f(0u, 1u, ij); } } end',
    'as often as the variant says',
  );
  t.equal(flat(specialise(nested, { N: 0 })), 'const N = 0u; end', 'not at all');
  const after =
    'for (var i = 0u; i < 1u; i++) { // unroll\n{a}\n}\nfor (var i = 0u; i < 1u; i++) { // unroll\nb\n}\n';
  t.equal(flat(specialise(after, {})), '{ {a} } { b }', 'one after the other');
  const plain = 'for (var i = 0u; i < 3u; i++) {\n a\n}\n';
  t.equal(specialise(plain, {}), plain, 'an unmarked loop stays');
  t.throws(
    () => specialise('for (var i = 0u; i < M; i++) { // unroll\n}\n', {}),
    /unrolled loop over i: M is no constant/,
  );
  t.throws(() => specialise('for (var i = 0u; i < 2u; i++) { // unroll\n{', {}), /a \{ without a closing \}/);
  t.end();
});

test('bindings: accesses in the order of their numbers', (t) => {
  const wgsl =
    '@binding(2) var<storage, read_write> y\n@binding(0) var<uniform> p\n@binding(1) var<storage, read> x';
  t.deepEqual(bindings(wgsl), ['read', 'read_write']);
  t.end();
});
