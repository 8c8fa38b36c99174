// Class names as tools write them: one a line, JSON, or the text of a Python dict.

import { LimelightError } from '../engine/errors.ts';

/** A file that should hold class names does not, or not as many as the network has classes. */
export class LabelsError extends LimelightError {}

/** What a file of class names may look like, for messages. */
const FORMS =
  'one a line, a JSON array, {"0": "name"}, {"name": 0}, or a config.json or metadata.json that has them';

/**
 * The class names in a text, in the order of the classes; undefined where it holds none. Read are:
 *
 * - one name a line, with its index before it ("0 Cat", Teachable Machine) or a WordNet number ("n01443537 goldfish")
 * - JSON or Python: an array, {0: "Cat"}, {"Cat": 0} (Keras's class_indices), {0: ["n02123045", "Cat"]}
 *   (imagenet_class_index.json), or an object that has one of these as `labels`, `id2label`, `label_names`, …
 */
export function labelsIn(text: string): readonly string[] | undefined {
  const plain = text.replace(/^\uFEFF/, '').trimEnd();
  if (/^\s*[[{]/.test(plain)) return namesIn(parsed(plain));
  if (plain === '') return undefined;
  const lines = plain.split(/\r?\n/).map((line) => line.trim());
  return withoutPrefix(byIndex(lines.map((line) => NUMBERED.exec(line)?.slice(1) ?? [])) ?? lines);
}

/**
 * The names of `count` classes in the text of a file, of which messages speak as `where`. Of two names for one output,
 * the second is that of the class whose score it is, as in Keras's binary classifiers.
 *
 * @throws {LabelsError} if the text holds no names, or another number of them.
 */
export function classNames(text: string, count: number, where: string): readonly string[] {
  const names = labelsIn(text);
  if (names === undefined) throw new LabelsError(`${where}: expected ${count} class names, as ${FORMS}`);
  if (names.length === count) return names;
  if (count === 1 && names.length === 2) return names.slice(1);
  throw new LabelsError(`${where}: expected ${count} class names; it has ${names.length}`);
}

const NUMBERED = /^(\d+)[\s:,;]\s*(\S.*)$/;
/** A WordNet synset before its words. */
const SYNSET = /^n\d+\s+(?=\S)/;

/** What calls its class names: Teachable Machine, Hugging Face, timm, YOLO. */
const HOLDERS = ['labels', 'id2label', 'label2id', 'label_names', 'class_names', 'classes', 'names'];
/** How Hugging Face fills in for names that nobody gave. */
const PLACEHOLDER = /^LABEL_\d+$/;

function namesIn(value: unknown): readonly string[] | undefined {
  if (Array.isArray(value)) return allNamed(value.map(nameOf));
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = new Map<string, unknown>(Object.entries(value));
  for (const holder of HOLDERS) {
    const held = fields.get(holder);
    const names = typeof held === 'object' ? namesIn(held) : undefined;
    if (names) return names;
  }
  const entries = [...fields];
  return (
    allNamed(byIndex(entries.map(([key, held]) => [key, nameOf(held)]))) ??
    byIndex(entries.map(([key, held]) => [held, key]))
  );
}

/** A name, or the last of several: imagenet_class_index.json has the WordNet number before it. */
const nameOf = (value: unknown): unknown => (Array.isArray(value) ? value.at(-1) : value);

function allNamed(names: readonly unknown[] | undefined): readonly string[] | undefined {
  if (names === undefined || names.length === 0) return undefined;
  if (!names.every((name) => typeof name === 'string') || names.every((name) => PLACEHOLDER.test(name)))
    return undefined;
  return names.map((name) => name.trim());
}

/** Names in the order of their indices, which must be 0, 1, 2, … in any order. */
function byIndex<T>(entries: readonly (readonly [index?: unknown, name?: T, ...rest: unknown[]])[]) {
  const names: T[] = [];
  for (const [key, name] of entries) {
    const index =
      typeof key === 'number' || (typeof key === 'string' && /^\d+$/.test(key)) ? Number(key) : -1;
    const fits =
      Number.isInteger(index) && index >= 0 && index < entries.length && !Object.hasOwn(names, index);
    if (!fits || name === undefined) return undefined;
    names[index] = name;
  }
  return names.length === 0 ? undefined : names;
}

const withoutPrefix = (names: readonly string[]): readonly string[] =>
  names.every((name) => SYNSET.test(name)) ? names.map((name) => name.replace(SYNSET, '')) : names;

/**
 * Strings in single quotes, strings in double quotes, numbers as keys, and commas with nothing behind them. A string
 * that does not end goes to the end of the text: were it no match, each quote in it would be tried up to there.
 */
const PYTHON = /'((?:[^'\\]|\\.)*)(?:'|\\?$)|"(?:[^"\\]|\\.)*(?:"|\\?$)|\b(\d+)\b(?=\s*:)|,(?=\s*[\]}])/g;

/** JSON, or a Python literal turned into it; undefined where it is neither. */
function parsed(text: string): unknown {
  const asJson = () =>
    text.replace(PYTHON, (token, single?: string, key?: string) => {
      if (single !== undefined) return `"${single.replace(/\\'/g, "'").replace(/(?<!\\)"/g, '\\"')}"`;
      if (key !== undefined) return `"${key}"`;
      return token === ',' ? '' : token;
    });
  for (const source of [() => text, asJson]) {
    try {
      return JSON.parse(source());
    } catch {
      // Not this kind of text.
    }
  }
  return undefined;
}
