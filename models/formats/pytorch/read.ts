// PyTorch's .pt, .pth, .th and .ckpt files: state dicts as torch.save writes them, in a zip archive (since 1.6) or one
// pickle after another (before). Nothing that a file names is run: the few names that make tensors have a meaning here,
// some are set aside, and all others are refused.

import { DTYPES, toFloat32 } from '../dtypes.ts';
import { FormatError } from '../errors.ts';
import { elementCount, type HostTensor, isSize, type StateDict } from '../host-tensor.ts';
import { isZip, unzip } from '../zip.ts';
import { type Dict, readPickle } from './pickle.ts';

/** Numbers that tensors look into: outside the pickle, under a key. */
interface Storage {
  readonly kind: 'storage';
  readonly dtype: string;
  readonly key: string;
  readonly count: number;
}

/** A tensor as the pickle describes it. */
interface Tensor {
  readonly kind: 'tensor';
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** What the names in a pickle mean here. A pickle itself makes none of these: its objects are maps and arrays. */
type Meaning =
  | Storage
  | Tensor
  | { readonly kind: 'storage type'; readonly dtype: string }
  | { readonly kind: 'function'; readonly call: (args: readonly unknown[]) => unknown }
  // Whatever is no part of weights: its place is kept, its content is not.
  | { readonly kind: 'aside' };

const ASIDE: Meaning = { kind: 'aside' };

const is = <K extends Meaning['kind']>(value: unknown, kind: K): value is Extract<Meaning, { kind: K }> =>
  typeof value === 'object' && value !== null && (value as Partial<Meaning>).kind === kind;

const storageTypes: Readonly<Record<string, string>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
};

const functions: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
  'collections.OrderedDict': ([pairs]) =>
    new Map((Array.isArray(pairs) ? pairs : []).filter(Array.isArray) as [unknown, unknown][]),
  'collections.defaultdict': () => new Map(),
  'torch._utils._rebuild_tensor': rebuilt,
  'torch._utils._rebuild_tensor_v2': rebuilt,
  'torch._utils._rebuild_parameter': ([data]) => data,
  'torch._utils._rebuild_parameter_with_state': ([data]) => data,
};

/** Names that stand in checkpoints for what training needed. Their objects are set aside unread. */
const SET_ASIDE =
  /^(argparse|collections|datetime|easydict|lightning|lightning_fabric|mmcv|mmengine|numpy|omegaconf|pathlib|pytorch_lightning|torch\.optim|typing|yacs)\.|^torch\.(device|Size|float\d*|bfloat16|u?int\d+|long|half|bool|double)$|^(__builtin__|builtins)\.(bool|bytearray|complex|dict|float|frozenset|int|list|object|set|slice|str|tuple)$|^_codecs\.encode$|^copyreg?\._reconstructor$/;

const ADVICE =
  "save the weights alone, torch.save(model.state_dict(), 'weights.pth'), or export the network to ONNX";

function named(name: string): Meaning {
  const [, storage] = /^torch\.(?:cuda\.)?(\w+Storage)$/.exec(name) ?? [];
  if (storage !== undefined && Object.hasOwn(storageTypes, storage)) {
    return { kind: 'storage type', dtype: storageTypes[storage]! };
  }
  if (Object.hasOwn(functions, name)) return { kind: 'function', call: functions[name]! };
  if (SET_ASIDE.test(name)) return ASIDE;
  throw new FormatError(`it names ${name.slice(0, 200)}, which is not read and never run; ${ADVICE}`);
}

const call = (callable: unknown, args: readonly unknown[]): unknown =>
  is(callable, 'function') ? callable.call(args) : ASIDE;

/** PyTorch's own limit. */
const MOST_AXES = 64;

function rebuilt([storage, offset, shape, strides]: readonly unknown[]): Tensor {
  const sizes = (value: unknown): value is number[] =>
    Array.isArray(value) && value.length <= MOST_AXES && value.every(isSize);
  if (
    !is(storage, 'storage') ||
    !isSize(offset) ||
    !sizes(shape) ||
    !sizes(strides) ||
    shape.length !== strides.length
  ) {
    throw new FormatError('it has a tensor whose storage, offset, size or stride is none');
  }
  return { kind: 'tensor', storage, offset, shape, strides };
}

/** A storage by its persistent id: ("storage", type, key, place, count), and what part of another it is, if any. */
function outside(id: unknown): Storage {
  const [kind, type, key, , count, part] = Array.isArray(id) ? id : [];
  if (kind !== 'storage' || !is(type, 'storage type') || typeof key !== 'string' || !isSize(count)) {
    throw new FormatError('it refers to something outside that is no storage');
  }
  if ((part ?? null) !== null) throw new FormatError(`it has a storage that is a part of another; ${ADVICE}`);
  return { kind: 'storage', dtype: type.dtype, key, count };
}

const meanings = { named, call, outside };

/**
 * Reads the state dict of a PyTorch file: the file's dict, or the one inside it that holds the most tensors, leaving the
 * optimiser's aside. `name` stands for the file in messages.
 *
 * @throws {FormatError} if the file is damaged, holds no state dict, or names anything but the parts of one.
 */
export function readPytorch(bytes: Uint8Array, name: string): StateDict {
  try {
    const { value, numbers } = isZip(bytes) ? fromZip(bytes, name) : fromPickles(bytes);
    const entries = [...stateDictIn(value)];
    const limit = { left: 4 * bytes.length };
    return new Map(entries.map(([key, tensor]) => [key, materialised(tensor, key, numbers, limit)]));
  } catch (cause) {
    if (cause instanceof FormatError) {
      throw cause.message.startsWith(`${name}: `)
        ? cause
        : new FormatError(`${name}: ${cause.message}`, { cause });
    }
    throw new FormatError(`${name}: the file is damaged: ${(cause as Error).message}`, { cause });
  }
}

/** Whether a file is a tar archive: its first header says so at 257. */
const isTar = (bytes: Uint8Array): boolean =>
  new TextDecoder('latin1').decode(bytes.subarray(257, 262)) === 'ustar';

/** Where the numbers of a storage are. */
type Numbers = (storage: Storage) => Uint8Array | undefined;

function fromZip(bytes: Uint8Array, name: string): { value: unknown; numbers: Numbers } {
  const files = unzip(bytes, name);
  const pickle = [...files.keys()].find((path) => /^[^/]+\/data\.pkl$/.test(path));
  if (pickle === undefined) throw new FormatError('the archive holds no data.pkl, as PyTorch has it');
  const folder = pickle.slice(0, -'data.pkl'.length);
  if (files.has(`${folder}constants.pkl`)) {
    throw new FormatError(`it is a TorchScript program, which is not read; ${ADVICE}`);
  }
  const order = files.get(`${folder}byteorder`);
  if (order && new TextDecoder().decode(order) !== 'little')
    throw new FormatError(
      'its numbers are big-endian, which is not read; save it on a machine that is little-endian, as nearly all are',
    );
  const { value } = readPickle(files.get(pickle)!, meanings);
  return { value, numbers: ({ key }) => files.get(`${folder}data/${key}`) };
}

/** What files before PyTorch 1.6 begin with: a pickle of this number. */
const MAGIC = 0x1950a86a20f9469cfc6cn;

/** Pickles of a magic number, a version, the system and the data; the storages' keys; their counts and numbers. */
function fromPickles(bytes: Uint8Array): { value: unknown; numbers: Numbers } {
  let at = 0;
  const next = () => {
    const { value, end } = readPickle(bytes, { ...meanings, outside: keep }, at);
    at = end;
    return value;
  };
  const wanted = new Map<string, Storage>();
  const keep = (id: unknown) => {
    const storage = outside(id);
    wanted.set(storage.key, storage);
    return storage;
  };
  if (isTar(bytes)) {
    throw new FormatError(
      "it is a tar archive, as PyTorch before 0.1.10 wrote; a newer PyTorch reads it: torch.save(torch.load('old.pth'), 'new.pth')",
    );
  }
  if (bytes[0] !== 0x80 || next() !== MAGIC) {
    throw new FormatError(`it is neither a zip archive nor a file of torch.save; ${ADVICE}`);
  }
  next();
  next();
  const value = next();
  const keys = next();
  const found = new Map<string, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const key of Array.isArray(keys) ? keys : []) {
    const storage = wanted.get(key);
    if (storage === undefined)
      throw new FormatError('it lists numbers that belong to no tensor; it is damaged');
    const size = storage.count * DTYPES.get(storage.dtype)!.bytes;
    if (at + 8 + size > bytes.length || Number(view.getBigInt64(at, true)) !== storage.count) {
      throw new FormatError('it is cut off before its numbers end');
    }
    found.set(key, bytes.subarray(at + 8, at + 8 + size));
    at += 8 + size;
  }
  return { value, numbers: ({ key }) => found.get(key) };
}

const tensorsOf = (dict: Dict): [string, Tensor][] =>
  [...dict].filter(
    (entry): entry is [string, Tensor] => typeof entry[0] === 'string' && is(entry[1], 'tensor'),
  );

/** The tensors of the dict that has the most of them, the first of several; optimisers keep some for each parameter. */
function stateDictIn(root: unknown): readonly (readonly [string, Tensor])[] {
  const seen = new Set<unknown>();
  const waiting: unknown[] = [root];
  let best: [string, Tensor][] = [];
  for (const value of waiting) {
    if (seen.has(value) || !(value instanceof Map)) continue;
    seen.add(value);
    const here = tensorsOf(value);
    if (here.length > best.length) best = here;
    // Only of texts: the text of tuples in each other can be longer than any memory.
    for (const [key, inner] of value) if (typeof key !== 'string' || !/optim/i.test(key)) waiting.push(inner);
  }
  if (best.length > 0) return best;
  throw new FormatError(`it holds no state dict; ${ADVICE}`);
}

/** A tensor's numbers in row-major order; of all tensors together no more than the limit has left. */
function materialised(
  { storage, offset, shape, strides }: Tensor,
  key: string,
  numbers: Numbers,
  limit: { left: number },
): HostTensor {
  const where = `tensor "${key.slice(0, 100)}"`;
  const dtype = DTYPES.get(storage.dtype)!;
  const bytes = numbers(storage);
  if (bytes === undefined || bytes.length !== storage.count * dtype.bytes) {
    throw new FormatError(`the numbers of ${where} are missing, or not as many as it says`);
  }
  const count = elementCount(shape);
  const last = shape.reduce((sum, size, i) => sum + (size - 1) * strides[i]!, offset);
  limit.left -= count ?? Number.POSITIVE_INFINITY;
  if (
    count === undefined ||
    count > storage.count ||
    (count > 0 && last >= storage.count) ||
    limit.left < 0
  ) {
    throw new FormatError(
      `${where} of size [${shape}] does not fit into its storage of ${storage.count} numbers`,
    );
  }
  const isDense = shape.every((size, i) => size === 1 || strides[i] === elementCount(shape.slice(i + 1)));
  const raw =
    isDense || count === 0
      ? bytes.subarray(offset * dtype.bytes, (offset + count) * dtype.bytes)
      : gathered(bytes, dtype.bytes, { offset, shape, strides }, count);
  return { shape, data: toFloat32(dtype, raw, where) };
}

/** Elements that lie elsewhere than in a row, such as of a transposed tensor, in a row. */
function gathered(
  bytes: Uint8Array,
  width: number,
  { offset, shape, strides }: Pick<Tensor, 'offset' | 'shape' | 'strides'>,
  count: number,
): Uint8Array {
  const out = new Uint8Array(count * width);
  const index = shape.map(() => 0);
  let from = offset;
  for (let i = 0; i < count; i++) {
    out.set(bytes.subarray(from * width, (from + 1) * width), i * width);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
