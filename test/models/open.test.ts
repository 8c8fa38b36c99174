// The front door to networks: what it makes of names, files, bytes and URLs, and what it says where it cannot.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { catalogEntry, ModelError } from '../../models/catalog.ts';
import { FormatError } from '../../models/formats/errors.ts';
import { disposeNetwork } from '../../models/network.ts';
import { open } from '../../models/open.ts';
import { device } from '../device.ts';

const weights = catalogEntry('digit-scenes').weights!;

test('a network is opened by its name, its URL, its file or its bytes', async (t) => {
  const bytes = new Uint8Array(readFileSync(weights));
  const file = { name: 'scenes.bin', arrayBuffer: async () => bytes.slice().buffer };
  for (const source of ['digit-scenes', weights, bytes, bytes.slice().buffer, file]) {
    const network = await open(await device(), source, { classes: [...'abcdefghij'] });
    t.deepEqual([network.classes[3], network.targetLayer], ['d', 'features'], String(source).slice(0, 30));
    disposeNetwork(network);
  }
});

test('what cannot be opened is said, with what to do', async (t) => {
  const refused = async (
    source: Parameters<typeof open>[1],
    type: typeof FormatError,
    message: RegExp,
    options = {},
  ) => {
    try {
      await open(await device(), source, options);
      t.fail(`opened: ${message}`);
    } catch (error) {
      t.ok(error instanceof type, String(error));
      t.match((error as Error).message, message);
    }
  };
  await refused('digit-scene', ModelError, /digit-scenes/);
  await refused('alexnet', ModelError, /not published where they could be fetched; open their file/);
  await refused(new Uint8Array(0), FormatError, /empty/);
  await refused(
    new TextEncoder().encode('hello'),
    FormatError,
    /the formats are Keras \.h5.*ONNX\. Export it to ONNX/,
  );
  await refused(
    new TextEncoder().encode('\n<!DOCTYPE html>'),
    FormatError,
    /a web page, .* download the file/,
  );
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n';
  await refused(new TextEncoder().encode(pointer), FormatError, /a pointer of Git LFS.*git lfs pull/);
  await refused(weights, ModelError, /has 10 classes; 2 names/, { classes: ['a', 'b'] });
  const model = {
    modelTopology: {},
    format: 'layers-model',
    weightsManifest: [{ paths: ['w.bin'], weights: [] }],
  };
  await refused(new TextEncoder().encode(JSON.stringify(model)), FormatError, /./);
});
