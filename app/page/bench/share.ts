// Results as a file, which makes a row of the table of machines, and as a link, which holds them itself.

import { deflateSync, inflateSync } from 'fflate';
import { readResults } from '../../../bench/read-results.ts';
import type { Results } from '../../../bench/results.ts';
import { FormatError } from '../../../models/formats/errors.ts';
import { parseObject } from '../../../models/formats/json.ts';

const PREFIX = '#results=';
/** Characters of a link: browsers and chats cut longer ones, and nothing so short unpacks to much. */
const LONGEST = 1 << 16;

/** Times to four digits. */
const shortened = (_: string, value: unknown) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;

/** The fragment of an address that holds results. */
export function fragmentOf(results: Results): string {
  const packed = deflateSync(new TextEncoder().encode(JSON.stringify(results, shortened)), { level: 9 });
  const base64 = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(''));
  return PREFIX + base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** The results in a fragment; undefined where it is about something else. Throws a FormatError where it is damaged. */
export function resultsIn(fragment: string): Results | undefined {
  if (!fragment.startsWith(PREFIX)) return undefined;
  const base64 = fragment.slice(PREFIX.length).replaceAll('-', '+').replaceAll('_', '/');
  if (base64.length > LONGEST) throw new FormatError(`the link is longer than ${LONGEST} characters`);
  let json: Uint8Array;
  try {
    json = inflateSync(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
  } catch (cause) {
    throw new FormatError('the link is damaged: copy it again, whole', { cause });
  }
  return readResults(parseObject(json, "the link's text"), "the link's results");
}

/** The results in a file of the command line or of this page. Throws a FormatError where it is something else. */
export async function resultsOf(file: File): Promise<Results> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return readResults(parseObject(bytes, file.name), file.name);
}

/** The file's name: what bench/results has of other adapters. */
export function fileNameOf({ suite, environment }: Results): string {
  const words = environment.adapter.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return `bench-${suite}-${words.join('-').slice(0, 60)}.json`;
}
