// Results from a file or a link of anybody's: every value is checked to be what results are made of.

import { FormatError } from '../models/formats/errors.ts';
import { field, isObject, type Json, quote } from '../models/formats/json.ts';
import type { Environment, Measurement, Outcome, Results } from './results.ts';

/** A value as what it has to be; `at` says where it stands. */
type Reader<T> = (value: unknown, at: string) => T;

function refuse(value: unknown, at: string, expected: string): never {
  throw new FormatError(`${at} is ${quote(value)}; expected ${expected}`);
}

const text: Reader<string> = (value, at) => (typeof value === 'string' ? value : refuse(value, at, 'a text'));

const number: Reader<number> = (value, at) =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0
    ? value
    : refuse(value, at, 'a number of at least 0');

const positive: Reader<number> = (value, at) =>
  number(value, at) > 0 ? (value as number) : refuse(value, at, 'a number above 0');

const optional =
  <T>(reader: Reader<T>): Reader<T | undefined> =>
  (value, at) =>
    value === undefined ? undefined : reader(value, at);

const listOf =
  <T>(reader: Reader<T>, least = 0): Reader<T[]> =>
  (value, at) =>
    Array.isArray(value) && value.length >= least
      ? value.map((one, i) => reader(one, `${at}[${i}]`))
      : refuse(value, at, `a list of at least ${least}`);

const object = (value: unknown, at: string): Json =>
  isObject(value) ? value : refuse(value, at, 'an object');

const mapOf =
  <T>(reader: Reader<T>): Reader<Readonly<Record<string, T>>> =>
  (value, at) =>
    Object.fromEntries(
      Object.entries(object(value, at)).map(([name, one]) => [name, reader(one, `${at}.${name}`)]),
    );

/** An object of these fields; others are left out, and so is what is undefined. */
const objectOf =
  <T>(readers: { readonly [K in keyof T]-?: Reader<T[K]> }): Reader<T> =>
  (value, at) => {
    const given = object(value, at);
    const fields = (Object.entries(readers) as [string, Reader<unknown>][]).map(
      ([name, reader]) => [name, reader(field(given, name), `${at}.${name}`)] as const,
    );
    return Object.fromEntries(fields.filter(([, one]) => one !== undefined)) as T;
  };

const environment = objectOf<Environment>({
  date: text,
  commit: optional(text),
  adapter: text,
  cpu: optional(text),
  cores: number,
  platform: text,
  features: optional(listOf(text)),
  limits: optional(mapOf(number)),
  engines: mapOf(objectOf({ version: text, adapter: text })),
  load: optional(number),
  rounds: number,
  seconds: number,
});

const timed = objectOf<Exclude<Outcome, { failed: string }>>({
  first: number,
  samples: listOf(positive, 1),
  repeats: positive,
  difference: number,
});

const outcome: Reader<Outcome> = (value, at) =>
  isObject(value) && field(value, 'failed') !== undefined
    ? objectOf<{ failed: string }>({ failed: text })(value, at)
    : timed(value, at);

const results = objectOf<Results>({
  suite: text,
  environment,
  peaks: objectOf({ flops: positive, bandwidth: positive }),
  work: mapOf(objectOf({ flops: number, bytes: positive })),
  measurements: listOf(objectOf<Measurement>({ case: text, engine: text, variant: optional(text), outcome })),
});

/** Results out of parsed JSON; `where` begins the message of a FormatError. */
export const readResults = (value: unknown, where: string): Results => results(value, where);
