// CLIP (Radford 2021, "Learning Transferable Visual Models From Natural Language Supervision"): a picture and texts become
// embeddings, and cosines between them say how well each text fits. As OpenAI published it, of whose keys the graph's are
// shorter forms.

import { concat, LimelightError, mean } from '../../engine/index.ts';
import type { HostTensor, StateDict } from '../formats/host-tensor.ts';
import type { Graph, GraphNode } from '../graph.ts';
import { swish } from '../layers/functions.ts';
import { plain } from '../layers/node.ts';
import {
  type Activation,
  add,
  addPatchPositions,
  addPositions,
  applied,
  attentionMix,
  attentionProbabilities,
  avgPool,
  cutIntoPatches,
  layerNorm,
  linear,
  prependToken,
  relu,
  similarity,
  squareToTokens,
  takeToken,
  takeTokens,
  textsTogether,
  tokenEmbeddings,
} from '../layers.ts';
import { type TextReader, textClasses } from '../text.ts';
import { type Centred, convNorm } from './blocks.ts';
import { byPatterns, type OtherKeys, otherKeys } from './other-keys.ts';
import { transformerBlock } from './vit.ts';

/** A transformer of heads 64 wide. */
interface Tower {
  readonly width: number;
  readonly depth: number;
}

export interface ClipOptions {
  /** Height and width of the input. */
  readonly size: number;
  /** What sees the picture: a vision transformer, or a ResNet of these blocks and channels. */
  readonly sees:
    | (Tower & { readonly patch: number })
    | { readonly blocks: readonly number[]; readonly channels: number };
  readonly reads: Tower;
  /** Numbers of an embedding. */
  readonly embedding: number;
  /** Tokens that there are; the last one ends a text. */
  readonly vocabulary: number;
  /** The node that is explained by default. */
  readonly targetLayer: string;
}

const published = {
  size: 224,
  embedding: 512,
  vocabulary: 49_408,
  reads: { width: 512, depth: 12 },
} as const;

const visionBase = { width: 768, depth: 12 } as const;
const lastAttention = 'visual.blocks.11.norm1';

/** Those of OpenAI's that are published as safetensors, by the names that Hugging Face gives them. */
export const clips: Readonly<Record<string, ClipOptions>> = {
  'clip-vit-base-patch32': {
    ...published,
    sees: { ...visionBase, patch: 32 },
    targetLayer: lastAttention,
  },
  'clip-vit-base-patch16': {
    ...published,
    sees: { ...visionBase, patch: 16 },
    targetLayer: lastAttention,
  },
  'clip-rn50': {
    ...published,
    sees: { blocks: [3, 4, 6, 3], channels: 64 },
    embedding: 1024,
    targetLayer: 'visual.layer4.2',
  },
};

/** Tokens of the longest text, with those that begin and end it. */
const CLIP_LENGTH = 77;

/** Of a head of attention. */
const HEAD_WIDTH = 64;

/** x / (1 + exp(-1.702 x)), which OpenAI took for GELU. */
const quickGelu: Activation = (name, input) => applied(swish(1.702), name, input);

function transformer(name: string, input: string, { width, depth }: Tower, causal: boolean): GraphNode[] {
  const names = Array.from({ length: depth }, (_, i) => `${name}.${i}`);
  const options = { width, heads: width / HEAD_WIDTH, epsilon: 1e-5, activation: quickGelu, causal };
  return names.flatMap((block, i) => transformerBlock(block, names[i - 1] ?? input, options));
}

/** Patches behind a class token, whose last state is projected. */
function visionTransformer({ size, sees, embedding }: ClipOptions & { sees: Tower & { patch: number } }) {
  const { width, depth, patch } = sees;
  const side = size / patch;
  return [
    cutIntoPatches('visual.conv1', 'input', { in: 3, out: width, patch, bias: false }),
    squareToTokens('visual.patches', 'visual.conv1'),
    prependToken('visual.class_embedding', 'visual.patches', width),
    addPatchPositions('visual.positional_embedding', 'visual.class_embedding', { learnt: 1, side, width }),
    layerNorm('visual.ln_pre', 'visual.positional_embedding', width, 1e-5),
    ...transformer('visual.blocks', 'visual.ln_pre', sees, false),
    takeToken('visual.token', `visual.blocks.${depth - 1}`, 0),
    layerNorm('visual.ln_post', 'visual.token', width, 1e-5),
    linear('visual.proj', 'visual.ln_post', { in: width, out: embedding, bias: false }),
  ];
}

/** A bottleneck whose strides are means over windows (Zhang 2019, "Making Convolutional Networks Shift-Invariant Again"). */
function bottleneck(name: string, input: string, from: number, width: number, stride: number): GraphNode[] {
  const part = (suffix: string) => `${name}.${suffix}`;
  const pooled = (suffix: string, at: string) =>
    stride > 1 ? [avgPool(part(suffix), at, { kernel: stride, stride })] : [];
  const convs: readonly Centred[] = [
    { in: from, out: width, kernel: 1 },
    { in: width, out: width, kernel: 3 },
    { in: width, out: 4 * width, kernel: 1 },
  ];
  const projected = stride > 1 || from !== 4 * width;
  return [
    ...convNorm([part('conv1'), part('bn1')], input, convs[0]!),
    relu(part('relu1'), part('bn1')),
    ...convNorm([part('conv2'), part('bn2')], part('relu1'), convs[1]!),
    relu(part('relu2'), part('bn2')),
    ...pooled('avgpool', part('relu2')),
    ...convNorm([part('conv3'), part('bn3')], part(stride > 1 ? 'avgpool' : 'relu2'), convs[2]!),
    ...(projected
      ? [
          ...pooled('downsample.pool', input),
          ...convNorm(
            [part('downsample.0'), part('downsample.1')],
            stride > 1 ? part('downsample.pool') : input,
            { in: from, out: 4 * width, kernel: 1 },
          ),
        ]
      : []),
    add(part('add'), part('bn3'), projected ? part('downsample.1') : input),
    relu(name, part('add')),
  ];
}

/** A ResNet with three convolutions before its blocks, and attention of the mean to all cells behind them. */
function resnet({
  size,
  sees: { blocks, channels },
  embedding,
}: ClipOptions & { sees: { blocks: readonly number[]; channels: number } }): GraphNode[] {
  const stem = [3, channels / 2, channels / 2, channels];
  const nodes = stem.slice(1).flatMap((out, i) => [
    ...convNorm([`visual.conv${i + 1}`, `visual.bn${i + 1}`], i === 0 ? 'input' : `visual.relu${i}`, {
      in: stem[i]!,
      out,
      kernel: 3,
      stride: i === 0 ? 2 : 1,
    }),
    relu(`visual.relu${i + 1}`, `visual.bn${i + 1}`),
  ]);
  nodes.push(avgPool('visual.avgpool', 'visual.relu3', { kernel: 2, stride: 2 }));
  let [input, from] = ['visual.avgpool', channels];
  for (const [stage, count] of blocks.entries()) {
    const width = channels * 2 ** stage;
    for (let i = 0; i < count; i++) {
      const name = `visual.layer${stage + 1}.${i}`;
      nodes.push(...bottleneck(name, input, from, width, stage > 0 && i === 0 ? 2 : 1));
      [input, from] = [name, 4 * width];
    }
  }
  const side = size / 2 ** (blocks.length + 1);
  const heads = from / HEAD_WIDTH;
  return [
    ...nodes,
    squareToTokens('visual.cells', input),
    plain('visual.tokens', 'prependMean', ['visual.cells'], (x) => concat([mean(x, [1], true), x], 1)),
    addPatchPositions('visual.attnpool.positional_embedding', 'visual.tokens', {
      learnt: 1,
      side,
      width: from,
    }),
    linear('visual.attnpool.qkv', 'visual.attnpool.positional_embedding', { in: from, out: 3 * from }),
    attentionProbabilities('visual.attnpool.probabilities', 'visual.attnpool.qkv', heads),
    attentionMix('visual.attnpool.mix', 'visual.attnpool.probabilities', 'visual.attnpool.qkv', heads),
    takeToken('visual.attnpool.token', 'visual.attnpool.mix', 0),
    linear('visual.attnpool.c_proj', 'visual.attnpool.token', { in: from, out: embedding }),
  ];
}

/**
 * A picture and texts, each as tokens from that which begins a text to that which ends it -> cosines between their embeddings
 * times exp(logit_scale): [N, texts].
 */
export function clip(options: ClipOptions, texts: readonly (readonly number[])[]): Graph {
  const { sees, reads, embedding, vocabulary } = options;
  const seen = 'patch' in sees ? visionTransformer({ ...options, sees }) : resnet({ ...options, sees });
  const length = Math.max(...texts.map((tokens) => tokens.length));
  // What stands behind a text's end is seen by nothing that is read.
  const filled = texts.map((tokens) => Array.from({ length }, (_, i) => tokens[i] ?? vocabulary - 1));
  const ends = texts.map((tokens) => tokens.length - 1);
  return {
    nodes: [
      ...seen,
      tokenEmbeddings('tokens', 'token_embedding.weight', filled, { vocabulary, width: reads.width }),
      addPositions('positional_embedding', 'tokens', CLIP_LENGTH, reads.width),
      ...transformer('blocks', 'positional_embedding', reads, true),
      layerNorm('ln_final', `blocks.${reads.depth - 1}`, reads.width, 1e-5),
      takeTokens('ends', 'ln_final', ends),
      linear('text_projection', 'ends', { in: reads.width, out: embedding, bias: false }),
      textsTogether('texts', 'text_projection'),
      similarity('similarity', seen.at(-1)!.name, 'texts'),
    ],
    output: 'similarity',
    outputs: new Map([
      ['similarity', 'similarity'],
      ['image', seen.at(-1)!.name],
      ['text', 'text_projection'],
    ]),
  };
}

/** Read when no text is given, with their tokens, so that a network can be looked at without its vocabulary. */
const STANDARD: ReadonlyMap<string, readonly number[]> = new Map([
  ['a photo of a cat', [49406, 320, 1125, 539, 320, 2368, 49407]],
  ['a photo of a dog', [49406, 320, 1125, 539, 320, 1929, 49407]],
]);

export const clipReader = (options: ClipOptions): TextReader => ({
  is: 'texts to be told apart: "a cat | a dog on a sofa"',
  standard: [...STANDARD.keys()].join(' | '),
  read(text, tokenizer) {
    const said = textClasses(text);
    const tokens = said.classes.map((one) => {
      const found = tokenizer?.(one) ?? STANDARD.get(one);
      if (found === undefined)
        throw new LimelightError(
          `"${one}" cannot be read without the network's vocabulary; give { tokenizer: await fetchTokenizer(name) }`,
        );
      if (found.length <= CLIP_LENGTH) return found;
      throw new LimelightError(
        `"${one}" has ${found.length - 2} tokens; the network takes ${CLIP_LENGTH - 2} at most`,
      );
    });
    return { ...said, graph: clip(options, tokens) };
  },
});

/** The graph's name of a part, and OpenAI's. Queries, keys and values are packed, but for those of the pooling attention. */
const openaiNames = [
  [/^visual\.blocks\./, 'visual.transformer.resblocks.'],
  [/^blocks\./, 'transformer.resblocks.'],
  [/\.norm(\d)\./, '.ln_$1.'],
  [/\.attn\.qkv\./, '.attn.in_proj_'],
  [/\.attn\.proj\./, '.attn.out_proj.'],
  [/\.mlp\.fc1\./, '.mlp.c_fc.'],
  [/\.mlp\.fc2\./, '.mlp.c_proj.'],
] as const;

/** The graph's name of a part, and that of Hugging Face's transformers, which store queries, keys and values apart. */
const huggingFaceNames = [
  [/^visual\.conv1\./, 'vision_model.embeddings.patch_embedding.'],
  [/^visual\.class_embedding$/, 'vision_model.embeddings.class_embedding'],
  [/^visual\.positional_embedding$/, 'vision_model.embeddings.position_embedding.weight'],
  [/^visual\.ln_pre\./, 'vision_model.pre_layrnorm.'],
  [/^visual\.blocks\./, 'vision_model.encoder.layers.'],
  [/^visual\.ln_post\./, 'vision_model.post_layernorm.'],
  [/^visual\.proj\./, 'visual_projection.'],
  [/^token_embedding\./, 'text_model.embeddings.token_embedding.'],
  [/^positional_embedding$/, 'text_model.embeddings.position_embedding.weight'],
  [/^blocks\./, 'text_model.encoder.layers.'],
  [/^ln_final\./, 'text_model.final_layer_norm.'],
  [/\.norm(\d)\./, '.layer_norm$1.'],
  [/\.attn\.qkv\./, '.self_attn.qkv.'],
  [/\.attn\.proj\./, '.self_attn.out_proj.'],
] as const;

export const clipKeys = (graph: Graph): OtherKeys =>
  new Map([...otherKeys(graph, byPatterns(openaiNames)), ...otherKeys(graph, byPatterns(huggingFaceNames))]);

/** What OpenAI and Hugging Face keep beside the parameters. */
export const clipUnusedKeys = /(^|\.)position_ids$|^(input_resolution|context_length|vocab_size)$/;

/** OpenAI's projections are matrices [in, out] to multiply by from the right: as the weights [out, in] of linear layers. */
export function withLinearProjections(tensors: StateDict): StateDict {
  const turned = new Map(tensors);
  for (const key of ['visual.proj', 'text_projection']) {
    const found = tensors.get(key);
    if (found?.shape.length !== 2) continue;
    turned.delete(key);
    turned.set(`${key}.weight`, transposed(found));
  }
  return turned;
}

function transposed({ data, shape }: HostTensor): HostTensor {
  const [rows, columns] = shape as [number, number];
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) out[(i % columns) * rows + Math.floor(i / columns)] = data[i]!;
  return { shape: [columns, rows], data: out };
}
