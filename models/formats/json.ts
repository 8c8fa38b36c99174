// Checked access to parsed JSON: nothing in a file is taken for what it should be.

import { FormatError } from './errors.ts';

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A property of the object itself: never one that it inherits, so that names like "constructor" mean nothing. */
export const field = (object: Json, key: string): unknown =>
  Object.hasOwn(object, key) ? object[key] : undefined;

/** A value from a file in a message: on one line and not too long. */
export function quote(value: unknown): string {
  const json = JSON.stringify(value) ?? 'missing';
  return json.length <= 100 ? json : `${json.slice(0, 100)}...`;
}

/** Networks in networks lie some ten deep in each other; what walks through more runs out of stack. */
const MAX_DEPTH = 500;

/** How deep the brackets of a JSON text lie in each other; not by a pattern, whose stack a long string can fill. */
function depthOf(json: string): number {
  let [depth, most] = [0, 0];
  let isText = false;
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === '"') isText = !isText;
    else if (isText && char === '\\') i++;
    else if (!isText && (char === '[' || char === '{')) most = Math.max(most, ++depth);
    else if (!isText && (char === ']' || char === '}')) depth--;
  }
  return most;
}

/** A network's description is some hundred kilobytes; what is larger than this is something else. */
const MAX_JSON_BYTES = 1 << 26;

/** Parses a JSON object; `where` begins the message. */
export function parseObject(source: string | Uint8Array, where: string): Json {
  if (source.length > MAX_JSON_BYTES) {
    throw new FormatError(`${where} takes ${source.length} bytes; at most ${MAX_JSON_BYTES} are read`);
  }
  let value: unknown;
  let text: string;
  try {
    text = typeof source === 'string' ? source : new TextDecoder('utf-8', { fatal: true }).decode(source);
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${where} is not JSON: ${(cause as Error).message.slice(0, 200)}`, { cause });
  }
  if (depthOf(text) > MAX_DEPTH) throw new FormatError(`${where} nests deeper than ${MAX_DEPTH} levels`);
  if (!isObject(value)) throw new FormatError(`${where} is ${quote(value)}, not a JSON object`);
  return value;
}
