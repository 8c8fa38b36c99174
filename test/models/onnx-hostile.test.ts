// ONNX files that are cut, wrong or made to do harm: each ends in a typed error or a correct load, and asks for no more
// memory than a network would.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { LimelightError } from '../../engine/index.ts';
import { dryRun } from '../../models/dry-run.ts';
import { FormatError } from '../../models/formats/errors.ts';
import { partsIn } from '../../models/formats/folder.node.ts';
import type { ImportedNetwork } from '../../models/formats/imported.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { seededRandom } from '../reference/index.ts';
import { exchanged, mutated, peakOf } from './mutations.ts';
import {
  everyStep,
  ints,
  type ModelSpec,
  modelBytes,
  type NodeSpec,
  numbers,
  type TensorSpec,
} from './onnx-file.ts';
import { versions, yolo } from './yolo.ts';

const noParts = () => Promise.reject(new FormatError('no parts here'));

async function outcome(
  bytes: Uint8Array,
  parts = noParts as Parameters<typeof readOnnx>[2],
): Promise<unknown> {
  try {
    return await readOnnx(bytes, 'net.onnx', parts);
  } catch (error) {
    return error;
  }
}

async function refuses(t: test.Test, bytes: Uint8Array, expected: RegExp, what: string): Promise<void> {
  const found = await outcome(bytes);
  t.ok(
    found instanceof FormatError && expected.test(found.message),
    `${what}: ${String(found).slice(0, 200)}`,
  );
}

const around = (
  node: NodeSpec,
  initializers: readonly TensorSpec[] = [],
  more: Partial<ModelSpec> = {},
): Uint8Array =>
  modelBytes({ nodes: [node, { op: 'Flatten', inputs: ['m'], outputs: ['y'] }], initializers, ...more });

test('what is no ONNX file', async (t) => {
  const whole = modelBytes(everyStep);
  t.notOk((await outcome(whole)) instanceof Error, 'the whole file loads');
  await refuses(t, new Uint8Array(0), /not an ONNX file/, 'nothing');
  await refuses(
    t,
    new TextEncoder().encode('<!DOCTYPE html><html></html>'),
    /net\.onnx is not/,
    'a web page',
  );
  await refuses(t, Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10), /net\.onnx is not/, 'a picture');
  await refuses(t, new Uint8Array(4096).fill(0xff), /net\.onnx is not/, 'ones');
  await refuses(t, modelBytes({ nodes: [] }), /not an ONNX file/, 'an empty graph');
  await refuses(t, modelBytes({ ...everyStep, opset: 99 }), /opset 99; 7 to 28/, 'a future opset');
  // Groups inside groups, without an end.
  await refuses(t, new Uint8Array(100_000).fill(0x1b), /net\.onnx is not/, 'nesting');
});

test('a file cut anywhere is refused', async (t) => {
  const whole = modelBytes(everyStep);
  let loaded = 0;
  let untyped = 0;
  for (let length = 0; length < whole.length; length++) {
    const found = await outcome(whole.subarray(0, length));
    if (!(found instanceof Error)) loaded++;
    else if (!(found instanceof FormatError)) untyped++;
  }
  t.equal(untyped, 0, 'only typed errors');
  t.equal(loaded, 0, 'no part passes for the whole');
});

test('graphs that make no sense', async (t) => {
  const relu = (from: string, to: string): NodeSpec => ({ op: 'Relu', inputs: [from], outputs: [to] });
  const flat: NodeSpec = { op: 'Flatten', inputs: ['x'], outputs: ['y'] };
  const cases: Record<string, readonly [ModelSpec, RegExp]> = {
    'a cycle': [{ nodes: [relu('b', 'a'), relu('a', 'b'), flat] }, /"a" \(Relu\).*takes "b"/],
    'a node of itself': [{ nodes: [relu('a', 'a'), flat] }, /takes "a"/],
    'a missing input': [{ nodes: [{ op: 'Conv', inputs: ['x'], outputs: ['y'] }] }, /input 1 is missing/],
    'two of one name': [{ nodes: [flat, flat] }, /"y" is given twice/],
    'an output that nothing gives': [{ nodes: [flat], outputs: ['z'] }, /output "z"/],
    'no output': [{ nodes: [flat], outputs: [] }, /output ""/],
    'hundreds of outputs': [
      {
        nodes: Array.from({ length: 300 }, (_, i) => ({ ...flat, outputs: [`y${i}`] })),
        outputs: Array.from({ length: 300 }, (_, i) => `y${i}`),
      },
      /300 of its outputs could be explained; choose one with --output NAME/,
    ],
    'an output that is the input': [{ nodes: [flat], outputs: ['x'] }, /output "x"/],
    'no input': [{ nodes: [flat], inputs: [] }, /one input/],
    'two pictures': [
      {
        nodes: [flat],
        inputs: [
          { name: 'x', dims: [1, 3, 4, 4] },
          { name: 'z', dims: [1, 3, 4, 4] },
        ],
      },
      /one input for the picture.*its inputs are "x" float \[1, 3, 4, 4\], "z"/,
    ],
    'an integer input': [{ nodes: [flat], inputs: [{ name: 'x', dims: [1, 3, 4, 4], type: 7 }] }, /int64/],
    'an input of words': [{ nodes: [flat], inputs: [{ name: 'x', dims: [1, 128] }] }, /a picture is float/],
    'a huge input': [{ nodes: [flat], inputs: [{ name: 'x', dims: [1, 3, 1e12, 4] }] }, /a picture is float/],
    'an output on no grid': [
      { nodes: [{ op: 'Reshape', inputs: ['x', 's'], outputs: ['y'] }], initializers: [ints('s', 1, 6, 8)] },
      /\[1, classes\]/,
    ],
    'one row for a batch': [
      { nodes: [{ op: 'Reshape', inputs: ['x', 's'], outputs: ['y'] }], initializers: [ints('s', 3, -1)] },
      /y/,
    ],
    'a kernel larger than the map': [
      {
        nodes: [{ op: 'Conv', inputs: ['x', 'w'], outputs: ['y'] }],
        initializers: [numbers('w', [1, 3, 9, 9])],
      },
      /"y" \(Conv\).*kernel is larger/,
    ],
    'weights for other channels': [
      {
        nodes: [{ op: 'Conv', inputs: ['x', 'w'], outputs: ['y'] }],
        initializers: [numbers('w', [1, 5, 1, 1])],
      },
      /"y" \(Conv\)/,
    ],
  };
  for (const [what, [spec, expected]] of Object.entries(cases)) {
    await refuses(t, modelBytes(spec), expected, what);
  }
});

test('tensors that lie', async (t) => {
  const conv: NodeSpec = { op: 'Conv', inputs: ['x', 'w'], outputs: ['m'] };
  const data = new Array<number>(27).fill(0);
  const cases: Record<string, readonly [TensorSpec, RegExp]> = {
    'too few numbers': [{ name: 'w', dims: [2, 3, 3, 3], data }, /216 bytes of data; the file has 108/],
    'too many': [{ name: 'w', dims: [1, 3, 3], data }, /36 bytes of data; the file has 108/],
    none: [{ name: 'w', dims: [1, 3, 3, 3] }, /the file has 0/],
    'negative sizes': [{ name: 'w', dims: [-1, -3, 3, 3], data }, /whole numbers from 0/],
    'sizes beyond counting': [{ name: 'w', dims: [2 ** 40, 2 ** 40, 3, 3], data }, /not so large/],
    'no type': [{ name: 'w', dims: [1, 3, 3, 3], type: 0, data }, /elements of type 0/],
    strings: [{ name: 'w', dims: [1, 3, 3, 3], type: 8, data }, /elements of type 8/],
    'one axis': [{ name: 'w', dims: [27], data }, /\(Conv\)/],
  };
  for (const [what, [tensor, expected]] of Object.entries(cases)) {
    await refuses(t, around(conv, [tensor]), expected, what);
  }
});

test('constants and attributes that ask for the world', async (t) => {
  const huge = 2 ** 50;
  const cases: Record<string, readonly [NodeSpec, TensorSpec[]?]> = {
    ConstantOfShape: [{ op: 'ConstantOfShape', inputs: ['s'], outputs: ['m'] }, [ints('s', huge)]],
    'negative ConstantOfShape': [{ op: 'ConstantOfShape', inputs: ['s'], outputs: ['m'] }, [ints('s', -5)]],
    Range: [
      { op: 'Range', inputs: ['a', 'b', 'c'], outputs: ['m'] },
      [0, huge, 1].map((n, i) => ({ name: 'abc'[i]!, dims: [], type: 7, data: [n] })),
    ],
    'Range without a step': [
      { op: 'Range', inputs: ['a', 'b', 'c'], outputs: ['m'] },
      [0, 5, 0].map((n, i) => ({ name: 'abc'[i]!, dims: [], type: 7, data: [n] })),
    ],
    'Expand of a constant': [
      { op: 'Expand', inputs: ['c', 's'], outputs: ['m'] },
      [numbers('c', [1]), ints('s', 2 ** 20, 2 ** 20)],
    ],
    Expand: [{ op: 'Expand', inputs: ['x', 's'], outputs: ['m'] }, [ints('s', huge, huge, 1, 1, 1, 1)]],
    'Tile of a constant': [
      { op: 'Tile', inputs: ['c', 's'], outputs: ['m'] },
      [numbers('c', [1]), ints('s', huge)],
    ],
    Tile: [{ op: 'Tile', inputs: ['x', 's'], outputs: ['m'] }, [ints('s', huge, huge, huge, huge)]],
    'reflecting Pad': [
      { op: 'Pad', inputs: ['x', 's'], outputs: ['m'], attributes: { mode: 'reflect' } },
      [ints('s', 0, 0, 0, huge, 0, 0, 0, 0)],
    ],
    'cropping Pad': [
      { op: 'Pad', inputs: ['x', 's'], outputs: ['m'], attributes: { mode: 'edge' } },
      [ints('s', 0, 0, 0, -100, 0, 0, 0, 0)],
    ],
    Pad: [{ op: 'Pad', inputs: ['x', 's'], outputs: ['m'] }, [ints('s', huge, huge, huge, huge, 0, 0, 0, 0)]],
    Resize: [
      { op: 'Resize', inputs: ['x', '', 's'], outputs: ['m'], attributes: { mode: 'cubic' } },
      [{ name: 's', dims: [4], data: [1, 1, 1e9, 1e9] }],
    ],
    'nearest Resize': [
      { op: 'Resize', inputs: ['x', '', 's'], outputs: ['m'] },
      [{ name: 's', dims: [4], data: [1, 1, 1e9, 1e9] }],
    ],
    'Resize to nothing': [
      { op: 'Resize', inputs: ['x', '', '', 's'], outputs: ['m'] },
      [ints('s', 1, 3, 0, 4)],
    ],
    'Resize by NaN': [
      { op: 'Resize', inputs: ['x', '', 's'], outputs: ['m'] },
      [{ name: 's', dims: [4], data: [1, 1, Number.NaN, 1] }],
    ],
    'Reshape to negatives': [{ op: 'Reshape', inputs: ['x', 's'], outputs: ['m'] }, [ints('s', -1, -1)]],
    'Reshape to fractions': [{ op: 'Reshape', inputs: ['x', 's'], outputs: ['m'] }, [ints('s', -1, 7)]],
    'Gather outside': [
      { op: 'Gather', inputs: ['x', 's'], outputs: ['m'], attributes: { axis: 1 } },
      [ints('s', 3)],
    ],
    'Slice by 0': [
      { op: 'Slice', inputs: ['x', 's', 'e', 'a', 'd'], outputs: ['m'] },
      [ints('s', 0), ints('e', 4), ints('a', 2), ints('d', 0)],
    ],
    'Transpose of no order': [
      { op: 'Transpose', inputs: ['x'], outputs: ['m'], attributes: { perm: [0, 0, 1, 2] } },
    ],
    'Split beyond the axis': [
      { op: 'Split', inputs: ['x', 's'], outputs: ['m', 'n'], attributes: { axis: 1 } },
      [ints('s', huge, -huge + 3)],
    ],
    'a mode that is a word of the language': [
      { op: 'Pad', inputs: ['x', 's'], outputs: ['m'], attributes: { mode: 'constructor' } },
      [ints('s', 0, 0, 1, 1, 0, 0, 0, 0)],
    ],
    'another one': [
      { op: 'Resize', inputs: ['x', '', '', 's'], outputs: ['m'], attributes: { mode: '__proto__' } },
      [ints('s', 1, 3, 8, 8)],
    ],
    'and another': [
      {
        op: 'MaxPool',
        inputs: ['x'],
        outputs: ['m'],
        attributes: { kernel_shape: [2, 2], auto_pad: 'valueOf' },
      },
    ],
    'an axis that is not there': [{ op: 'Softmax', inputs: ['x'], outputs: ['m'], attributes: { axis: 9 } }],
    'groups of 0': [
      { op: 'Conv', inputs: ['x', 'w'], outputs: ['m'], attributes: { group: 0 } },
      [numbers('w', [1, 3, 1, 1])],
    ],
    'strides of 0': [
      { op: 'Conv', inputs: ['x', 'w'], outputs: ['m'], attributes: { strides: [0, 0] } },
      [numbers('w', [1, 3, 1, 1])],
    ],
    'an endless kernel': [
      { op: 'MaxPool', inputs: ['x'], outputs: ['m'], attributes: { kernel_shape: [huge, huge] } },
    ],
    'a stride of -1': [
      {
        op: 'AveragePool',
        inputs: ['x'],
        outputs: ['m'],
        attributes: { kernel_shape: [1, 1], strides: [-1, -1] },
      },
    ],
    'neighbours without end': [{ op: 'LRN', inputs: ['x'], outputs: ['m'], attributes: { size: -3 } }],
    'a transposed convolution to nothing': [
      { op: 'ConvTranspose', inputs: ['x', 'w'], outputs: ['m'], attributes: { pads: [9, 9, 9, 9] } },
      [numbers('w', [3, 1, 3, 3])],
    ],
  };
  for (const [what, [node, initializers]] of Object.entries(cases)) {
    await refuses(t, around(node, initializers), /net\.onnx: /, what);
  }
});

test('more nodes, inputs or axes than a network has', async (t) => {
  const flat: NodeSpec = { op: 'Flatten', inputs: ['x'], outputs: ['y'] };
  const many = Array.from({ length: 60_000 }, (_, i): NodeSpec => ({ op: 'Constant', outputs: [`${i}`] }));
  await refuses(t, modelBytes({ nodes: [flat, ...many] }), /60001 nodes/, 'nodes');
  const wide: NodeSpec = { op: 'Concat', inputs: new Array(10_000).fill('x'), outputs: ['m'] };
  await refuses(t, around(wide), /10000 inputs/, 'inputs');
  const deep: NodeSpec = { op: 'Reshape', inputs: ['x', 's'], outputs: ['m'] };
  await refuses(t, around(deep, [ints('s', -1, ...new Array(1000).fill(1))]), /its result would be/, 'axes');
  const same = Array.from({ length: 200 }, (_, i): NodeSpec => {
    return { op: 'Relu', name: 'relu', inputs: [i === 0 ? 'x' : `${i}`], outputs: [`${i + 1}`] };
  });
  const network = await outcome(modelBytes({ nodes: [...same, { ...flat, inputs: ['200'] }] }));
  t.ok(network instanceof Object && 'graph' in network, 'nodes of one name');
  const names = (network as { graph: { nodes: { name: string }[] } }).graph.nodes.map(({ name }) => name);
  t.equal(new Set(names).size, 201, 'get names of their own');
});

test('names like those of prototypes mean nothing', async (t) => {
  const nodes: NodeSpec[] = [
    { op: 'Conv', inputs: ['x', 'toString'], outputs: ['__proto__'], name: 'constructor' },
    { op: 'Relu', inputs: ['__proto__'], outputs: ['constructor'], name: '__proto__' },
    { op: 'Flatten', inputs: ['constructor'], outputs: ['y'], name: 'hasOwnProperty' },
  ];
  const network = await outcome(modelBytes({ nodes, initializers: [numbers('toString', [1, 3, 1, 1])] }));
  t.ok(network instanceof Object && 'graph' in network, `${network}`);
  t.equal(({} as Record<string, unknown>).parameters, undefined, 'no object is changed');
  const op: NodeSpec = { op: '__proto__', inputs: ['x'], outputs: ['m'] };
  await refuses(t, around(op), /__proto__/, 'an operator called so');
});

test('many folded constants together are bounded', async (t) => {
  const nodes = Array.from({ length: 100 }, (_, i): NodeSpec => {
    return { op: 'Expand', inputs: ['c', 's'], outputs: [`m${i}`] };
  });
  const spec = { nodes, initializers: [numbers('c', [1]), ints('s', 2 ** 11, 2 ** 11)] };
  await refuses(t, modelBytes(spec), /more arithmetic than any network needs/, 'a hundred of 16 MB');
});

test('external data stays in the folder and in the file', async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'limelight-onnx-'));
  t.teardown(() => rmSync(base, { recursive: true }));
  const folder = join(base, 'net');
  mkdirSync(folder);
  writeFileSync(join(folder, 'w.bin'), new Uint8Array(12 * 4));
  writeFileSync(join(base, 'secret.bin'), new Uint8Array(12 * 4));
  symlinkSync(join(base, 'secret.bin'), join(folder, 'link.bin'));
  const net = (external: Readonly<Record<string, string>>) =>
    around({ op: 'Conv', inputs: ['x', 'w'], outputs: ['m'] }, [{ name: 'w', dims: [4, 3, 1, 1], external }]);
  const open = partsIn(folder);
  t.notOk((await outcome(net({ location: 'w.bin' }), open)) instanceof Error, 'beside the model');
  const refused: Record<string, Readonly<Record<string, string>>> = {
    'no name': { offset: '0' },
    upwards: { location: '../secret.bin' },
    absolute: { location: join(base, 'secret.bin') },
    'a link': { location: 'link.bin' },
    'a URL': { location: 'https://example.org/w.bin' },
    missing: { location: 'v.bin' },
    'an offset beyond the end': { location: 'w.bin', offset: '8' },
    'a negative offset': { location: 'w.bin', offset: '-8' },
    'an offset that is no number': { location: 'w.bin', offset: '0x8' },
    'an endless offset': { location: 'w.bin', offset: '99999999999999999999' },
    'another length': { location: 'w.bin', length: '40' },
  };
  for (const [what, external] of Object.entries(refused)) {
    t.ok((await outcome(net(external), open)) instanceof FormatError, what);
  }
});

test('3,000 mutations of a good file: a typed error or a load', async (t) => {
  const whole = modelBytes(everyStep);
  const next = seededRandom(11);
  const below = (n: number) => Math.floor(next() * n);
  const strange = [0, 1, 0x7f, 0x80, 0xff];
  const found = { loaded: 0, refused: 0 };
  const untyped: string[] = [];
  const peak = await peakOf(async () => {
    for (let round = 0; round < 3000; round++) {
      let bytes = Uint8Array.from(whole);
      for (let i = 1 + below(4); i > 0; i--) {
        const at = below(bytes.length);
        const kind = below(4);
        if (kind === 0) bytes[at] = below(256);
        else if (kind === 1) bytes[at] = strange[below(strange.length)]!;
        else if (kind === 2)
          bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + 1 + below(8))]);
        else {
          const from = below(bytes.length);
          bytes = Uint8Array.from([
            ...bytes.subarray(0, at),
            ...bytes.subarray(from, from + below(32)),
            ...bytes.subarray(at),
          ]);
        }
      }
      const result = await outcome(bytes);
      if (!(result instanceof Error)) found.loaded++;
      else if (result instanceof FormatError) found.refused++;
      else untyped.push(`round ${round}: ${result.stack}`);
    }
  });
  t.deepEqual(untyped.slice(0, 3), [], 'every error is typed');
  t.ok(found.loaded > 50 && found.refused > 1000, `${found.loaded} loaded, ${found.refused} refused`);
  t.ok(peak < 2 ** 29, `memory peaks ${peak} bytes higher`);
});

test('40 mutations of detectors: a typed error or a load', async (t) => {
  const next = seededRandom(12);
  const whole = versions.map((version) => yolo(version, 1));
  const found = { loaded: 0, refused: 0 };
  const untyped: string[] = [];
  for (let round = 0; round < 40; round++) {
    const { spec, file } = whole[round % whole.length]!;
    const metadata = next() < 0.5 ? {} : undefined;
    const { initializers, ...rest } = spec(metadata);
    // Bytes, or a value, a name or a shape that stands where another should; a tree that no file can hold is left as it was.
    let bytes = mutated(file(metadata), next);
    if (next() < 0.7) {
      try {
        bytes = modelBytes({
          ...(exchanged(rest, next) as typeof rest),
          ...(initializers && { initializers }),
        });
      } catch {}
    }
    const end = await network(bytes);
    if (!(end instanceof Error)) found.loaded++;
    else if (end instanceof LimelightError) found.refused++;
    else untyped.push(`round ${round}, ${versions[round % whole.length]}: ${end.stack}`);
  }
  t.deepEqual(untyped.slice(0, 3), [], 'every error is typed');
  t.ok(found.loaded > 5 && found.refused > 5, `${found.loaded} loaded, ${found.refused} refused`);
});

/** What a network of a file runs to without numbers, or the error of either. */
async function network(bytes: Uint8Array): Promise<unknown> {
  const read = await outcome(bytes);
  if (read instanceof Error) return read;
  const { graph, inputShape, otherInputs } = read as ImportedNetwork;
  try {
    return dryRun(graph, inputShape, otherInputs);
  } catch (error) {
    return error;
  }
}
