// Files of results: JSON lines that are only ever added to, so that a process that is killed loses at most the pictures
// that it was at.

import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeFolder } from '../../engine/platform/node/folder.ts';
import { difference, type Header, type PictureLine, ResultsError } from './record.ts';

/** Where a picture's line is. */
interface Place {
  readonly file: number;
  readonly start: number;
  readonly length: number;
}

/** Files that are open for reading: their headers, and the last line of each picture. */
export interface Results {
  readonly headers: readonly Header[];
  readonly paths: readonly string[];
  /** Names in order, so that what is added up does not depend on who measured what when. */
  readonly names: readonly string[];
  readonly read: (name: string) => PictureLine;
  /** Names that more than one file has. */
  readonly shared: readonly string[];
  readonly close: () => void;
}

const NEWLINE = 10;
const CHUNK = 2 ** 20;

/** Calls back for each whole line; returns where the last one ends. */
function eachLine(fd: number, use: (text: string, start: number, length: number) => void): number {
  const size = fstatSync(fd).size;
  let [start, rest] = [0, Buffer.alloc(0)];
  for (let at = 0; at < size; ) {
    const chunk = Buffer.alloc(Math.min(CHUNK, size - at));
    const count = readSync(fd, chunk, 0, chunk.length, at);
    if (count === 0) break;
    at += count;
    rest = Buffer.concat([rest, chunk.subarray(0, count)]);
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      use(rest.toString('utf8', 0, end), start, end);
      start += end + 1;
      rest = rest.subarray(end + 1);
    }
  }
  return start;
}

function parsed<T>(text: string, path: string, what: string, is: (value: Partial<T>) => boolean): T {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && is(value as Partial<T>)) return value as T;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw new ResultsError(`${path}: "${text.slice(0, 60)}" is no ${what}; give a file that evaluate wrote`);
}

const isHeader = ({ limelight, settings, shard }: Partial<Header>) =>
  limelight === 'evaluation' && settings !== undefined && shard !== undefined;

/** @throws ResultsError where a file is none that evaluate wrote. */
export function openResults(paths: readonly string[]): Results {
  const files: number[] = [];
  const headers: Header[] = [];
  const places = new Map<string, Place>();
  const shared: string[] = [];
  const close = () => {
    for (const fd of files) closeSync(fd);
  };
  try {
    for (const [file, path] of paths.entries()) {
      if (!existsSync(path)) throw new ResultsError(`${path} is not there`);
      const fd = openSync(path, 'r');
      files.push(fd);
      eachLine(fd, (text, start, length) => {
        if (start === 0) {
          headers.push(parsed<Header>(text, path, 'evaluation', isHeader));
          return;
        }
        const { name } = parsed<PictureLine>(text, path, 'result', (value) => typeof value.name === 'string');
        const before = places.get(name);
        if (before && before.file !== file) shared.push(name);
        places.set(name, { file, start, length });
      });
      if (headers.length === file) throw new ResultsError(`${path} holds no results`);
    }
  } catch (cause) {
    close();
    throw cause;
  }
  return {
    headers,
    paths,
    shared,
    close,
    names: [...places.keys()].sort(),
    read(name) {
      const { file, start, length } = places.get(name)!;
      const bytes = Buffer.alloc(length);
      readSync(files[file]!, bytes, 0, length, start);
      return JSON.parse(bytes.toString('utf8')) as PictureLine;
    },
  };
}

/** A file of results that is added to. */
export interface Writer {
  /** The digests of what was measured before, by name. */
  readonly done: ReadonlyMap<string, string>;
  readonly add: (line: PictureLine) => void;
  readonly close: () => void;
}

/**
 * Opens a file for results, new, or where `resume`, after those that are in it. What a killed process left of a line is
 * cut off.
 *
 * @throws ResultsError where there is a file and `resume` is not asked for, or it is of other settings.
 */
export async function writeResults(path: string, header: Header, resume: boolean): Promise<Writer> {
  await makeFolder(dirname(path));
  const isThere = existsSync(path);
  if (isThere && !resume) {
    throw new ResultsError(`${path} is there already; --resume goes on with it, --out names another folder`);
  }
  const fd = openSync(path, isThere ? 'r+' : 'wx+');
  const done = new Map<string, string>();
  try {
    const end = eachLine(fd, (text, start) => {
      if (start === 0) return assertSame(parsed<Header>(text, path, 'evaluation', isHeader), header, path);
      const line = parsed<PictureLine>(text, path, 'result', (value) => typeof value.name === 'string');
      if ('digest' in line) done.set(line.name, line.digest);
      else done.delete(line.name);
    });
    ftruncateSync(fd, end);
    let at = end;
    const put = (value: unknown) => {
      const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
      // A disk that is nearly full takes a part of what it is given.
      for (let done = 0; done < bytes.length; )
        done += writeSync(fd, bytes, done, bytes.length - done, at + done);
      at += bytes.length;
    };
    if (end === 0) put(header);
    return { done, add: put, close: () => closeSync(fd) };
  } catch (cause) {
    closeSync(fd);
    throw cause;
  }
}

function assertSame(there: Header, header: Header, path: string): void {
  const differs =
    difference(there.settings, header.settings) ??
    (JSON.stringify(there.shard) === JSON.stringify(header.shard)
      ? undefined
      : `it is part ${there.shard.index} of ${there.shard.count}, this ${header.shard.index} of ${header.shard.count}`);
  if (differs === undefined) return;
  throw new ResultsError(`${path} is of another evaluation: ${differs}; --out names another folder`);
}

/**
 * Refuses files that are not all the parts of one evaluation, each once.
 *
 * @throws ResultsError naming the files or what is missing.
 */
export function assertWhole({ headers, paths, shared, names }: Results): void {
  const [first, ...others] = headers as [Header, ...Header[]];
  for (const [i, other] of others.entries()) {
    const differs = difference(first.settings, other.settings);
    if (differs) throw new ResultsError(`${paths[0]} and ${paths[i + 1]} measure differently: ${differs}`);
    if (other.shard.count !== first.shard.count) {
      throw new ResultsError(
        `${paths[0]} is one of ${first.shard.count} parts, ${paths[i + 1]} one of ${other.shard.count}`,
      );
    }
  }
  const found = headers.map(({ shard }) => shard.index);
  const twice = found.findIndex((index, i) => found.indexOf(index) !== i);
  if (twice >= 0) {
    throw new ResultsError(
      `${paths[found.indexOf(found[twice]!)]} and ${paths[twice]} are both part ${found[twice]}`,
    );
  }
  const missing = Array.from({ length: first.shard.count }, (_, i) => i + 1).filter(
    (i) => !found.includes(i),
  );
  if (missing.length > 0) {
    throw new ResultsError(`of ${first.shard.count} parts these are missing: ${missing.join(', ')}`);
  }
  if (shared.length > 0) {
    throw new ResultsError(`${shared.length} pictures are in two parts, "${shared[0]}" the first`);
  }
  if (names.length < first.settings.pictures) {
    throw new ResultsError(
      `${first.settings.pictures - names.length} of ${first.settings.pictures} pictures were not measured yet; ` +
        '--resume of evaluate goes on with a part',
    );
  }
}
