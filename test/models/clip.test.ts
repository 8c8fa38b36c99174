// CLIP: its graphs against what OpenAI's model.py computes, written again in float64; published keys; what texts become.

import test from 'tape';
import { disposeExplanation, explain } from '../../cam/index.ts';
import { LimelightError, scope, tensor } from '../../engine/index.ts';
import {
  type ClipOptions,
  clip,
  clipKeys,
  clipReader,
  clipUnusedKeys,
} from '../../models/architectures/clip.ts';
import { adaptTensors } from '../../models/architectures/index.ts';
import { type CatalogEntry, catalog, catalogEntry } from '../../models/catalog.ts';
import { dryRun } from '../../models/dry-run.ts';
import type { HostTensor, StateDict } from '../../models/formats/host-tensor.ts';
import { evaluate, INPUT, parameterCount } from '../../models/graph.ts';
import { HubError } from '../../models/hub/remote-file.ts';
import { readTokenizer } from '../../models/hub/tokenizer.ts';
import { disposeNetwork, loadNetwork } from '../../models/network.ts';
import { recognise } from '../../models/recognise.ts';
import { defaultTargetLayer, targetLayers } from '../../models/target-layer.ts';
import { device } from '../device.ts';
import { array, avgPool2d, batchNorm, conv2d, relativeError, seededRandom } from '../reference/index.ts';

const common = { embedding: 24, vocabulary: 30, reads: { width: 128, depth: 2 }, targetLayer: '' } as const;
const small: Readonly<Record<string, ClipOptions>> = {
  transformer: { ...common, size: 24, sees: { patch: 8, width: 64, depth: 2 } },
  ResNet: { ...common, size: 64, sees: { blocks: [1, 2, 1, 1], channels: 8 } },
};
const texts = [
  [28, 3, 7, 1, 29],
  [28, 5, 29],
];

/** A state dict with OpenAI's keys and shapes, seeded. */
function openai({ size, sees, reads, embedding, vocabulary }: ClipOptions): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  const next = seededRandom(size);
  const put = (key: string, shape: readonly number[], low: number, high: number) => {
    const data = Float32Array.from(
      { length: shape.reduce((a, b) => a * b, 1) },
      () => low + (high - low) * next(),
    );
    tensors.set(key, { shape, data });
  };
  const weight = (key: string, ...shape: number[]) => {
    const bound = Math.sqrt(3 / shape.slice(1).reduce((a, b) => a * b, 1));
    put(key, shape, -bound, bound);
  };
  const norm = (name: string, width: number) => {
    put(`${name}.weight`, [width], 0.7, 1.3);
    put(`${name}.bias`, [width], -0.2, 0.2);
  };
  const linear = (name: string, out: number, into: number) => {
    weight(`${name}.weight`, out, into);
    put(`${name}.bias`, [out], -0.2, 0.2);
  };
  const blocks = (name: string, width: number, depth: number) => {
    for (let i = 0; i < depth; i++) {
      const part = `${name}.resblocks.${i}`;
      norm(`${part}.ln_1`, width);
      weight(`${part}.attn.in_proj_weight`, 3 * width, width);
      put(`${part}.attn.in_proj_bias`, [3 * width], -0.2, 0.2);
      linear(`${part}.attn.out_proj`, width, width);
      norm(`${part}.ln_2`, width);
      linear(`${part}.mlp.c_fc`, 4 * width, width);
      linear(`${part}.mlp.c_proj`, width, 4 * width);
    }
  };
  if ('patch' in sees) {
    const { width, patch, depth } = sees;
    weight('visual.conv1.weight', width, 3, patch, patch);
    put('visual.class_embedding', [width], -0.5, 0.5);
    put('visual.positional_embedding', [(size / patch) ** 2 + 1, width], -0.5, 0.5);
    norm('visual.ln_pre', width);
    blocks('visual.transformer', width, depth);
    norm('visual.ln_post', width);
    put('visual.proj', [width, embedding], -0.2, 0.2);
  } else {
    const convNorm = (conv: string, bn: string, out: number, into: number, kernel: number) => {
      weight(`${conv}.weight`, out, into, kernel, kernel);
      norm(bn, out);
      put(`${bn}.running_mean`, [out], -0.2, 0.2);
      put(`${bn}.running_var`, [out], 0.5, 1.5);
      tensors.set(`${bn}.num_batches_tracked`, { shape: [], data: Float32Array.of(1) });
    };
    const c = sees.channels;
    convNorm('visual.conv1', 'visual.bn1', c / 2, 3, 3);
    convNorm('visual.conv2', 'visual.bn2', c / 2, c / 2, 3);
    convNorm('visual.conv3', 'visual.bn3', c, c / 2, 3);
    let from = c;
    for (const [stage, count] of sees.blocks.entries()) {
      for (let i = 0; i < count; i++) {
        const [name, width] = [`visual.layer${stage + 1}.${i}`, c * 2 ** stage];
        convNorm(`${name}.conv1`, `${name}.bn1`, width, from, 1);
        convNorm(`${name}.conv2`, `${name}.bn2`, width, width, 3);
        convNorm(`${name}.conv3`, `${name}.bn3`, 4 * width, width, 1);
        if (i === 0) convNorm(`${name}.downsample.0`, `${name}.downsample.1`, 4 * width, from, 1);
        from = 4 * width;
      }
    }
    put('visual.attnpool.positional_embedding', [(size / 32) ** 2 + 1, from], -0.5, 0.5);
    for (const part of ['q', 'k', 'v']) linear(`visual.attnpool.${part}_proj`, from, from);
    linear('visual.attnpool.c_proj', embedding, from);
  }
  put('token_embedding.weight', [vocabulary, reads.width], -1, 1);
  put('positional_embedding', [77, reads.width], -0.5, 0.5);
  blocks('transformer', reads.width, reads.depth);
  norm('ln_final', reads.width);
  put('text_projection', [reads.width, embedding], -0.2, 0.2);
  tensors.set('logit_scale', { shape: [], data: Float32Array.of(1.5) });
  return tensors;
}

type Rows = readonly (readonly number[])[];

/** What OpenAI's model computes of a picture and texts, in float64, text by text and without padding. */
function reference({ size, sees, reads }: ClipOptions, tensors: StateDict, picture: Float32Array): number[] {
  const values = (key: string) => [...tensors.get(key)!.data];
  const rows = (key: string): number[][] => {
    const { shape, data } = tensors.get(key)!;
    const width = shape[1]!;
    return Array.from({ length: shape[0]! }, (_, i) => [...data.slice(i * width, (i + 1) * width)]);
  };
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, one, i) => sum + one * b[i]!, 0);
  const plus = (a: Rows, b: Rows) => a.map((row, i) => row.map((one, j) => one + b[i]![j]!));
  const linear = (x: Rows, weight: Rows, bias: readonly number[]) =>
    x.map((row) => weight.map((w, i) => dot(row, w) + bias[i]!));
  const layerNorm = (x: Rows, name: string) =>
    x.map((row) => {
      const mean = row.reduce((a, b) => a + b) / row.length;
      const variance = row.reduce((sum, one) => sum + (one - mean) ** 2, 0) / row.length;
      const [w, b] = [values(`${name}.weight`), values(`${name}.bias`)];
      return row.map((one, i) => ((one - mean) / Math.sqrt(variance + 1e-5)) * w[i]! + b[i]!);
    });
  const attention = (q: Rows, k: Rows, v: Rows, causal: boolean) => {
    const width = q[0]!.length;
    return q.map((row, t) => {
      const mixed: number[] = [];
      for (let head = 0; head < width; head += 64) {
        const part = (one: readonly number[]) => one.slice(head, head + 64);
        const scores = k.map((other, s) => (causal && s > t ? -Infinity : dot(part(row), part(other)) / 8));
        const most = Math.max(...scores);
        const exponentials = scores.map((one) => Math.exp(one - most));
        const total = exponentials.reduce((a, b) => a + b);
        for (let i = head; i < head + 64; i++)
          mixed.push(v.reduce((sum, other, s) => sum + (exponentials[s]! / total) * other[i]!, 0));
      }
      return mixed;
    });
  };
  const transformer = (x: Rows, name: string, depth: number, causal: boolean) => {
    let state = x;
    for (let i = 0; i < depth; i++) {
      const part = `${name}.resblocks.${i}`;
      const packed = linear(
        layerNorm(state, `${part}.ln_1`),
        rows(`${part}.attn.in_proj_weight`),
        values(`${part}.attn.in_proj_bias`),
      );
      const width = state[0]!.length;
      const [q, k, v] = [0, 1, 2].map((p) => packed.map((row) => row.slice(p * width, (p + 1) * width)));
      const out = (y: Rows, layer: string) =>
        linear(y, rows(`${part}.${layer}.weight`), values(`${part}.${layer}.bias`));
      state = plus(state, out(attention(q!, k!, v!, causal), 'attn.out_proj'));
      const hidden = out(layerNorm(state, `${part}.ln_2`), 'mlp.c_fc');
      const active = hidden.map((row) => row.map((z) => z / (1 + Math.exp(-1.702 * z))));
      state = plus(state, out(active, 'mlp.c_proj'));
    }
    return state;
  };
  const projected = (row: readonly number[], key: string) =>
    rows(key)[0]!.map((_, j) => row.reduce((sum, one, i) => sum + one * rows(key)[i]![j]!, 0));
  const array64 = (key: string) => array(tensors.get(key)!.shape, tensors.get(key)!.data);
  const x = array([1, 3, size, size], picture);
  const cellsOf = ({ shape: [, channels, h, w], data }: typeof x): number[][] =>
    Array.from({ length: h! * w! }, (_, cell) =>
      Array.from({ length: channels! }, (_, c) => data[c * h! * w! + cell]!),
    );

  let image: readonly number[];
  if ('patch' in sees) {
    const { patch, depth } = sees;
    const map = conv2d(x, array64('visual.conv1.weight'), { stride: [patch, patch] });
    const tokens = plus(
      [values('visual.class_embedding'), ...cellsOf(map)],
      rows('visual.positional_embedding'),
    );
    const state = transformer(layerNorm(tokens, 'visual.ln_pre'), 'visual.transformer', depth, false);
    image = projected(layerNorm(state, 'visual.ln_post')[0]!, 'visual.proj');
  } else {
    const convNorm = (y: typeof x, conv: string, bn: string, stride = 1) => {
      const weight = array64(`${conv}.weight`);
      const p = (weight.shape[2]! - 1) / 2;
      const z = conv2d(y, weight, { stride: [stride, stride], padding: [p, p, p, p] });
      const own = (short: string) => array64(`${bn}.${short}`);
      return batchNorm(z, own('running_mean'), own('running_var'), own('weight'), own('bias'));
    };
    const relu = (y: typeof x) =>
      array(
        y.shape,
        y.data.map((one) => Math.max(one, 0)),
      );
    const halved = (y: typeof x) => avgPool2d(y, { kernel: [2, 2], stride: [2, 2] });
    let y = relu(convNorm(x, 'visual.conv1', 'visual.bn1', 2));
    y = relu(convNorm(y, 'visual.conv2', 'visual.bn2'));
    y = halved(relu(convNorm(y, 'visual.conv3', 'visual.bn3')));
    for (const [stage, count] of sees.blocks.entries()) {
      for (let i = 0; i < count; i++) {
        const name = `visual.layer${stage + 1}.${i}`;
        const shrinks = stage > 0 && i === 0;
        let z = relu(convNorm(y, `${name}.conv1`, `${name}.bn1`));
        z = relu(convNorm(z, `${name}.conv2`, `${name}.bn2`));
        z = convNorm(shrinks ? halved(z) : z, `${name}.conv3`, `${name}.bn3`);
        const skip =
          i > 0 ? y : convNorm(shrinks ? halved(y) : y, `${name}.downsample.0`, `${name}.downsample.1`);
        y = relu(
          array(
            z.shape,
            z.data.map((one, at) => one + skip.data[at]!),
          ),
        );
      }
    }
    const cells = cellsOf(y);
    const mean = cells[0]!.map((_, c) => cells.reduce((sum, cell) => sum + cell[c]!, 0) / cells.length);
    const tokens = plus([mean, ...cells], rows('visual.attnpool.positional_embedding'));
    const part = (short: string, of: Rows) =>
      linear(of, rows(`visual.attnpool.${short}.weight`), values(`visual.attnpool.${short}.bias`));
    const seen = attention(
      part('q_proj', tokens.slice(0, 1)),
      part('k_proj', tokens),
      part('v_proj', tokens),
      false,
    );
    image = part('c_proj', seen)[0]!;
  }

  return texts.map((tokens) => {
    const embedded = tokens.map((token) => rows('token_embedding.weight')[token]!);
    const placed = plus(embedded, rows('positional_embedding').slice(0, tokens.length));
    const state = layerNorm(transformer(placed, 'transformer', reads.depth, true), 'ln_final');
    const text = projected(state.at(-1)!, 'text_projection');
    const cosine = dot(image, text) / Math.sqrt(dot(image, image) * dot(text, text));
    return Math.exp(1.5) * cosine;
  });
}

/** The same weights as transformers keeps them. */
function huggingFace(tensors: StateDict, width: number): StateDict {
  const names = [
    ['visual.conv1.', 'vision_model.embeddings.patch_embedding.'],
    ['visual.class_embedding', 'vision_model.embeddings.class_embedding'],
    ['visual.positional_embedding', 'vision_model.embeddings.position_embedding.weight'],
    ['visual.ln_pre.', 'vision_model.pre_layrnorm.'],
    ['visual.transformer.resblocks.', 'vision_model.encoder.layers.'],
    ['visual.ln_post.', 'vision_model.post_layernorm.'],
    ['visual.proj', 'visual_projection.weight'],
    ['token_embedding.', 'text_model.embeddings.token_embedding.'],
    ['positional_embedding', 'text_model.embeddings.position_embedding.weight'],
    ['transformer.resblocks.', 'text_model.encoder.layers.'],
    ['ln_final.', 'text_model.final_layer_norm.'],
    ['text_projection', 'text_projection.weight'],
  ] as const;
  const inner = [
    ['.ln_1.', '.layer_norm1.'],
    ['.ln_2.', '.layer_norm2.'],
    ['.attn.', '.self_attn.'],
    ['.mlp.c_fc.', '.mlp.fc1.'],
    ['.mlp.c_proj.', '.mlp.fc2.'],
  ] as const;
  const out = new Map<string, HostTensor>();
  for (const [key, { shape, data }] of tensors) {
    const [from, to] = names.find(([start]) => key.startsWith(start)) ?? ['', ''];
    const name = inner.reduce((at, [a, b]) => at.replace(a, b), to + key.slice(from.length));
    const [rows, columns = 1] = shape as [number, number];
    if (name.includes('in_proj_')) {
      for (const [i, part] of ['q', 'k', 'v'].entries()) {
        const size = data.length / 3;
        const apart = { shape: [rows / 3, ...shape.slice(1)], data: data.slice(i * size, (i + 1) * size) };
        out.set(name.replace('in_proj_', `${part}_proj.`), apart);
      }
    } else if (name.endsWith('projection.weight')) {
      const turned = data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!);
      out.set(name, { shape: [columns, rows], data: turned });
    } else out.set(name, { shape, data });
  }
  const count = (tensors.get('visual.positional_embedding')?.shape[0] ?? 0) / width;
  out.set('vision_model.embeddings.position_ids', { shape: [1, 1], data: Float32Array.of(count) });
  return out;
}

const entryOf = (options: ClipOptions): CatalogEntry => {
  const graph = clip(options, texts);
  const architecture = {
    graph: () => graph,
    targetLayer: '',
    inputSize: [options.size, options.size],
    otherKeys: clipKeys,
    unusedKeys: clipUnusedKeys,
  } as const;
  return { ...catalogEntry('clip-vit-base-patch32'), graph, architecture, classes: ['one', 'other'] };
};

for (const [kind, options] of Object.entries(small)) {
  test(`CLIP with a ${kind}: logits as OpenAI's model has them`, async (t) => {
    const on = await device();
    const weights = openai(options);
    const entry = entryOf(options);
    const next = seededRandom(5);
    const picture = Float32Array.from({ length: 3 * options.size ** 2 }, () => 2 * next() - 1);
    const expected = reference(options, weights, picture);
    const sources = {
      OpenAI: weights,
      ...('patch' in options.sees && { 'Hugging Face': huggingFace(weights, 64) }),
    };
    for (const [publisher, tensors] of Object.entries(sources)) {
      const own = adaptTensors(entry.architecture!, entry.graph, tensors);
      const network = loadNetwork(on, entry, own);
      const logits = scope(() => {
        const x = tensor(on, picture, [1, 3, options.size, options.size]);
        const inputs = new Map([[INPUT, x]]);
        return evaluate(network.graph, network.parameters, inputs, ['similarity']).get('similarity')!;
      });
      t.deepEqual(logits.shape, [1, 2]);
      const error = relativeError(await logits.data(), expected);
      t.ok(error < 1e-4, `${publisher}'s keys: error ${error.toExponential(1)} of ${expected}`);
      logits.dispose();
      disposeNetwork(network);
    }
  });
}

test('a map of a text is that of its class', async (t) => {
  const on = await device();
  const options = small.transformer!;
  const entry = { ...entryOf(options), targetLayer: 'visual.blocks.1.norm1' };
  const network = loadNetwork(on, entry, adaptTensors(entry.architecture!, entry.graph, openai(options)));
  const next = seededRandom(6);
  const x = tensor(
    on,
    Float32Array.from({ length: 3 * 24 * 24 }, () => 2 * next() - 1),
    [1, 3, 24, 24],
  );
  const methods = ['grad-cam', 'hires-cam', 'gae', 'attn-lrp', 'score-cam-fast'];
  const found = await explain(network, x, { methods, classes: ['other'] });
  for (const one of found) {
    t.deepEqual(one.map.shape, [3, 3], one.method);
    t.ok((await one.map.data()).every(Number.isFinite), `${one.method} is finite`);
    disposeExplanation(one);
  }
  disposeNetwork(network);
});

/** As OpenAI's paper and the logs of its loaders give them. */
const documented = {
  'clip-vit-base-patch32': 151_277_313,
  'clip-vit-base-patch16': 149_620_737,
  'clip-rn50': 102_007_137,
} as const;
for (const [name, count] of Object.entries(documented)) {
  test(`${name} has the published size, and is explained where its entry says`, (t) => {
    const { graph, targetLayer, published } = catalogEntry(name);
    t.equal(
      graph.nodes.reduce((total, node) => total + parameterCount(node), 0),
      count,
    );
    const dry = dryRun(graph, [1, 3, 224, 224]);
    if (name === 'clip-rn50') t.ok(targetLayers(dry).has(targetLayer), 'the last map before it is pooled');
    else t.equal(defaultTargetLayer(dry), targetLayer);
    // float32, and the statistics of batch norms.
    t.ok(Math.abs(published!.weights.bytes / (4 * count) - 1) < 0.01, 'the file is as large as its numbers');
    t.end();
  });
}

test('texts become classes and tokens, and what cannot be read is said', (t) => {
  const { read, standard } = clipReader(small.transformer!);
  t.deepEqual(read(standard).classes, ['a photo of a cat', 'a photo of a dog'], 'without a vocabulary');
  const tokenizer = (text: string) => [28, ...Array.from(text, () => 1), 29];
  const one = read(' a cat ', tokenizer);
  t.deepEqual([one.classes, one.probabilities], [['a cat'], 'none']);
  t.equal(read('a | b', tokenizer).probabilities, 'softmax');
  const refused = (text: string, message: RegExp, by?: typeof tokenizer) => {
    t.throws(() => read(text, by), message);
    t.throws(() => read(text, by), LimelightError);
  };
  refused('a cat', /"a cat" cannot be read without the network's vocabulary.*fetchTokenizer/);
  refused('a |', /has an empty text/, tokenizer);
  refused('', /has an empty text/, tokenizer);
  refused('x'.repeat(76), /has 76 tokens; the network takes 75 at most/, tokenizer);
  t.end();
});

test('weights of CLIP are not taken for a network that nobody named', async (t) => {
  t.equal(recognise(catalog.values(), openai(small.transformer!)), undefined);
  t.end();
});

test('a tokenizer.json is read, and what is none is refused', async (t) => {
  const letters = ['c', 'a', 't', 's'];
  const vocabulary = [...letters, ...letters.map((one) => `${one}</w>`), 'ca', 'cat</w>', '<s>', '</s>'];
  const special = (content: string) => ({
    ...{ id: vocabulary.indexOf(content), content, special: true, normalized: true },
    ...{ single_word: false, lstrip: false, rstrip: false },
  });
  // As the published one is made: words by a pattern, pairs merged, a token before and one after.
  const content = {
    version: '1.0',
    added_tokens: [special('<s>'), special('</s>')],
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: {
      type: 'Split',
      pattern: { Regex: '[\\p{L}]+|[^\\s\\p{L}]+' },
      behavior: 'Removed',
      invert: true,
    },
    post_processor: {
      type: 'RobertaProcessing',
      ...{ sep: ['</s>', 11], cls: ['<s>', 10], trim_offsets: false, add_prefix_space: false },
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true },
    model: {
      type: 'BPE',
      ...{ unk_token: '</s>', end_of_word_suffix: '</w>', continuing_subword_prefix: '', fuse_unk: false },
      vocab: Object.fromEntries(vocabulary.map((token, i) => [token, i])),
      merges: ['c a', 'ca t</w>'],
    },
  };
  const tokenizer = await readTokenizer(JSON.stringify(content), 'tokenizer.json');
  t.deepEqual([...tokenizer('CAT  cats')], [10, 9, 8, 2, 7, 11]);
  for (const wrong of ['{', '{}', '[1]']) {
    const error = await readTokenizer(wrong, 'tokenizer.json').then(
      () => undefined,
      (cause: unknown) => cause as Error,
    );
    t.ok(error instanceof HubError, `${wrong} is refused, as no tokenizer`);
    t.match(error?.message ?? '', /tokenizer\.json is no tokenizer/);
  }
});
