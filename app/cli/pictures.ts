// Which pictures a command is asked for: files, folders, patterns, a list of them, and what comes through a pipe.

import { createReadStream, existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, extname, isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bytes } from '#platform';
import { DeviceLostError, LimelightError } from '../../engine/index.ts';
import type { HostTensor } from '../../models/formats/host-tensor.ts';
import { readNpy } from '../../models/formats/npy.ts';
import type { Pixels } from '../../models/pixels.ts';
import type { Shard } from '../evaluation/record.ts';
import { partOf } from '../evaluation/shard.ts';
import type { Background } from '../image/alpha.ts';
import { decodeImage, formatOf, ImageError } from '../image/decode.ts';
import { OutputError } from '../image/errors.ts';
import { signatureOf } from '../image/signature.ts';
import { describeError, UsageError } from './errors.ts';
import { complain, note } from './progress.ts';

/** A picture that is read when it is its turn. */
export interface Picture {
  /** As messages call it: its path. */
  readonly name: string;
  /** How the names of files that are made of it begin. */
  readonly stem: string;
  readonly read: () => Promise<Uint8Array>;
}

/** Standard input, among the pictures. */
const STDIN = '-';
/** Endings of what a folder or pattern stands for: its pictures, or its arrays where there are none. */
const ENDINGS = [/\.(png|jpe?g|webp)$/i, /\.npy$/i];
const ofOneKind = (files: readonly string[]): string[] =>
  ENDINGS.map((ending) => files.filter((file) => ending.test(file)).sort()).find(
    ({ length }) => length > 0,
  ) ?? [];

/** A picture in a file. */
export const pictureAt = (path: string, stem = basename(path, extname(path))): Picture => ({
  name: path,
  stem,
  read: () => bytes(pathToFileURL(path)),
});

/** Which pictures, besides those that arguments name. */
export interface PictureArguments {
  /** A file with a path a line. */
  readonly list?: string;
  /** How many processes they are divided among; 1 unless told. */
  readonly jobs?: number;
  /** The part of them that this process takes; all unless told. */
  readonly shard?: Shard;
}

/**
 * The pictures that arguments and a list name. Of what is named, all must be there, and one at least must begin like a
 * picture.
 *
 * @throws UsageError where nothing is named, or what cannot be divided is to be, LimelightError where something is not
 * there or nothing is a picture.
 */
export async function findPictures(
  named: readonly string[],
  { list, jobs = 1, shard = { index: 1, count: 1 } }: PictureArguments = {},
): Promise<() => AsyncGenerator<Picture>> {
  const listed = list === undefined ? [] : await linesOf(list);
  const paths: string[] = [];
  for (const name of [...named, ...listed]) paths.push(...(await pathsOf(name)));
  if (paths.length === 0) throw new UsageError('no picture is named; give files, folders or - for a pipe');
  if (jobs > 1 && paths.includes(STDIN))
    throw new UsageError('what comes through a pipe cannot be divided; leave --jobs out');
  await expectPicture(paths);
  const names = stems(paths);
  const mine = partOf([...paths.entries()], shard);
  return async function* () {
    for (const [i, path] of mine) {
      if (path === STDIN) yield* piped();
      else yield pictureAt(path, names[i]);
    }
  };
}

const linesOf = async (path: string): Promise<string[]> =>
  new TextDecoder()
    .decode(await bytes(pathToFileURL(path)))
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '');

/** The paths that an argument stands for: its own, those of a folder's pictures, or those that fit a pattern. */
async function pathsOf(name: string): Promise<string[]> {
  if (name === STDIN) return [name];
  if (statSync(name, { throwIfNoEntry: false })?.isDirectory()) {
    const found = ofOneKind(await readdir(name));
    if (found.length > 0) return found.map((file) => join(name, file));
    throw new LimelightError(`${name}: it is a folder without .png, .jpg, .jpeg, .webp or .npy files`);
  }
  if (existsSync(name)) return [name];
  const { glob, isDynamicPattern } = await import('tinyglobby');
  if (!isDynamicPattern(name)) throw new LimelightError(`cannot read ${name}: there is no such file`);
  const found = ofOneKind(await glob(name, { absolute: isAbsolute(name), expandDirectories: false }));
  if (found.length > 0) return found;
  throw new LimelightError(`${name}: no .png, .jpg, .jpeg, .webp or .npy file fits this pattern`);
}

/** How many bytes tell a picture's format. */
const BEGINNING = 64;

/** Refuses paths of which none begins like a picture, before any work is done for them. */
async function expectPicture(paths: readonly string[]): Promise<void> {
  const faults: unknown[] = [];
  for (const path of paths) {
    try {
      // What cannot be read is left to whoever reads the whole, who says why not.
      if (path === STDIN) return;
      const beginning = await beginningOf(path).catch(() => bytes(pathToFileURL(path)));
      if (!isArray(beginning)) formatOf(beginning, path);
      return;
    } catch (error) {
      faults.push(error);
    }
  }
  for (const fault of faults.slice(0, -1)) complain(describeError(fault));
  throw faults.at(-1);
}

async function beginningOf(path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of createReadStream(path, { end: BEGINNING - 1 })) parts.push(part);
  return Buffer.concat(parts);
}

/** The pictures that come through standard input. */
async function* piped(): AsyncGenerator<Picture> {
  let count = 0;
  for await (const bytes of picturesIn(process.stdin)) {
    const name = `stdin-${++count}`;
    yield { name, stem: name, read: async () => bytes };
  }
  if (count === 0) throw new ImageError('standard input is empty; expected a picture');
}

/** More are no picture of 64 megapixels. */
const MAX_BYTES = 2 ** 29;

/**
 * The pictures of a stream: PNGs, one after another, each as soon as it is whole; or one picture of another kind.
 *
 * @throws ImageError where the stream is none, or does not end.
 */
export async function* picturesIn(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array();
  for await (const part of stream) {
    rest = Buffer.concat([rest, part]);
    if (rest.length >= BEGINNING) formatOf(rest, 'standard input');
    for (let end = endOfPng(rest); end !== undefined; end = endOfPng(rest)) {
      yield rest.subarray(0, end);
      rest = rest.subarray(end);
    }
    if (rest.length > MAX_BYTES)
      throw new ImageError(`standard input: a picture of more than ${MAX_BYTES / 2 ** 20} MiB is not read`);
  }
  if (rest.length > 0) yield rest;
}

/** Where a PNG at the start of some bytes ends; undefined where it is none, or not whole. */
function endOfPng(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8 || view.getUint32(0) !== 0x89504e47) return undefined;
  // After the signature of 8 bytes: chunks of a length, a type, so much data, and a checksum.
  for (let at = 8; at + 12 <= bytes.length; ) {
    const isLast = view.getUint32(at + 4) === 0x49454e44;
    at += 12 + view.getUint32(at);
    if (isLast && at <= bytes.length) return at;
  }
  return undefined;
}

/** Name of a picture's files: the picture's own name, numbered where two pictures share one. */
export function stems(paths: readonly string[]): string[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const base = basename(path, extname(path));
    let stem = base;
    for (let count = 2; taken.has(stem); count++) stem = `${base}~${count}`;
    taken.add(stem);
    return stem;
  });
}

/** Whether a file holds an array of NumPy's, not a picture. */
const isArray = (file: Uint8Array): boolean => signatureOf(file) === 'NumPy';

/** Reads and decodes a picture, or reads an array; a note says what was laid behind what is transparent in a picture. */
export async function openImage(
  { name, read }: Picture,
  background?: Background,
): Promise<Pixels | HostTensor> {
  const file = await read();
  if (isArray(file)) return readNpy(file, name);
  const pixels = await decodeImage(file, name, background);
  if (pixels.transparent && background === undefined) {
    note(`${name}: what is transparent is taken as white; --background says otherwise`);
  }
  return pixels;
}

/** Errors that the next picture would meet too. */
const isOfAll = (error: unknown): boolean =>
  !(error instanceof LimelightError) ||
  [DeviceLostError, OutputError, UsageError].some((kind) => error instanceof kind);

/**
 * Uses one picture after another. What is wrong with one is said, and the others have their turn; the exit code is 1
 * then.
 */
export async function eachPicture(
  pictures: AsyncIterable<Picture>,
  use: (picture: Picture) => Promise<void>,
): Promise<void> {
  let [count, failed] = [0, 0];
  for await (const picture of pictures) {
    count++;
    try {
      await use(picture);
    } catch (error) {
      if (isOfAll(error)) throw error;
      complain(describeError(error));
      failed++;
    }
  }
  if (failed === 0) return;
  process.exitCode = 1;
  if (count > 1) complain(`limelight: ${failed} of ${count} pictures failed, for the reasons above\n`);
}
