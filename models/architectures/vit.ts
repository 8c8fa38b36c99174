// Vision transformers (Dosovitskiy 2020, section 3.1) as timm names them: patches as tokens behind a class token,
// blocks of attention and of a perceptron, each behind a layer norm and beside a residual.

import { affine } from '../../engine/index.ts';
import type { Graph, GraphNode } from '../graph.ts';
import { plain } from '../layers/node.ts';
import {
  type Activation,
  add,
  addPatchPositions,
  attentionMix,
  attentionProbabilities,
  concat,
  cutIntoPatches,
  gelu,
  layerNorm,
  layerScale,
  linear,
  meanToken,
  prependToken,
  squareToTokens,
  takeToken,
} from '../layers.ts';
import { byPatterns, type OtherKeys, otherKeys } from './other-keys.ts';

export interface VitOptions {
  /** Height and width of the input, a multiple of `patch`. */
  readonly image: number;
  readonly patch: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly classes: number;
  /** Width of the perceptrons' hidden layer; 4 `width` when left out. */
  readonly hidden?: number;
  /** Input channels; 3 when left out. */
  readonly channels?: number;
  /**
   * A second learnt token, with a head of its own: the answer is the mean of both (Touvron 2021, section 4). 'token': of
   * networks that have lost that head.
   */
  readonly distilled?: boolean | 'token';
  /** Further learnt tokens, which nothing is read from (Darcet 2023). */
  readonly registers?: number;
  /** Which tokens have positions, the patches always: all when left out, or no registers, or no learnt ones at all. */
  readonly positioned?: 'all' | 'classes' | 'patches';
  /** Each residual is weighted by a learnt number a channel (Touvron 2021, CaiT). */
  readonly layerScale?: boolean;
  /** What the head sees: the class token (when left out), the mean of the patches, or both; none: there is no head. */
  readonly head?: 'token' | 'mean' | 'both' | 'none';
  /** Convolutions before the patches are cut (Xiao 2021, "Early Convolutions Help Transformers See Better"). */
  readonly stem?: Stem;
}

export interface Stem {
  /** From the node `input`; the last one is cut into patches. */
  readonly nodes: readonly GraphNode[];
  /** Channels of its output. */
  readonly out: number;
  /** Pixels of the input to one of its output, which divides `patch`. */
  readonly stride: number;
}

/** A block of a transformer; what is left out is as in vision transformers. */
export interface BlockOptions extends Pick<VitOptions, 'width' | 'heads' | 'hidden' | 'layerScale'> {
  /** Of the layer norms. */
  readonly epsilon?: number;
  /** Of the perceptron. */
  readonly activation?: Activation;
  /** Whether tokens attend to themselves and those before them alone. */
  readonly causal?: boolean;
}

/** Attention and a perceptron, each behind a layer norm and beside a residual: [N, T, width]. */
export function transformerBlock(
  name: string,
  input: string,
  {
    width,
    heads,
    hidden = 4 * width,
    layerScale: isScaled = false,
    epsilon,
    activation = gelu,
    causal,
  }: BlockOptions,
): GraphNode[] {
  const part = (suffix: string) => `${name}.${suffix}`;
  const scaled = (short: string, from: string) =>
    isScaled ? [layerScale(part(short), from, part(`${short}.gamma`), [width])] : [];
  return [
    layerNorm(part('norm1'), input, width, epsilon),
    linear(part('attn.qkv'), part('norm1'), { in: width, out: 3 * width }),
    attentionProbabilities(part('attn.probabilities'), part('attn.qkv'), heads, causal),
    attentionMix(part('attn.mix'), part('attn.probabilities'), part('attn.qkv'), heads),
    linear(part('attn.proj'), part('attn.mix'), { in: width, out: width }),
    ...scaled('ls1', part('attn.proj')),
    add(part('attn'), input, part(isScaled ? 'ls1' : 'attn.proj')),
    layerNorm(part('norm2'), part('attn'), width, epsilon),
    linear(part('mlp.fc1'), part('norm2'), { in: width, out: hidden }),
    activation(part('mlp.act'), part('mlp.fc1')),
    linear(part('mlp.fc2'), part('mlp.act'), { in: hidden, out: width }),
    ...scaled('ls2', part('mlp.fc2')),
    add(name, part('attn'), part(isScaled ? 'ls2' : 'mlp.fc2')),
  ];
}

/**
 * A vision transformer. Its tokens [N, 1 + T, width] are the class token and T = (image / patch)^2 patches, row by row.
 * Attention can be read at `blocks.<i>.attn.probabilities` [N, heads, 1 + T, 1 + T].
 */
export function vit(options: VitOptions): Graph {
  const { image, patch, width, depth, channels = 3, stem, distilled, registers = 0 } = options;
  const { positioned = 'all' } = options;
  const before = stem ?? { nodes: [], out: channels, stride: 1 };
  const classTokens = distilled ? ['dist_token', 'cls_token'] : ['cls_token'];
  const registerTokens = registers > 0 ? ['reg_token'] : [];
  const order = {
    all: [...registerTokens, ...classTokens, 'pos_embed'],
    classes: [...classTokens, 'pos_embed', ...registerTokens],
    patches: ['pos_embed', ...registerTokens, ...classTokens],
  }[positioned];
  const learnt = { all: classTokens.length + registers, classes: classTokens.length, patches: 0 }[positioned];
  const side = image / patch;
  const embedded = order.map((name, i) => {
    const input = order[i - 1] ?? 'patch_embed';
    if (name === 'pos_embed') return addPatchPositions(name, input, { learnt, side, width });
    return prependToken(name, input, width, name === 'reg_token' ? registers : 1);
  });
  const names = Array.from({ length: depth }, (_, i) => `blocks.${i}`);
  const first = positioned === 'classes' ? registers : 0;
  return {
    nodes: [
      ...before.nodes,
      cutIntoPatches('patch_embed.proj', before.nodes.at(-1)?.name ?? 'input', {
        in: before.out,
        out: width,
        patch: patch / before.stride,
      }),
      squareToTokens('patch_embed', 'patch_embed.proj'),
      ...embedded,
      ...names.flatMap((name, i) => transformerBlock(name, names[i - 1] ?? order.at(-1)!, options)),
      ...heads(options, names.at(-1) ?? order.at(-1)!, first, classTokens.length + registers),
    ],
    output: distilled === true ? 'logits' : options.head === 'none' ? 'token' : 'head',
  };
}

/** What follows the blocks: `first` is where the class token stands, `learnt` how many tokens are no patches. */
function heads(
  { width, classes, distilled, head = 'token' }: VitOptions,
  input: string,
  first: number,
  learnt: number,
): GraphNode[] {
  if (head === 'mean') {
    return [
      meanToken('mean', input, learnt),
      layerNorm('fc_norm', 'mean', width),
      linear('head', 'fc_norm', { in: width, out: classes }),
    ];
  }
  const token = [layerNorm('norm', input, width), takeToken('token', 'norm', first)];
  if (head === 'none') return token;
  if (head === 'both') {
    const mean = [meanToken('mean', 'norm', learnt), concat('both', ['token', 'mean'])];
    return [...token, ...mean, linear('head', 'both', { in: 2 * width, out: classes })];
  }
  const answer = linear('head', 'token', { in: width, out: classes });
  return [...token, answer, ...(distilled === true ? distilledHead(width, classes) : [])];
}

/** The mean of the class token's logits and the distillation token's. */
const distilledHead = (width: number, classes: number): GraphNode[] => [
  takeToken('token_dist', 'norm', 1),
  linear('head_dist', 'token_dist', { in: width, out: classes }),
  add('heads', 'head', 'head_dist'),
  plain('logits', 'mean', ['heads'], (sum) => affine(sum, 0.5, 0)),
];

/** timm's name of a part, and torchvision's. The packed queries, keys and values are stored alike. */
export const torchvisionNames = [
  [/^patch_embed\.proj\./, 'conv_proj.'],
  [/^cls_token$/, 'class_token'],
  [/^pos_embed$/, 'encoder.pos_embedding'],
  [/^blocks\.(\d+)\./, 'encoder.layers.encoder_layer_$1.'],
  [/\.norm(\d)\./, '.ln_$1.'],
  [/\.attn\.qkv\./, '.self_attention.in_proj_'],
  [/\.attn\.proj\./, '.self_attention.out_proj.'],
  [/\.mlp\.fc1\./, '.mlp.0.'],
  [/\.mlp\.fc2\./, '.mlp.3.'],
  [/^norm\./, 'encoder.ln.'],
  [/^head\./, 'heads.head.'],
] as const;

/** Keys of torchvision's VisionTransformer. */
export const vitTorchvisionKeys = (graph: Graph): OtherKeys => otherKeys(graph, byPatterns(torchvisionNames));

/** timm's name of a part, and that of Hugging Face's transformers, which store queries, keys and values apart. */
export const huggingFaceNames = [
  [/^patch_embed\.proj\./, 'vit.embeddings.patch_embeddings.projection.'],
  [/^cls_token$/, 'vit.embeddings.cls_token'],
  [/^pos_embed$/, 'vit.embeddings.position_embeddings'],
  [/^blocks\.(\d+)\./, 'vit.encoder.layer.$1.'],
  [/\.norm1\./, '.layernorm_before.'],
  [/\.norm2\./, '.layernorm_after.'],
  [/\.attn\.qkv\./, '.attention.attention.qkv.'],
  [/\.attn\.proj\./, '.attention.output.dense.'],
  [/\.mlp\.fc1\./, '.intermediate.dense.'],
  [/\.mlp\.fc2\./, '.output.dense.'],
  [/^norm\./, 'vit.layernorm.'],
  [/^head\./, 'classifier.'],
] as const;

/** Keys of transformers' ViTForImageClassification. */
export const vitHuggingFaceKeys = (graph: Graph): OtherKeys => otherKeys(graph, byPatterns(huggingFaceNames));

const both = [
  ...huggingFaceNames.slice(0, 3),
  [/^dist_token$/, 'vit.embeddings.distillation_token'] as const,
];

/** Keys of transformers' DeiTForImageClassificationWithTeacher. */
export const deitHuggingFaceKeys = (graph: Graph): OtherKeys =>
  otherKeys(
    graph,
    byPatterns([
      [/^head_dist\./, 'distillation_classifier.'],
      [/^head\./, 'cls_classifier.'],
      ...both,
      ...huggingFaceNames.slice(3, -1),
      [/^vit\./, 'deit.'],
    ]),
  );

const imagenet = { image: 224, patch: 16, depth: 12 } as const;

/** DeiT's sizes (Touvron 2021, table 1): tiny, small, base. */
export const vitTiny = (classes = 1000): Graph => vit({ ...imagenet, width: 192, heads: 3, classes });
export const vitSmall = (classes = 1000): Graph => vit({ ...imagenet, width: 384, heads: 6, classes });
export const vitBase = (classes = 1000): Graph => vit({ ...imagenet, width: 768, heads: 12, classes });

export const deitTiny = (classes = 1000): Graph =>
  vit({ ...imagenet, width: 192, heads: 3, classes, distilled: true });
export const deitSmall = (classes = 1000): Graph =>
  vit({ ...imagenet, width: 384, heads: 6, classes, distilled: true });
export const deitBase = (classes = 1000): Graph =>
  vit({ ...imagenet, width: 768, heads: 12, classes, distilled: true });

/** Larger patches, and more of everything (Dosovitskiy 2020, table 1). */
export const vitBase32 = (classes = 1000): Graph =>
  vit({ ...imagenet, patch: 32, width: 768, heads: 12, classes });
const large = { ...imagenet, width: 1024, depth: 24, heads: 16 } as const;
export const vitLarge = (classes = 1000): Graph => vit({ ...large, classes });
export const vitLarge32 = (classes = 1000): Graph => vit({ ...large, patch: 32, classes });
