// Small Keras models as files, made by the tests: layers as Keras writes them, weights as shards or datasets.

import type { Group } from 'h5wasm';
import type { OpenPart } from '../../models/formats/imported.ts';
import { type Array64, randomArray, seededRandom } from '../reference/index.ts';

/** A layer as tests write it: what Keras adds around it is added here. */
export interface LayerSpec {
  readonly class: string;
  readonly name: string;
  readonly config?: Readonly<Record<string, unknown>>;
  /** Names of the layers that it takes; the one before it when left out. */
  readonly from?: readonly string[];
  /** Its one call as the file has it, where that is more than the layers it takes. */
  readonly call?: unknown;
}

/** A functional model of layers behind an input of a shape [H, W, C]; the last layer is the output. */
export function functional(shape: readonly (number | null)[], layers: readonly LayerSpec[]) {
  const input = {
    class_name: 'InputLayer',
    name: 'in',
    config: { name: 'in', batch_input_shape: [null, ...shape] },
  };
  const others = layers.map(({ class: className, name, config, from, call }, i) => ({
    class_name: className,
    name,
    config: { name, ...config },
    inbound_nodes: [call ?? (from ?? [layers[i - 1]?.name ?? 'in']).map((one) => [one, 0, 0, {}])],
  }));
  return {
    class_name: 'Functional',
    config: {
      name: 'model',
      layers: [{ ...input, inbound_nodes: [] }, ...others],
      input_layers: [['in', 0, 0]],
      output_layers: [[layers.at(-1)!.name, 0, 0]],
    },
  };
}

/** Weights in TensorFlow's layouts by their names, "layer/kernel". */
export type Weights = Readonly<Record<string, Array64>>;

/** Random weights, seeded. */
export function weightsOf(shapes: Readonly<Record<string, readonly number[]>>, seed = 1): Weights {
  const next = seededRandom(seed);
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, randomArray(shape, next)]));
}

/** Opens files that lie in memory; anything else is an error of the test's own. */
export const memory =
  (files: Readonly<Record<string, Uint8Array>>): OpenPart =>
  async (name) => {
    if (Object.hasOwn(files, name)) return files[name]!;
    throw new Error(`there is no ${name}`);
  };

export const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** A layers-model with one shard. */
export function tfjsFiles(config: unknown, weights: Weights, kerasVersion = '2.4.0') {
  const entries = Object.entries(weights);
  const root = {
    format: 'layers-model',
    modelTopology: { keras_version: kerasVersion, backend: 'tensorflow', model_config: config },
    weightsManifest: [
      {
        paths: ['group1-shard1of1.bin'],
        weights: entries.map(([name, { shape }]) => ({ name, shape, dtype: 'float32' })),
      },
    ],
  };
  const shard = new Uint8Array(Float32Array.from(entries.flatMap(([, { data }]) => [...data])).buffer);
  return { root, shard };
}

/** HDF5's number for checksums of chunks. */
export const FLETCHER32 = 3;

/** How a file is laid out where it is not as Keras lays it out. */
export interface H5Layout {
  /** The newest version of every structure, which have checksums. */
  readonly newest?: boolean;
  /** Texts on HDF5's global heap. */
  readonly heap?: boolean;
  /** Weights in chunks, compressed or with checksums; the filter's name or HDF5's number of it. */
  readonly packed?: 'gzip' | typeof FLETCHER32;
}

/**
 * A file as `model.save('name.h5')` of Keras 2 writes it: each layer's weights in a group of its name. `config` is the
 * configuration or its JSON.
 */
export async function h5File(config: unknown, weights: Weights, layout: H5Layout = {}): Promise<Uint8Array> {
  const { newest, heap, packed } = layout;
  const library = await import('h5wasm');
  const { FS } = await library.ready;
  const path = '/made-by-a-test.h5';
  const file = new library.File(path, 'w', newest ? { libver: 'latest' } : {});
  const layerOf = (name: string) => name.slice(0, name.indexOf('/'));
  const layers = [...new Set(Object.keys(weights).map(layerOf))];
  const note = (group: Group, name: string, text: string | string[]) => {
    const longest = Math.max(1, ...[text].flat().map((one) => one.length));
    group.create_attribute(name, text, null, heap ? undefined : `S${longest}`);
  };
  note(file, 'keras_version', '2.4.0');
  note(file, 'model_config', typeof config === 'string' ? config : JSON.stringify(config));
  const root = file.create_group('model_weights');
  note(root, 'layer_names', layers);
  for (const layer of layers) {
    const own = Object.entries(weights).filter(([name]) => layerOf(name) === layer);
    const group = root.create_group(layer);
    note(
      group,
      'weight_names',
      own.map(([name]) => `${name}:0`),
    );
    for (const [name, { shape, data }] of own) {
      const path = `${name}:0`;
      const folders = path.split('/').slice(0, -1);
      for (let i = 1; i <= folders.length; i++) {
        const folder = folders.slice(0, i).join('/');
        if (group.get(folder) === null) group.create_group(folder);
      }
      group.create_dataset({
        name: path,
        data: Float32Array.from(data),
        shape: [...shape],
        ...(packed && { chunks: shape.map((n) => Math.ceil(n / 2)), compression: packed }),
      });
    }
  }
  file.close();
  const bytes = FS.readFile(path) as Uint8Array;
  FS.unlink(path);
  return bytes;
}
