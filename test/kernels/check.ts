// Compiles the kernels without a driver, by Dawn's null backend. Run as a script (`npm run shaders`) it prints what
// the compiler says as file:line:column and exits with 1 if it said anything.

import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { create, globals } from 'webgpu';
import { rows } from '../../engine/ops/functions.ts';
import { attentionMixConstants } from '../../kernels/attention/attention.ts';
import {
  depthwiseConstants,
  directConstants,
  rowsConstants,
  weightGradientConstants,
} from '../../kernels/conv/tiles.ts';
import '../../engine/ops/elementwise.ts';
import { unaryConstants } from '../../kernels/elementwise/elementwise.ts';
import { sources } from '../../kernels/index.ts';
import type { Constants } from '../../kernels/kernel.ts';
import {
  matmulConstants,
  rowConstants,
  rowTiles,
  sharedConstants,
  sharedTiles,
  tiles,
} from '../../kernels/matmul/matmul.ts';
import { standardiseResults } from '../../kernels/normalise/normalise.ts';
import { maxPoolConstants } from '../../kernels/pool/pool.ts';
import { deviceClasses, figuresOf } from '../../kernels/profile.ts';
import { reductions } from '../../kernels/reduce/reduce.ts';
import { specialise } from '../../kernels/source.ts';

/** A kernel and the constants of one of its variants; none for the file as it stands. */
export interface Variant {
  readonly kernel: string;
  readonly constants: Constants;
}

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);
const each = (constant: string, values: readonly number[]): Constants[] =>
  values.map((value) => ({ [constant]: value }));
const cross = (...lists: readonly (readonly Constants[])[]): Constants[] =>
  lists.reduce<Constants[]>((found, list) => found.flatMap((a) => list.map((b) => ({ ...a, ...b }))), [{}]);

const flag = [0, 1];
const tileWorkgroups = deviceClasses.map((of) => figuresOf({ class: of }).tileWorkgroup);
const summed = each('SUMMED', flag);
/** Products with few and with many steps. */
const withTotals = <T extends { readonly SUMS: number }>(sizes: readonly T[]): Constants[] =>
  sizes.flatMap((size) => [size, { ...size, TOTALS: size.SUMS }]);
/** Tiles of a workgroup, and the threads that compute them. */
const shared = sharedTiles.map((tile) => ({
  ...sharedConstants(tile),
  WORKGROUP: (tile.rows * tile.columns) / 16,
}));
const alongs = cross(each('A_ALONG_K', flag), each('B_ALONG_K', flag));
const everyReduction = each('OP', Object.keys(reductions).map(Number));
const standardised = each('RESULT', Object.keys(standardiseResults).map(Number));
const functions = rows.binary.map(({ wgsl }): Constants => ({ f: wgsl }));

/** A square window of a convolution. */
const window = (size: number, step = 1, apart = 1) => ({
  kernel: [size, size] as const,
  stride: [step, step] as const,
  dilation: [apart, apart] as const,
});

const small = range(1, 3).flatMap((kernel) => range(1, 2).map((stride) => [kernel, stride] as const));

/** The variants that are checked: all of the few constants, and of the convolutions those that networks use. */
const variants: Readonly<Record<string, readonly Constants[]>> = {
  place: each('PAIRED', flag),
  placeVectors: each('PAIRED', flag),
  unary: rows.unary.map(unaryConstants),
  binary: cross(functions, each('A_ONE', flag), each('B_ONE', flag)),
  broadcast: cross(functions, each('RANK', range(0, 8))),
  broadcastVectors: cross(functions, each('RANK', range(1, 3)), each('A_ONE', flag), each('B_ONE', flag)),
  strided: cross(each('RANK', range(0, 8)), each('PLAIN', flag), each('SCALED', flag)),
  stridedVectors: cross(each('RANK', range(2, 8)), each('PLAIN', flag), each('SCALED', flag)),
  reduce: everyReduction,
  reduceGroup: everyReduction,
  argmax: each('SIGN_NEGATIVE', flag),
  argmaxGroup: each('SIGN_NEGATIVE', flag),
  best: each('SIGN_NEGATIVE', flag),
  attentionMix: [1, 2, 4].map(attentionMixConstants),
  standardiseGroup: standardised,
  standardise: cross(standardised, each('WORKGROUP', tileWorkgroups)),
  softmax: cross(each('LOG', flag), each('WORKGROUP', tileWorkgroups)),
  softmaxGroup: each('LOG', flag),
  softmaxRows: cross(each('LOG', flag), each('WORKGROUP', tileWorkgroups)),
  maxPool: small.map(([kernel, stride]) => maxPoolConstants(window(kernel, stride))),
  avgPool: each('ADJOINT', flag),
  bilinear: cross(each('ADJOINT', flag), each('ALIGN_CORNERS', flag)),
  packWeights: each('ADJOINT', flag),
  winogradWeights: each('ADJOINT', flag),
  conv2dNaive: summed,
  conv2dDirect: cross(
    small.flatMap(([kernel, stride]) =>
      [undefined, 0, 1, 2].flatMap((left) =>
        [4, 8].map((rows) => directConstants(window(kernel, stride), rows, left)),
      ),
    ),
    summed,
  ),
  conv2dRows: cross(
    [3, 5, 7, 11].flatMap((kernel) =>
      [window(kernel), window(kernel, 2), window(kernel, 4), window(kernel, 1, 2)].map(rowsConstants),
    ),
    summed,
  ),
  conv2dDepthwise: cross(
    [3, 5].flatMap((kernel) => [
      ...[window(kernel), window(kernel, 2), window(kernel, 1, 2)].map((w) =>
        depthwiseConstants(w, [1, 1], false),
      ),
      ...[1, 2].map((spread) => depthwiseConstants(window(kernel), [spread, spread], true)),
    ]),
    summed,
  ),
  winogradOutput: summed,
  conv2dWeightGradient: [...small, [5, 1] as const, [7, 2] as const, [11, 4] as const].map(
    ([kernel, stride]) => weightGradientConstants(window(kernel, stride)),
  ),
  addParts: summed,
  matmulNaive: summed,
  matmulDot: summed,
  matmulRows: cross(withTotals(rowTiles.map(rowConstants)), summed),
  matmulShared: cross(shared, alongs, each('TOTALS', [0, 4]), summed),
  conv2dImplicit: cross(
    shared,
    each('GRADIENT', flag),
    each('ADJOINT', flag),
    each('SPREAD_Y', [1, 2]),
    summed,
  ),
  matmulTiled: cross(
    withTotals(tiles.map(({ rows, columns }) => matmulConstants(rows, columns))),
    each('COLUMNS_BIASED', flag),
    summed,
  ),
};

/** Every kernel as it stands, then its variants. */
export const checked: readonly Variant[] = [...sources.keys()].flatMap((kernel) =>
  [{}, ...(variants[kernel] ?? [])].map((constants) => ({ kernel, constants })),
);

/** Messages on one text, each from `file` or, given a line, from where that is `at`. */
type Compile = (file: string, code: string, at?: (line: number) => string) => Promise<string[]>;

/** Opens the null backend; `compile` gives the compiler's messages on one text, none if it is good. */
export async function openCompiler(): Promise<Compile> {
  for (const [name, value] of Object.entries(globals))
    if (!(name in globalThis)) Reflect.set(globalThis, name, value);
  const gpu = create(['backend=null']);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("Dawn's null backend offers no adapter");
  const device = await adapter.requestDevice();
  device.addEventListener('uncapturederror', (event) => event.preventDefault());
  kept.push(gpu, adapter, device);
  return async (file, code, at = (line) => `${file}:${line}`) => {
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code });
    // A pipeline too: some rules (sizes of arrays, workgroups, bindings) are only checked there.
    device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
    const [{ messages }, error] = await Promise.all([module.getCompilationInfo(), device.popErrorScope()]);
    const found = messages.map((m) => `${at(m.lineNum)}:${m.linePos}: ${m.type}: ${m.message}`);
    return found.length === 0 && error !== null ? [`${file}: error: ${error.message}`] : found;
  };
}

/** A GPU object that is collected while its device lives takes the process with it: keep them all. */
const kept: unknown[] = [];

/** Where a line of several files' text lies. */
export function placeOf(
  files: readonly { readonly name: string; readonly text: string }[],
  line: number,
): string {
  let rest = line;
  for (const { name, text } of files) {
    const lines = text.split('\n').length;
    if (rest <= lines) return `${name}:${rest}`;
    rest -= lines;
  }
  throw new RangeError(`the kernel has no line ${line}`);
}

/** Compiles every kernel in every checked variant. Lines are those of the file where nothing was unrolled. */
export async function checkKernels(): Promise<{ compiled: number; messages: string[] }> {
  const compile = await openCompiler();
  const messages: string[] = [];
  for (const { kernel, constants } of checked) {
    const files = sources.get(kernel)!.map((url) => {
      const path = fileURLToPath(url);
      return { name: relative(process.cwd(), path), text: readFileSync(path, 'utf8') };
    });
    const file = files[0]!.name;
    const wgsl = files.map(({ text }) => text).join('\n');
    const isPlain = Object.keys(constants).length === 0;
    // The plain file is compiled as it lies, so that its lines are the editor's.
    const found = isPlain ? await compile(file, wgsl, (line) => placeOf(files, line)) : [];
    if (found.length === 0) {
      const about = isPlain ? `${file}, unrolled` : `${file} ${JSON.stringify(constants)}`;
      found.push(...(await compile(about, specialise(wgsl, constants))));
    }
    messages.push(...found);
  }
  return { compiled: checked.length, messages };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { compiled, messages } = await checkKernels();
  for (const message of messages) console.log(message);
  console.log(`${compiled} variants, ${messages.length} messages`);
  if (messages.length > 0) process.exitCode = 1;
}
