// Transformers of any size, told by the shapes of their weights: against PyTorch, by references/families.py, and under the
// keys of every publisher.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { disposeExplanation, explain } from '../../cam/index.ts';
import { dryDevice, placeholder, scope, type Tensor, tensor } from '../../engine/index.ts';
import { shapesOf } from '../../models/dry-run.ts';
import type { HostTensor, StateDict } from '../../models/formats/host-tensor.ts';
import { evaluate, INPUT } from '../../models/graph.ts';
import { addPatchPositions, cutIntoPatches, squareToTokens } from '../../models/layers.ts';
import { disposeNetwork, loadNetwork } from '../../models/network.ts';
import { architectureOf } from '../../models/recognise.ts';
import { device } from '../device.ts';
import { randomArray, relativeError, seededRandom } from '../reference/index.ts';
import { rangeOf, seeded, seededImages } from './references/seeded.ts';

interface Case {
  readonly gain: number;
  readonly input: readonly [number, number, number, number];
  readonly logits: readonly (readonly number[])[];
  readonly class: number;
  readonly layer?: string;
  readonly map?: { readonly shape: readonly number[]; readonly data: readonly number[] };
  readonly keys: Readonly<Record<string, readonly number[]>>;
}

const cases = JSON.parse(
  readFileSync(new URL('./references/families.json', import.meta.url), 'utf8'),
) as Record<string, Case>;

const tensorsOf = ({ keys, gain }: Case): Map<string, HostTensor> =>
  new Map(Object.entries(keys).map(([key, shape]) => [key, seeded(key, shape, rangeOf(key, shape, gain))]));

/** What the network of some weights is, in a few words. */
const told = (tensors: StateDict) => {
  const { entry } = architectureOf('weights', { tensors });
  return [entry.name, entry.classes.length, entry.preprocessing.channels, entry.preprocessing.size?.[0]];
};

const expected: Readonly<Record<string, ReturnType<typeof told>>> = {
  'torchvision/swin': ['swin_window4', 10, 3, 32],
  'timm/swin': ['swin_window4', 10, 3, 32],
  'timm/vit, registers': ['vit_patch14_56', 10, 3, 56],
  'timm/vit, mean of patches, two channels': ['vit_patch8_32', 7, 2, 32],
  'timm/vit, no head': ['vit_patch16_32', 64, 3, 32],
  dinov2: ['vit_patch14_56', 9, 3, 56],
};

for (const [name, one] of Object.entries(cases)) {
  test(`${name} computes what PyTorch computes`, async (t) => {
    const tensors = tensorsOf(one);
    t.deepEqual(told(tensors), expected[name]);
    const fit = architectureOf(name, { tensors });
    const network = loadNetwork(await device(), fit.entry, fit.tensors);
    const { data, shape } = seededImages(one.input);
    const images = tensor(network.device, data, shape);
    const { graph, parameters } = network;
    const logits = scope(
      () => evaluate(graph, parameters, new Map([[INPUT, images]]), [graph.output]).get(graph.output)!,
    );
    const error = relativeError(await logits.data(), one.logits.flat());
    t.ok(error < 1e-5, `logits: ${error.toExponential(1)}`);
    const size = data.length / 2;
    const first = tensor(network.device, data.subarray(0, size), [1, ...shape.slice(1)]);
    const [found] = await explain(network, first, {
      methods: ['grad-cam'],
      signed: true,
      classes: [one.class],
    });
    t.equal(found!.map.shape.length, 2, `${found!.layer} is a feature map`);
    if (one.map) {
      t.equal(found!.layer, one.layer);
      t.deepEqual(found!.map.shape, one.map.shape);
      const off = relativeError(await found!.map.data(), one.map.data);
      t.ok(off < 1e-4, `map: ${off.toExponential(1)}`);
    }
    disposeExplanation(found!);
    for (const made of [logits, images, first]) made.dispose();
    disposeNetwork(network);
  });
}

/** The same weights under other keys; queries, keys and values apart where they are so. */
function renamed(
  tensors: StateDict,
  patterns: readonly (readonly [RegExp, string])[],
): Map<string, HostTensor> {
  const out = new Map<string, HostTensor>();
  for (const [key, { shape, data }] of tensors) {
    const theirs = patterns.reduce((name, [pattern, to]) => name.replace(pattern, to), key);
    if (!theirs.includes('query|')) out.set(theirs, { shape, data });
    else
      ['query', 'key', 'value'].forEach((part, i) => {
        const size = data.length / 3;
        const third = {
          shape: [shape[0]! / 3, ...shape.slice(1)],
          data: data.slice(i * size, (i + 1) * size),
        };
        out.set(theirs.replace('query|', part), third);
      });
  }
  return out;
}

const huggingFaceBlocks = [
  [/\.attn\.qkv\./, '.attention.attention.query|.'],
  [/\.attn\.proj\./, '.attention.output.dense.'],
] as const;
const dinov2 = [
  [/^patch_embed\.proj\./, 'embeddings.patch_embeddings.projection.'],
  [/^cls_token$/, 'embeddings.cls_token'],
  [/^pos_embed$/, 'embeddings.position_embeddings'],
  [/^reg_token$/, 'embeddings.register_tokens'],
  [/^blocks\./, 'encoder.layer.'],
  ...huggingFaceBlocks,
  [/\.ls(\d)\.gamma$/, '.layer_scale$1.lambda1'],
  [/^norm\./, 'layernorm.'],
  [/^(?!head)/, 'dinov2_with_registers.'],
  [/^head\./, 'classifier.'],
] as const;
const deit = [
  [/^patch_embed\.proj\./, 'embeddings.patch_embeddings.projection.'],
  [/^cls_token$/, 'embeddings.cls_token'],
  [/^pos_embed$/, 'embeddings.position_embeddings'],
  [/^blocks\./, 'encoder.layer.'],
  ...huggingFaceBlocks,
  [/\.norm1\./, '.layernorm_before.'],
  [/\.norm2\./, '.layernorm_after.'],
  [/\.mlp\.fc1\./, '.intermediate.dense.'],
  [/\.mlp\.fc2\./, '.output.dense.'],
  [/^norm\./, 'layernorm.'],
  [/^(?!head)/, 'deit.'],
  [/^head\./, 'classifier.'],
] as const;

const huggingFaceSwin = [
  [/^patch_embed\.proj\./, 'swin.embeddings.patch_embeddings.projection.'],
  [/^patch_embed\.norm\./, 'swin.embeddings.norm.'],
  [/^layers\.1\.downsample\./, 'layers.0.downsample.'],
  [/^layers\./, 'swin.encoder.layers.'],
  [/\.norm1\./, '.layernorm_before.'],
  [/\.norm2\./, '.layernorm_after.'],
  [/\.attn\.qkv\./, '.attention.self.query|.'],
  [/\.attn\.relative/, '.attention.self.relative'],
  [/\.attn\.proj\./, '.attention.output.dense.'],
  [/\.mlp\.fc1\./, '.intermediate.dense.'],
  [/\.mlp\.fc2\./, '.output.dense.'],
  [/^norm\./, 'swin.layernorm.'],
  [/^head\.fc\./, 'classifier.'],
] as const;

test('the keys of other publishers, and what was lost or added', (t) => {
  const registers = tensorsOf(cases['timm/vit, registers']!);
  const plain = new Map(
    [...registers]
      .filter(([key]) => !/^reg_token$|\.ls\d\./.test(key))
      .map(([key, value]) => [
        key,
        key === 'pos_embed' ? { ...seeded(key, [1, 17, 128], [-0.5, 0.5]) } : value,
      ]),
  );
  const withMask = renamed(registers, dinov2).set('dinov2_with_registers.embeddings.mask_token', {
    shape: [1, 128],
    data: new Float32Array(128),
  });
  t.deepEqual(told(withMask), ['vit_patch14_56', 10, 3, 56], "transformers' DINOv2 with registers");
  const same = architectureOf('weights', { tensors: withMask }).tensors;
  for (const [key, { data }] of registers) {
    if (!same.get(key)?.data.every((value, i) => value === data[i])) t.fail(key);
  }
  t.deepEqual(told(renamed(plain, deit)), ['vit_patch14_56', 10, 3, 56], "transformers' plain DeiT");
  const distilled = renamed(plain, deit)
    .set('deit.embeddings.distillation_token', seeded('d', [1, 1, 128], [-1, 1]))
    .set('deit.embeddings.position_embeddings', seeded('p', [1, 18, 128], [-1, 1]));
  t.deepEqual(told(distilled), ['vit_patch14_56', 10, 3, 56], 'distilled, with one head');
  const { entry } = architectureOf('weights', { tensors: distilled });
  t.equal(entry.graph.output, 'head');
  const other = renamed(plain, [[/^head\./, 'head.fc.1.']]);
  t.deepEqual(told(other), ['vit_patch14_56', 10, 3, 56], 'a head of another name');
  const swin = tensorsOf(cases['timm/swin']!);
  const old = renamed(swin, [
    [/^layers\.1\.downsample\./, 'layers.0.downsample.'],
    [/^head\.fc\./, 'head.'],
  ])
    .set('layers.0.blocks.1.attn_mask', { shape: [1], data: new Float32Array(1) })
    .set('layers.0.blocks.0.attn.relative_position_index', { shape: [1], data: new Float32Array(1) });
  t.deepEqual(told(old), expected['timm/swin'], "the authors' Swin, which numbers merging otherwise");
  const theirs = architectureOf('weights', { tensors: renamed(swin, huggingFaceSwin) }).tensors;
  for (const [key, { data }] of architectureOf('weights', { tensors: swin }).tensors) {
    const found = theirs.get(key)?.data;
    if (!found?.every((value, i) => value === data[i])) t.fail(`transformers' Swin: ${key}`);
  }

  const missing = new Map(registers);
  missing.delete('blocks.1.norm2.bias');
  const strange = new Map(registers).set('blocks.0.mlp.gate.weight', seeded('g', [2, 2], [-1, 1]));
  const odd = new Map(registers).set('pos_embed', seeded('p', [1, 18, 128], [-1, 1]));
  const ragged = new Map(registers).set('patch_embed.proj.weight', seeded('w', [128, 3, 14, 16], [-1, 1]));
  for (const tensors of [missing, strange, odd, ragged])
    t.throws(() => told(tensors), /those of no known architecture; naming one/);
  for (const [key, what] of [
    ['layers.0.blocks.0.attn.cpb_mlp.0.weight', /Swin Transformer V2, which is read from ONNX alone/],
    ['blocks.0.mlp.w12.weight', /a transformer with SwiGLU/],
    ['model.0.conv.weight', /a YOLO detector/],
  ] as const) {
    const tensors = new Map(registers).set(key, seeded('g', [2, 2], [-1, 1]));
    t.throws(() => told(tensors), what, key);
  }
  t.end();
});

/** Keys' cubic filter with a = -1/2, by its definition. */
const keys = (x: number): number => {
  const d = Math.abs(x);
  return d < 1 ? 1.5 * d ** 3 - 2.5 * d ** 2 + 1 : d < 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0;
};

/** What each of `from` values counts for value i of `to`: the filter around its centre, as wide as values become. */
function share(from: number, to: number, i: number): number[] {
  const centre = ((i + 0.5) * from) / to - 0.5;
  const all = Array.from({ length: from }, (_, j) => keys((j - centre) / Math.max(1, from / to)));
  const total = all.reduce((sum, w) => sum + w, 0);
  return all.map((w) => w / total);
}

test('positions are resampled for another number of patches', async (t) => {
  const on = await device();
  const [learnt, width] = [2, 3];
  for (const [side, now] of [
    [8, 6],
    [7, 12],
    [9, 2],
    [4, 4],
    [1, 3],
  ] as const) {
    const positions = randomArray([1, learnt + side * side, width], seededRandom(side));
    const at = (row: number, column: number, k: number) =>
      positions.data[(learnt + row * side + column) * width + k]!;
    const patches = Array.from({ length: now * now * width }, (_, index) => {
      const [k, cell] = [index % width, Math.floor(index / width)];
      const [rows, columns] = [share(side, now, Math.floor(cell / now)), share(side, now, cell % now)];
      return rows.reduce(
        (sum, a, row) => sum + a * columns.reduce((part, b, column) => part + b * at(row, column, k), 0),
        0,
      );
    });
    const tokens = randomArray([2, learnt + now * now, width], seededRandom(now));
    const expected = [...positions.data.slice(0, learnt * width), ...patches];
    const node = addPatchPositions('pos_embed', 'input', { learnt, side, width });
    const [x, p] = [tokens, positions].map(({ data, shape }) => tensor(on, data, shape)) as [Tensor, Tensor];
    const y = scope(() => node.run([x], { parameters: { positions: p } }));
    const sum = tokens.data.map((v, i) => v + expected[i % expected.length]!);
    t.ok(relativeError(await y.data(), sum) < 1e-6, `${side} x ${side} to ${now} x ${now}`);
    for (const made of [x, p, y]) made.dispose();
  }
});

test('what cannot be cut into whole patches is refused', (t) => {
  const node = cutIntoPatches('p', INPUT, { in: 3, out: 4, patch: 8 });
  const run = (height: number, width: number) =>
    shapesOf({ nodes: [node], output: 'p' }, [1, 3, height, width]).get('p');
  t.deepEqual(run(64, 24), [1, 4, 8, 3]);
  t.throws(() => run(60, 64), /an input of 60 x 64 is no whole number of patches of 8 x 8/);
  t.throws(() => run(64, 7), /64 x 7/);
  t.end();
});

test('a picture that is not square has no positions', (t) => {
  const run = () =>
    scope(() => squareToTokens('t', 'x').run([placeholder(dryDevice(), [1, 3, 2, 8])], { parameters: {} }));
  t.throws(run, /a picture of 2 x 8 patches is not square/);
  t.end();
});
