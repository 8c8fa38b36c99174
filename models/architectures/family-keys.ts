// What publishers call the parameters of transformers of any size.

import type { StateDict } from '../formats/host-tensor.ts';
import { byPatterns, type OtherKeys, otherKeys } from './other-keys.ts';
import { swin } from './swin.ts';
import { huggingFaceNames, torchvisionNames, vit } from './vit.ts';

/** A transformer of 48 blocks with every optional part, so that its keys are all that any transformer of the family has. */
const everything = vit({
  image: 16,
  patch: 16,
  width: 64,
  depth: 48,
  heads: 1,
  classes: 1,
  registers: 1,
  layerScale: true,
  distilled: true,
});

/** transformers' DINOv2, which calls some parts as timm does. */
const dinoNames = [
  [/^reg_token$/, 'vit.embeddings.register_tokens'],
  ...huggingFaceNames.slice(0, 4),
  [/\.attn\.qkv\./, '.attention.attention.qkv.'],
  [/\.attn\.proj\./, '.attention.output.dense.'],
  [/\.ls(\d)\.gamma$/, '.layer_scale$1.lambda1'],
  ...huggingFaceNames.slice(-2),
] as const;

/** transformers' DeiT, with one head or two. */
const deitNames = [[/^dist_token$/, 'vit.embeddings.distillation_token'], ...huggingFaceNames] as const;
const twoHeads = [
  [/^head_dist\./, 'distillation_classifier.'],
  [/^head\./, 'cls_classifier.'],
] as const;

/** DINOv2 as its authors publish it, alone or with a linear classifier. */
const hubNames = [
  [/^reg_token$/, 'register_tokens'],
  [/^(?!head\.)/, 'backbone.'],
  [/^head\./, 'linear_head.'],
] as const;

const renamed = (patterns: Parameters<typeof byPatterns>[0]) => [
  ...otherKeys(everything, byPatterns(patterns)),
];

/** Models inside others are called after their family; alone they have no name before their parts. */
const under = (names: Parameters<typeof byPatterns>[0], ...prefixes: readonly string[]) =>
  prefixes.flatMap((prefix) => renamed([...names, [/^vit\./, prefix]]));

export const vitKeys: OtherKeys = new Map([
  ...renamed(torchvisionNames),
  ...under(dinoNames, '', 'dinov2.', 'dinov2_with_registers.'),
  ...under(deitNames, '', 'vit.', 'deit.'),
  ...under([...twoHeads, ...deitNames], 'deit.'),
  ...renamed(hubNames.slice(0, 1)),
  ...renamed(hubNames),
]);

const deepSwin = swin({
  patch: 4,
  width: 1,
  depths: [48, 48, 48, 48],
  heads: [1, 1, 1, 1],
  window: 1,
  classes: 1,
});

/** Stages by number; `behind` tells whether patches are merged behind a stage or before the next. */
const swinStages = (layers: string, behind: boolean) =>
  [0, 1, 2, 3].flatMap((i) => [
    [new RegExp(`^features\\.${2 * i + 1}\\.(\\d+)\\.`), `${layers}.${i}.blocks.$1.`] as const,
    ...(i > 0
      ? [[new RegExp(`^features\\.${2 * i}\\.`), `${layers}.${behind ? i - 1 : i}.downsample.`] as const]
      : []),
  ]);

const swinTimmNames = (behind: boolean) =>
  [
    [/^features\.0\.0\./, 'patch_embed.proj.'],
    [/^features\.0\.2\./, 'patch_embed.norm.'],
    ...swinStages('layers', behind),
    [/\.mlp\.0\./, '.mlp.fc1.'],
    [/\.mlp\.3\./, '.mlp.fc2.'],
    [/^head\./, behind ? 'head.' : 'head.fc.'],
  ] as const;

const swinHuggingFaceNames = [
  [/^features\.0\.0\./, 'swin.embeddings.patch_embeddings.projection.'],
  [/^features\.0\.2\./, 'swin.embeddings.norm.'],
  ...swinStages('swin.encoder.layers', true),
  [/\.norm1\./, '.layernorm_before.'],
  [/\.norm2\./, '.layernorm_after.'],
  [/\.attn\.qkv\./, '.attention.self.qkv.'],
  [/\.attn\.relative/, '.attention.self.relative'],
  [/\.attn\.proj\./, '.attention.output.dense.'],
  [/\.mlp\.0\./, '.intermediate.dense.'],
  [/\.mlp\.3\./, '.output.dense.'],
  [/^norm\./, 'swin.layernorm.'],
  [/^head\./, 'classifier.'],
] as const;

/** Keys of timm, of the authors, and of transformers. Of the two ways to number merging, the one in the weights. */
export function swinKeys(tensors: StateDict): OtherKeys {
  const behind = [...tensors.keys()].some((key) => /(^|\.)layers\.0\.downsample\./.test(key));
  return new Map(
    [swinTimmNames(behind), swinHuggingFaceNames].flatMap((names) => [
      ...otherKeys(deepSwin, byPatterns(names)),
    ]),
  );
}
