// Networks by name on the command line: weights from a hub that is a server of this process.

import { createHash } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { chooseModel } from '../../app/cli/load.ts';
import { catalogEntry } from '../../models/catalog.ts';
import { writeSafetensors } from '../../models/formats/safetensors.ts';
import { fetchTokenizer } from '../../models/hub/index.node.ts';
import { published } from '../../models/hub/published.ts';
import { disposeNetwork, loadNetwork } from '../../models/network.ts';
import { open } from '../../models/open.ts';
import { device } from '../device.ts';
import { hasStack, inFolder, limelightBeside, scene } from './limelight.ts';

const name = 'mobilenetv3_small_100';
const labels = Array.from({ length: 1000 }, (_, i) => `class ${i}`).join('\n');

interface Hub {
  /** The environment of a process that knows this hub and an empty cache. */
  readonly env: { readonly HF_ENDPOINT: string; readonly LIMELIGHT_CACHE: string };
  readonly labels: string;
  readonly cached: () => string[];
}

function withHub(title: string, answer: RequestListener, body: (t: Test, hub: Hub) => Promise<void>): void {
  test(title, (t) =>
    inFolder(async (folder) => {
      const server = createServer(answer);
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
      const cache = join(folder, 'cache');
      const labelFile = join(folder, 'labels.txt');
      writeFileSync(labelFile, labels);
      const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        await body(t, {
          env: { HF_ENDPOINT: endpoint, LIMELIGHT_CACHE: cache },
          labels: labelFile,
          cached: () => readdirSync(cache).sort(),
        });
      } finally {
        server.closeAllConnections();
        server.close();
      }
    }),
  );
}

const failures: readonly (readonly [title: string, answer: RequestListener, message: RegExp])[] = [
  ['without the file', (_, response) => response.writeHead(404).end(), /answered 404 Not Found/],
  [
    'with another file',
    (_, response) => response.end('something else'),
    /SHA-256\n {2}[0-9a-f]{64}, where\n {2}46d2c063[0-9a-f]{56} is expected; .* is not kept/,
  ],
];
for (const [title, answer, message] of failures) {
  withHub(`a hub ${title} is a failure that leaves nothing`, answer, async (t, hub) => {
    const args = ['explain', scene, '--model', name, '--labels', hub.labels, '--json'];
    const { status, stdout, stderr } = await limelightBeside(hub.env, ...args);
    t.equal(status, 1);
    t.match(stderr, message);
    t.notOk(hasStack(stderr), 'no stack');
    t.equal(stdout, '');
    t.deepEqual(hub.cached(), []);
  });
}

/** Random weights in place of the published ones, with their checksum in the table. */
const made = writeSafetensors(
  catalogEntry(name).graph.nodes.flatMap((node) =>
    Object.entries(node.parameters).map(([short, { key, shape }]) => {
      const data = new Float32Array(shape.reduce((product, n) => product * n, 1));
      return [
        key,
        { shape, data: data.map((_, i) => (short === 'variance' ? 1 : Math.sin(i) / 10)) },
      ] as const;
    }),
  ),
  { dtype: 'F32' },
);

const asked: string[] = [];
withHub(
  'a network by its name is fetched once and loaded',
  ({ url }, response) => {
    asked.push(url!);
    response.writeHead(200, { 'content-length': made.length }).end(made);
  },
  async (t, hub) => {
    const { weights } = published.get(name)!;
    const original = { ...weights };
    const environment = { ...process.env };
    Object.assign(weights, { sha256: createHash('sha256').update(made).digest('hex') });
    Object.assign(process.env, hub.env);
    try {
      for (let again = 0; again < 2; again++) {
        const choice = await chooseModel({ model: name, labels: hub.labels }, true);
        const network = loadNetwork(await device(), choice.description, await choice.tensors!());
        t.equal(network.targetLayer, 'features.12');
        t.equal(network.classes[7], 'class 7');
        t.equal(network.preprocessing.interpolation, 'bicubic');
        disposeNetwork(network);
      }
      const classes = labels.split('\n');
      const network = await open(await device(), name, { classes });
      t.deepEqual(
        [network.targetLayer, network.classes[7]],
        ['features.12', 'class 7'],
        'from the library too',
      );
      t.equal(network.preprocessing.interpolation, 'bicubic');
      disposeNetwork(network);
      t.deepEqual(asked, ['/timm/mobilenetv3_small_100.lamb_in1k/resolve/main/model.safetensors']);
      t.deepEqual(hub.cached(), ['mobilenetv3_small_100.lamb_in1k.safetensors']);
    } finally {
      Object.assign(weights, original);
      for (const key of Object.keys(hub.env)) delete process.env[key];
      Object.assign(process.env, environment);
    }
  },
);

test('looking at a network by its name fetches nothing', async (t) => {
  const { description, exampleSize } = await chooseModel({ model: 'vit_base_patch16_224' }, false);
  t.equal(description.targetLayer, 'blocks.11.norm1');
  t.deepEqual(exampleSize, [224, 224]);
  t.deepEqual(description.preprocessing.mean, [0.5]);
});

/** A vocabulary of single letters, in place of the published one. */
const letters = JSON.stringify({
  version: '1.0',
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: 'Whitespace' },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true },
  model: { type: 'BPE', unk_token: 'a', vocab: { a: 320, b: 7 }, merges: [] },
});
const read: string[] = [];
withHub(
  'the vocabulary of a network that reads texts is fetched where there is a text',
  ({ url }, response) => {
    read.push(url!);
    response.end(letters);
  },
  async (t, hub) => {
    const model = 'clip-vit-base-patch32';
    const tokenizer = published.get(model)!.tokenizer!;
    const original = { ...tokenizer };
    const environment = { ...process.env };
    const sha256 = createHash('sha256').update(letters).digest('hex');
    Object.assign(tokenizer, { sha256 });
    Object.assign(process.env, hub.env);
    try {
      await chooseModel({ model }, false);
      t.deepEqual(read, [], 'not without one');
      const { description } = await chooseModel({ model, text: 'a b | b' }, false);
      t.deepEqual(description.classes, ['a b', 'b']);
      t.equal(description.probabilities, 'softmax');
      const tokens = description.graph.nodes.find(({ name }) => name === 'tokens')!;
      t.deepEqual(tokens.attributes.texts, [
        [320, 7],
        [7, 49407],
      ]);
      t.match(read.join(), /^\/openai\/clip-vit-base-patch32\/resolve\/[0-9a-f]{40}\/tokenizer\.json$/);
      t.deepEqual(hub.cached(), ['clip-tokenizer.json']);
      t.deepEqual([...(await fetchTokenizer(model, { folder: hub.env.LIMELIGHT_CACHE }))('b')], [7]);
      t.equal(read.length, 1, 'and once');
      rmSync(join(hub.env.LIMELIGHT_CACHE, 'clip-tokenizer.json'));
      await open(await device(), model, { text: 'a b' }).then(
        () => t.fail('the hub has no weights'),
        (error: Error) => t.match(error.message, /e6d1bd7789aa/, 'the checksum of the weights'),
      );
      t.match(
        read.slice(1).join(),
        /\/tokenizer\.json,.*\/open_clip_model\.safetensors$/,
        'the library fetches both',
      );
      await fetchTokenizer('resnet18').then(
        () => t.fail('resnet18 has no vocabulary'),
        (error: Error) => t.match(error.message, /resnet18 is not published with a vocabulary/),
      );
    } finally {
      Object.assign(tokenizer, original);
      for (const key of Object.keys(hub.env)) delete process.env[key];
      Object.assign(process.env, environment);
    }
  },
);
