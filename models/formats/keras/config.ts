// A Keras model's configuration -> its layers' calls, in an order in which values come before their users. Models inside
// models are laid open, their layers' names preceded by the inner model's: "outer/inner".

import { FormatError } from '../errors.ts';
import { field, isObject, type Json, quote } from '../json.ts';
import { inOrder } from '../kit.ts';
import type { Operand } from './context.ts';

/** One call of a layer. A layer that is called several times shares its weights between the calls. */
export interface Call {
  readonly layer: string;
  readonly className: string;
  readonly config: Json;
  /** Names of the values it takes and of the value it gives. */
  readonly inputs: readonly string[];
  readonly operand: Operand | undefined;
  readonly output: string;
}

export interface KerasModel {
  readonly calls: readonly Call[];
  /** The values that the network's inputs are called, and their shapes [N, H, W, C] with null where any size will do. */
  readonly inputs: ReadonlyMap<string, readonly (number | null)[]>;
  /** Names of the values that it gives. */
  readonly outputs: readonly string[];
}

const MAX_LAYERS = 10_000;
const MAX_DEPTH = 8;
const MODELS = new Set(['Functional', 'Model', 'Sequential']);
/** The class of the calls that stand for an inner model's inputs and output: they pass a value on. */
export const PASS = 'InputLayer';

/** What a model takes and gives, by the names of its values. */
interface Ends {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Where a model is laid open. */
interface Place {
  readonly file: string;
  /** The calls so far, to which those of the model's layers are added. */
  readonly calls: Call[];
  /** What names begin with: those of the models around, each with a slash. */
  readonly prefix: string;
  readonly depth: number;
}

/** Reads a `model_config`; `file` begins every message. */
export function readConfig(config: Json, file: string): KerasModel {
  const calls: Call[] = [];
  const ends = open(config, { file, calls, prefix: '', depth: 0 });
  const inputs = ends.inputs.map((input) => {
    const shape = inputShape(calls.find((call) => call.output === input)?.config ?? {});
    if (shape) return [input, shape] as const;
    throw new FormatError(
      `${file}: the file does not say what shape the input "${input}" has; save the model after it was built`,
    );
  });
  const byOutput = new Map(calls.map((call) => [call.output, call]));
  if (byOutput.size < calls.length)
    throw new FormatError(`${file}: two layers have the same name once models are laid open`);
  const sorted = inOrder(byOutput, (call) => call.inputs, byOutput.keys(), {
    missing: (name) =>
      new FormatError(`${file}: nothing gives the value ${quote(name)}, which a layer takes`),
    circle: (name) =>
      new FormatError(`${file}: layer ${quote(name)} takes, in a circle, what it gives itself`),
  });
  return { calls: sorted, inputs: new Map(inputs), outputs: ends.outputs };
}

/** Names of the layers of a model that are models themselves. */
export function innerModels(model: Json): Set<string> {
  const layers = layersOf(field(model, 'config'));
  const inner = (Array.isArray(layers) ? layers : []).filter(
    (layer) => isObject(layer) && MODELS.has(field(layer, 'class_name') as string),
  );
  return new Set(inner.map((layer, i) => namedLayer(layer, `inner model ${i}`).name));
}

/** A model's layers in the order of its file, models among them; nothing of what is no layer. */
export function layersIn(model: Json): (NamedLayer & { readonly isModel: boolean; readonly json: Json })[] {
  const layers = layersOf(field(model, 'config'));
  return (Array.isArray(layers) ? layers : []).filter(isObject).map((layer, i) => {
    const named = namedLayer(layer, `layer ${i}`);
    return { ...named, isModel: MODELS.has(named.className), json: layer };
  });
}

/** A model's layers: old Sequential models are arrays of them. */
const layersOf = (config: unknown): unknown => (isObject(config) ? field(config, 'layers') : config);

/** Adds the calls of a model's layers. */
function open(model: Json, place: Place): Ends {
  const { file, calls, prefix, depth } = place;
  const where = prefix === '' ? `${file}: the model` : `${file}: the inner model "${prefix.slice(0, -1)}"`;
  if (depth > MAX_DEPTH) throw new FormatError(`${where} is nested deeper than ${MAX_DEPTH} models`);
  const className = field(model, 'class_name');
  const config = field(model, 'config');
  const layers = layersOf(config);
  if (!MODELS.has(className as string) || !Array.isArray(layers) || layers.length === 0) {
    throw new FormatError(
      `${where} is a ${quote(className)} with layers ${quote(layers)}; expected a ${[...MODELS].join(', ')} with an array of layers`,
    );
  }
  if (layers.length + calls.length > MAX_LAYERS) {
    throw new FormatError(`${where} has more than ${MAX_LAYERS} layers`);
  }
  const named = layers.map((layer, i) => namedLayer(layer, `${where}: layer ${i}`));
  const seen = new Set<string>();
  for (const { name } of named) {
    if (seen.has(name)) throw new FormatError(`${where} has two layers called ${quote(name)}`);
    seen.add(name);
  }
  if (className === 'Sequential') return openSequential(named, isObject(config) ? config : {}, place);

  // How often each layer is called: a reference to the second call of a layer that has one means that one.
  const inbound = new Map(named.map((layer) => [layer.name, inboundOf(layer, where)]));
  const value = ([name, index]: Reference) => {
    const count = inbound.get(name)?.length;
    if (count === undefined)
      throw new FormatError(`${where} refers to a layer ${quote(name)} that it does not have`);
    return prefix + valueName(name, count > 1 ? index : 0);
  };
  for (const layer of named) {
    const uses = inbound.get(layer.name)!;
    if (uses.length + calls.length > MAX_LAYERS)
      throw new FormatError(`${where} has more than ${MAX_LAYERS} calls`);
    uses.forEach(({ references, operand }, k) => {
      const given = { inputs: references.map(value), operand };
      add(layer, given, prefix + valueName(layer.name, k), place);
    });
  }
  const end = (key: string) => {
    const references = referencesIn(field(config as Json, key));
    if (references.length > 0) return references.map(value);
    throw new FormatError(
      `${where} has ${quote(field(config as Json, key))} as ${key}; expected [[layer, 0, 0]]`,
    );
  };
  return { inputs: end('input_layers'), outputs: end('output_layers') };
}

function openSequential(layers: readonly NamedLayer[], config: Json, place: Place): Ends {
  const { calls, prefix } = place;
  const [first] = layers as [NamedLayer];
  let at = prefix + first.name;
  if (first.className !== PASS) {
    // The first layer says what it takes, or the model does: an input layer of its own makes all models alike.
    at = `${prefix}${first.name}/input`;
    const shape =
      inputShape(first.config) ?? field(config, 'build_input_shape') ?? inputShape(innermost(first));
    const settings = { batch_input_shape: shape };
    calls.push({ layer: at, className: PASS, config: settings, inputs: [], operand: undefined, output: at });
  }
  const input = at;
  for (const layer of layers) {
    const output = prefix + layer.name;
    const inputs = layer === first && first.className === PASS ? [] : [at];
    add(layer, { inputs, operand: undefined }, output, place);
    at = output;
  }
  return { inputs: [input], outputs: [at] };
}

/** The configuration of the layer with which a model begins, however deep models stand in each other. */
function innermost({ className, config }: NamedLayer, depth = 0): Json {
  if (!MODELS.has(className) || depth > MAX_DEPTH) return config;
  if (inputShape(config)) return config;
  const layers = layersOf(config);
  const [first] = Array.isArray(layers) ? layers : [];
  return first === undefined ? config : innermost(namedLayer(first, 'the first layer'), depth + 1);
}

/** One call of a layer; of an inner model, its layers' calls between its inputs and its output. */
function add(
  layer: NamedLayer,
  { inputs, operand }: Pick<Call, 'inputs' | 'operand'>,
  output: string,
  place: Place,
): void {
  const { file, calls, prefix, depth } = place;
  const { name, className, config } = layer;
  if (!MODELS.has(className)) {
    calls.push({ layer: prefix + name, className, config, inputs, operand, output });
    return;
  }
  const before = calls.length;
  const ends = open({ class_name: className, config }, { ...place, prefix: `${output}/`, depth: depth + 1 });
  if (ends.inputs.length !== inputs.length || ends.outputs.length !== 1) {
    throw new FormatError(
      `${file}: the inner model ${quote(output)} has ${ends.inputs.length} inputs and ${ends.outputs.length} outputs; ` +
        `it is called with ${inputs.length} and one is used`,
    );
  }
  for (let i = before; i < calls.length; i++) {
    const from = ends.inputs.indexOf(calls[i]!.output);
    if (from >= 0) calls[i] = { ...calls[i]!, inputs: [inputs[from]!] };
  }
  const last = [ends.outputs[0]!];
  calls.push({ layer: output, className: PASS, config: {}, inputs: last, operand: undefined, output });
}

interface NamedLayer {
  readonly name: string;
  readonly className: string;
  readonly config: Json;
  readonly inbound: unknown;
}

function namedLayer(layer: unknown, where: string): NamedLayer {
  if (!isObject(layer)) throw new FormatError(`${where} is ${quote(layer)}, not an object`);
  const className = field(layer, 'class_name');
  const config = field(layer, 'config');
  // Old Sequential models nest a model's layers without an object around them.
  const settings = isObject(config) ? config : { layers: config };
  const name = field(layer, 'name') ?? field(settings, 'name');
  if (typeof className !== 'string' || typeof name !== 'string' || name === '' || name.length > 500) {
    throw new FormatError(
      `${where} has class_name ${quote(className)} and name ${quote(name)}; both must be texts`,
    );
  }
  return { name, className, config: settings, inbound: field(layer, 'inbound_nodes') };
}

/** The value that call k of a layer gives. */
const valueName = (layer: string, k: number) => (k === 0 ? layer : `${layer}#${k}`);

type Reference = readonly [layer: string, call: number];

/** What a call gives a layer: values, and perhaps a number. */
interface InboundCall {
  readonly references: Reference[];
  readonly operand: Operand | undefined;
}

/** What Keras 2 calls a first argument that is a number: ["_CONSTANT_VALUE", -1, 0.5, {...}]. */
const NUMBER = '_CONSTANT_VALUE';
/** The names of an operation's second argument. */
const SECOND = ['y', 'x2', 'bias'];

/**
 * The arguments of a call. In addition to references, operations take numbers: in Keras 2 by name behind the first argument,
 * ["layer", 0, 0, {y: 3}], in Keras 3 among the arguments.
 */
function argumentsIn(call: unknown): InboundCall {
  const isOperation = Array.isArray(call) && typeof call[0] === 'string';
  const named = isOperation ? call[3] : isObject(call) ? field(call, 'kwargs') : undefined;
  const second = (isObject(named) ? SECOND.map((key) => field(named, key)) : []).find(
    (value) => (value ?? null) !== null,
  );
  const first = isOperation && call[0] === NUMBER ? call[2] : call;
  const positional = isObject(first) ? field(first, 'args') : [first];
  const given = [...(Array.isArray(positional) ? positional : []), ...(second === undefined ? [] : [second])];
  const numbers = given.flatMap((one, i) =>
    isNumbers(one) ? [{ numbers: [one].flat() as number[], first: i === 0 }] : [],
  );
  return { references: referencesIn(given.filter((one) => !isNumbers(one))), operand: numbers[0] };
}

const isNumbers = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 && value.every(Number.isFinite) : Number.isFinite(value);

/** A layer's calls, each a list of references to values; an input layer has one without any. */
function inboundOf({ name, inbound, className }: NamedLayer, where: string): InboundCall[] {
  if (className === PASS) return [{ references: [], operand: undefined }];
  if (!Array.isArray(inbound) || inbound.length === 0) {
    throw new FormatError(
      `${where}: layer ${quote(name)} is never called: its inbound_nodes are ${quote(inbound)}`,
    );
  }
  return inbound.map((call) => {
    const found = argumentsIn(call);
    if (found.references.length > 0) return found;
    throw new FormatError(
      `${where}: layer ${quote(name)} is called with ${quote(call)}; expected references like ["layer", 0, 0]`,
    );
  });
}

/**
 * References to values in a call: [layer, call, 0, ...] (Keras 2) or {class_name: "__keras_tensor__", config:
 * {keras_history: [layer, call, 0]}} (Keras 3), alone or in arrays. Other outputs than a layer's first are none.
 */
function referencesIn(value: unknown, depth = 0): Reference[] {
  if (depth > 4) return [];
  if (Array.isArray(value)) {
    const [layer, call, output] = value;
    if (typeof layer !== 'string') return value.flatMap((item) => referencesIn(item, depth + 1));
    return Number.isSafeInteger(call) && call >= 0 && output === 0 ? [[layer, call]] : [];
  }
  if (!isObject(value)) return [];
  const config = field(value, 'config');
  if (field(value, 'class_name') === '__keras_tensor__' && isObject(config)) {
    return referencesIn(field(config, 'keras_history'), depth + 1);
  }
  return referencesIn(field(value, 'args'), depth + 1);
}

/** [N, ...] as an input layer or a first layer gives it: Keras 2, Keras 3. */
function inputShape(config: Json): readonly (number | null)[] | undefined {
  const shape = field(config, 'batch_input_shape') ?? field(config, 'batch_shape');
  return Array.isArray(shape) ? shape : undefined;
}
