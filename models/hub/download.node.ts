// Downloads one file into a partial file, hashing as it comes, and goes on where an earlier attempt stopped.

import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, existsSync, openSync, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, readFile, rm } from 'node:fs/promises';
import { place } from '../../engine/platform/node/temporary.ts';
import { HubError } from './remote-file.ts';

export interface DownloadOptions {
  /** More bytes than this are refused. */
  readonly limit: number;
  /** Called as bytes arrive, those of earlier attempts included; `total` where the server says it. */
  readonly progress?: ((received: number, total: number | undefined) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which a server that sends nothing, or a byte now and then, counts as gone. */
  readonly patience?: number | undefined;
}

export const PATIENCE = 30_000;
/** Bytes a second that a server must send: with fewer, the smallest network would take an hour. */
const LEAST_RATE = 1000;
const MAX_REDIRECTS = 5;

/** What lies beside a partial file: where it came from, and what tells whether it is still the same there. */
interface Origin {
  readonly url: string;
  /** A strong ETag or a date, for If-Range. */
  readonly validator: string;
}

const originPath = (part: string) => `${part}.json`;

/** Whether a partial file can be gone on with. */
export const canGoOn = (part: string): boolean => existsSync(originPath(part));

/** Removes a partial file and what lies beside it. */
export async function discard(part: string): Promise<void> {
  await Promise.all([rm(part, { force: true }), rm(originPath(part), { force: true })]);
}

/**
 * Downloads `url` into the file `part` and returns its SHA-256 in hex. Where an earlier attempt left a `part` and the
 * server can prove that the file is still the same, only the rest is fetched. After a failure of the network or a
 * cancellation `part` stays, for the next attempt; it is removed where it is of no use.
 *
 * @throws {HubError} with what the server or the network did; file system errors come as they are.
 */
export async function download(url: string, part: string, options: DownloadOptions): Promise<string> {
  const { limit, progress, signal, patience = PATIENCE } = options;
  const stop = new AbortController();
  let [received, before] = [0, 0];
  const seconds = patience / 1000;
  const timer = setInterval(() => {
    const came = received - before;
    before = received;
    if (came >= LEAST_RATE * seconds) return;
    const what = came === 0 ? 'nothing' : `${came} bytes`;
    stop.abort(new HubError(`${hostOf(url)} sent ${what} for ${seconds} s; try again later`));
  }, patience);
  const signals = AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]);
  try {
    const response = await request(url, part, signals);
    const { file, hash, total, start } = await continuePart(response, url, part);
    received = before = start;
    timer.refresh();
    try {
      if ((total ?? 0) > limit) throw tooLarge(url, total!, limit);
      progress?.(received, total);
      const broken = (cause: unknown) =>
        signals.aborted ? unreachable(url, cause, signals) : cutOff(url, received, total, cause);
      for await (const chunk of bodyOf(response, broken)) {
        received += chunk.length;
        if (received > limit) throw tooLarge(url, received, limit);
        hash.update(chunk);
        await file.appendFile(chunk);
        progress?.(received, total);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    if (total !== undefined && received !== total) throw cutOff(url, received, total);
    return hash.digest('hex');
  } catch (error) {
    if (error instanceof HugeError) await discard(part);
    throw error;
  } finally {
    clearInterval(timer);
    stop.abort();
  }
}

class HugeError extends HubError {}

const hostOf = (url: string) => new URL(url).host;

const tooLarge = (url: string, bytes: number, limit: number) =>
  new HugeError(`${url} has ${bytes} bytes or more, where at most ${limit} are expected; it is not the file`);

const cutOff = (url: string, received: number, total: number | undefined, cause?: unknown) =>
  new HubError(
    `the connection to ${hostOf(url)} broke after ${received}${total === undefined ? '' : ` of ${total}`} bytes; ` +
      'they are kept, run the same command again to go on from there',
    { cause },
  );

/** Asks for the file, or for the rest of it; the answer is a 200, or a 206 that fits the part. */
async function request(url: string, part: string, signal: AbortSignal): Promise<Response> {
  const origin = await readOrigin(part);
  const have = origin?.url === url ? await sizeOf(part) : 0;
  if (have === 0 || origin === undefined) return whole(url, signal);
  const headers = { range: `bytes=${have}-`, 'if-range': origin.validator };
  const response = await follow(url, headers, signal);
  const range = /^bytes (\d+)-\d+\/(?:\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
  const same = validatorOf(response) === origin.validator;
  if (response.status === 206 && same && Number(range?.[1]) === have) return response;
  if (response.status !== 206 && response.status !== 416) return accepted(response, url);
  // The rest does not fit what is here: begin again.
  await response.body?.cancel();
  return whole(url, signal);
}

const whole = async (url: string, signal: AbortSignal): Promise<Response> =>
  accepted(await follow(url, {}, signal), url);

async function accepted(response: Response, url: string): Promise<Response> {
  if (response.status === 200) return response;
  await response.body?.cancel();
  throw new HubError(`${url}: the server answered ${response.status} ${response.statusText}`.trimEnd());
}

/** Fetches, following redirections by hand, so that each is checked. */
async function follow(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  let at = url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await fetch(at, {
      headers: { ...headers, 'accept-encoding': 'identity' },
      redirect: 'manual',
      signal,
    }).catch((cause: unknown) => {
      throw unreachable(at, cause, signal);
    });
    const location = response.headers.get('location');
    if (response.status < 300 || response.status >= 400 || location === null) {
      return checkKind(response, url);
    }
    await response.body?.cancel();
    const next = URL.canParse(location, at) ? new URL(location, at) : undefined;
    const safe = next?.protocol === 'https:' || (next?.protocol === 'http:' && at.startsWith('http:'));
    if (!next || !safe) {
      throw new HubError(`${url} redirects to ${location.slice(0, 200)}, which is not followed: not https`);
    }
    at = next.href;
  }
  throw new HubError(`${url} redirects more than ${MAX_REDIRECTS} times; something on the way is broken`);
}

/** Networks with a login page answer everything with it. */
async function checkKind(response: Response, url: string): Promise<Response> {
  const kind = response.headers.get('content-type') ?? '';
  if (!response.ok || !/^text\/html\b/i.test(kind)) return response;
  await response.body?.cancel();
  throw new HubError(`${url} gives a web page, not a file; does this network ask for a login first?`);
}

/** Opens the partial file at its end, or empties it for a whole file, and brings the hash up to there. */
async function continuePart(
  response: Response,
  url: string,
  part: string,
): Promise<{ file: FileHandle; hash: Hash; total: number | undefined; start: number }> {
  if (response.status === 206) {
    const total = Number(response.headers.get('content-range')!.split('/')[1]);
    const hash = createHash('sha256');
    const file = await open(part, constants.O_RDWR | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0));
    const stats = await file.stat();
    if (!isOwn(stats)) {
      await file.close();
      throw new HubError(`${part} was put there by somebody else; delete it`);
    }
    for await (const chunk of file.createReadStream({ start: 0, autoClose: false })) hash.update(chunk);
    return { file, hash, total: Number.isNaN(total) ? undefined : total, start: stats.size };
  }
  await discard(part);
  closeSync(openSync(part, 'wx'));
  const file = await open(part, 'r+');
  const validator = validatorOf(response);
  if (validator !== undefined) {
    await place(originPath(part), Buffer.from(JSON.stringify({ url, validator } satisfies Origin)));
  }
  const length = response.headers.get('content-length');
  const encoded = response.headers.has('content-encoding');
  const total = length === null || encoded ? undefined : Number(length);
  return { file, hash: createHash('sha256'), total, start: 0 };
}

/** What arrives; a failure to read is turned into the error that `broken` makes of it. */
async function* bodyOf(response: Response, broken: (cause: unknown) => HubError): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  for (;;) {
    const next = await reader?.read().catch((cause: unknown) => {
      throw broken(cause);
    });
    if (next === undefined || next.done) return;
    yield next.value;
  }
}

/** A request that got no answer: cancelled, too slow, or the network's fault. */
function unreachable(url: string, cause: unknown, signal: AbortSignal): HubError {
  if (signal.reason instanceof HubError) return signal.reason;
  if (signal.aborted) {
    return new HubError(`cancelled; what has arrived of ${url} is kept for the next attempt`, { cause });
  }
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const code = (inner as NodeJS.ErrnoException).code ?? String(inner);
  return new HubError(`cannot reach ${hostOf(url)} (${code}), perhaps because this machine is offline`, {
    cause,
  });
}

/** What the server calls this version of the file; weak ETags do not stand for bytes. */
function validatorOf({ headers }: Response): string | undefined {
  const tag = headers.get('etag');
  if (tag?.startsWith('"')) return tag;
  return headers.get('last-modified') ?? undefined;
}

async function readOrigin(part: string): Promise<Origin | undefined> {
  try {
    const { url, validator } = JSON.parse(await readFile(originPath(part), 'utf8'));
    return typeof url === 'string' && typeof validator === 'string' ? { url, validator } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a file is what this user made: no link, no second name of another file, no pipe. */
const isOwn = (stats: Stats): boolean =>
  stats.isFile() && stats.nlink === 1 && (process.getuid === undefined || stats.uid === process.getuid());

const sizeOf = (path: string): Promise<number> =>
  lstat(path).then(
    (stats) => (isOwn(stats) ? stats.size : 0),
    () => 0,
  );
