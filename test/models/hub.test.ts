// Fetching files from a hub, against a server on this machine that behaves as badly as they come.

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { cacheFolder } from '../../engine/platform/node/folder.ts';
import { type CacheOptions, cachedFile, mirrored } from '../../models/hub/cache.node.ts';
import { HubError, type RemoteFile } from '../../models/hub/remote-file.ts';
import { readTokenizer } from '../../models/hub/tokenizer.ts';
import { seededRandom } from '../reference/index.ts';
import { exchanged, mutated } from './mutations.ts';

const content = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * i + (i >> 7)) % 251));
const other = Buffer.from(content.map((byte) => byte ^ 1));
const half = content.length / 2;
const checksum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const sha256 = checksum(content);

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

interface Bench {
  readonly url: string;
  readonly folder: string;
  /** Range and If-Range of every request so far. */
  readonly requests: (string | undefined)[];
  /** Fetches; extra options and another description of the file where given. */
  readonly get: (options?: CacheOptions, remote?: Partial<RemoteFile>) => Promise<string>;
  readonly files: () => string[];
}

/** A test with a server and an empty cache folder of its own. */
function withServer(title: string, handler: Handler, body: (t: Test, bench: Bench) => Promise<void>): void {
  test(title, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'limelight-hub-'));
    const requests: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      const { range, 'if-range': condition } = request.headers;
      requests.push(range === undefined ? undefined : `${range} if ${condition}`);
      handler(request, response);
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
    const remote: RemoteFile = { name: 'weights', url, sha256, bytes: content.length };
    try {
      await body(t, {
        url,
        folder,
        requests,
        get: (options, part) => cachedFile({ ...remote, ...part }, { folder, ...options }),
        files: () => readdirSync(folder).sort(),
      });
    } finally {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** The error that a promise ends in. */
async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}

async function fails(t: Test, promise: Promise<unknown>, message: RegExp, title?: string): Promise<void> {
  const error = await failure(promise);
  t.ok(error instanceof HubError, `a HubError, not ${error.stack}`);
  t.match(error.message, message, title);
}

/** A well-behaved server with ranges, whose file has a version: an ETag or a date. */
const good =
  (file = { bytes: content, version: '"v1"' }): Handler =>
  ({ headers }, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    const partly = headers.range !== undefined && headers['if-range'] === file.version;
    const body = partly ? file.bytes.subarray(start) : file.bytes;
    response.writeHead(partly ? 206 : 200, {
      'content-length': body.length,
      [file.version.startsWith('"') ? 'etag' : 'last-modified']: file.version,
      ...(partly && { 'content-range': `bytes ${start}-${file.bytes.length - 1}/${file.bytes.length}` }),
    });
    response.end(body);
  };

let held: ServerResponse | undefined;

/** Sends the first half and holds; the given handler answers from the second time on. */
function holdsFirst(then: Handler, headers: Record<string, string> = { etag: '"v1"' }): Handler {
  let first = true;
  return (request, response) => {
    if (!first) return then(request, response);
    first = false;
    held = response.writeHead(200, { 'content-length': content.length, ...headers });
    response.write(content.subarray(0, half));
  };
}

/** Calls `stop` once the first half has arrived. */
const atHalf = (stop: () => void) => (received: number) => {
  if (received >= half) stop();
};

/** The error of a download whose connection breaks after the first half. */
const broken = (get: Bench['get']) => failure(get({ progress: atHalf(() => held?.destroy()) }));

withServer(
  'a file is downloaded once, with its progress',
  good(),
  async (t, { get, folder, files, requests }) => {
    const seen: number[] = [];
    const progress = (received: number, total: number | undefined) => {
      t.equal(total, content.length);
      seen.push(received);
    };
    const path = await get({ progress });
    t.equal(path, join(folder, 'weights'));
    t.ok(content.equals(readFileSync(path)));
    t.deepEqual(files(), ['weights'], 'nothing else is left');
    t.equal(seen[0], 0);
    t.equal(seen.at(-1), content.length);
    t.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    await get();
    t.equal(requests.length, 1, 'no second request');
  },
);

withServer('once cached, a file needs no network', good(), async (t, { get }) => {
  await get();
  t.ok(await get({}, { url: 'http://127.0.0.1:1/file' }));
});

test('a machine that is offline says so, and what to do', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-hub-'));
  const remote = { name: 'weights', url: 'http://127.0.0.1:1/file', sha256, bytes: 10 };
  await fails(
    t,
    cachedFile(remote, { folder }),
    /weights is not in the cache .*cannot reach 127\.0\.0\.1:1 \(.+\), perhaps because this machine is offline.*put at .*weights/,
  );
  t.deepEqual(readdirSync(folder), []);
  rmSync(folder, { recursive: true });
});

withServer(
  'a chunked answer without a length is as good',
  (_, response) => {
    response.write(content.subarray(0, 1000));
    response.end(content.subarray(1000));
  },
  async (t, { get }) => {
    const path = await get({ progress: (_, total) => t.equal(total, undefined) });
    t.ok(content.equals(readFileSync(path)));
  },
);

withServer('a broken download is resumed', holdsFirst(good()), async (t, { get, files, requests }) => {
  t.match((await broken(get)).message, /broke after 25000 of 50000 bytes; they are kept, run the same/);
  t.deepEqual(files(), ['weights.part', 'weights.part.json']);
  const seen: number[] = [];
  const path = await get({ progress: (received) => seen.push(received) });
  t.ok(content.equals(readFileSync(path)));
  t.deepEqual(requests, [undefined, 'bytes=25000- if "v1"']);
  t.equal(seen[0], half, 'progress goes on where it was');
  t.deepEqual(files(), ['weights']);
});

withServer(
  'a date will do to resume',
  holdsFirst(good({ bytes: content, version: 'Sat, 01 Jan 2022 00:00:00 GMT' }), {
    'last-modified': 'Sat, 01 Jan 2022 00:00:00 GMT',
  }),
  async (t, { get, requests }) => {
    await broken(get);
    t.ok(content.equals(readFileSync(await get())));
    t.deepEqual(requests, [undefined, 'bytes=25000- if Sat, 01 Jan 2022 00:00:00 GMT']);
  },
);

withServer(
  'a file that changed meanwhile is fetched anew',
  holdsFirst(good({ bytes: other, version: '"v2"' })),
  async (t, { get, requests }) => {
    await broken(get);
    const path = await get({}, { sha256: checksum(other) });
    t.ok(other.equals(readFileSync(path)));
    t.equal(requests.length, 2, 'the server ignored the range, since If-Range did not hold');
  },
);

withServer(
  'a rest of another version is not appended, though the server sends it',
  holdsFirst((request, response) =>
    good({ bytes: other, version: '"v2"' })(
      Object.assign(request, { headers: { ...request.headers, 'if-range': '"v2"' } }),
      response,
    ),
  ),
  async (t, { get, requests }) => {
    await broken(get);
    t.ok(other.equals(readFileSync(await get({}, { sha256: checksum(other) }))));
    t.equal(requests.length, 3);
  },
);

withServer(
  'a server without ranges sends it all again',
  holdsFirst((_, response) => response.end(content)),
  async (t, { get }) => {
    await broken(get);
    t.ok(content.equals(readFileSync(await get())));
  },
);

withServer(
  'without a validator nothing is resumed',
  holdsFirst((_, response) => response.end(content), { etag: 'W/"weak"' }),
  async (t, { get, requests }) => {
    await broken(get);
    await get();
    t.deepEqual(requests, [undefined, undefined]);
  },
);

withServer(
  'a range that cannot be satisfied starts again',
  holdsFirst(({ headers }, response) => {
    if (headers.range) response.writeHead(416).end();
    else response.end(content);
  }),
  async (t, { get, requests }) => {
    await broken(get);
    t.ok(content.equals(readFileSync(await get())));
    t.equal(requests.length, 3);
  },
);

withServer(
  'an overloaded server does not cost what is there already',
  holdsFirst((_, response) => response.writeHead(503).end()),
  async (t, { get, files }) => {
    await broken(get);
    await fails(t, get(), /503 Service Unavailable/);
    t.deepEqual(files(), ['weights.part', 'weights.part.json']);
  },
);

withServer(
  'a part from another address is not resumed',
  holdsFirst(good()),
  async (t, { get, url, requests }) => {
    await broken(get);
    await get({}, { url: `${url}?elsewhere` });
    t.deepEqual(requests, [undefined, undefined]);
  },
);

withServer(
  'a wrong checksum leaves nothing',
  good({ bytes: other, version: '"v1"' }),
  async (t, { get, files }) => {
    const error = await failure(get());
    t.ok(error instanceof HubError);
    t.ok(error.message.includes(sha256) && error.message.includes(checksum(other)), 'both are named');
    t.deepEqual(files(), []);
  },
);

withServer('an unknown checksum is recorded and held to', good(), async (t, { get, folder, files }) => {
  const notes: string[] = [];
  const options: CacheOptions = { note: (text) => notes.push(text) };
  const path = await get(options, { sha256: undefined! });
  t.equal(notes.length, 1);
  t.ok(notes[0]!.includes(sha256), notes[0]);
  t.deepEqual(files(), ['weights', 'weights.sha256']);
  t.equal(readFileSync(join(folder, 'weights.sha256'), 'utf8'), `${sha256}  weights\n`);
  await get(options, { sha256: undefined! });
  t.equal(notes.length, 1, 'not said again');
  writeFileSync(path, other);
  await fails(t, get(options, { sha256: undefined! }), /damaged or was replaced\. Delete it/);
  writeFileSync(join(folder, 'weights.sha256'), `${checksum(other)}  weights\n`);
  rmSync(path);
  await fails(t, get(options, { sha256: undefined! }), /as was recorded in .*weights\.sha256/);
  t.deepEqual(files(), ['weights.sha256']);
});

withServer('a damaged file in the cache is refused, not used', good(), async (t, { get, requests }) => {
  writeFileSync(await get(), content.subarray(1));
  await fails(t, get(), /damaged or was replaced\. Delete it to have it downloaded again/);
  t.equal(requests.length, 1);
});

for (const status of [401, 404, 500]) {
  withServer(
    `an answer of ${status} is an error and leaves nothing`,
    (_, response) => response.writeHead(status).end('sorry'),
    async (t, { get, files }) => {
      await fails(t, get(), new RegExp(`the server answered ${status} .*put at `));
      t.deepEqual(files(), []);
    },
  );
}

withServer(
  'a login page is not a file',
  (_, response) => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>'),
  async (t, { get, files }) => {
    await fails(t, get({}, { sha256: undefined! }), /a web page, not a file/);
    t.deepEqual(files(), []);
  },
);

/** Redirects /file to /0, /0 to /1 ..., and answers at /`hops` - 1. */
const redirecting =
  (hops: number): Handler =>
  (request, response) => {
    const at = Number(/^\/(\d+)$/.exec(request.url!)?.[1] ?? -1);
    if (at === hops - 1) good()(request, response);
    else response.writeHead(302, { location: `/${at + 1}` }).end();
  };
withServer('redirections are followed', redirecting(3), async (t, { get }) => {
  t.ok(content.equals(readFileSync(await get())));
});
withServer(
  'a redirection without end is an error',
  (_, response) => response.writeHead(302, { location: '/file' }).end(),
  async (t, { get, requests, files }) => {
    await fails(t, get(), /redirects more than 5 times/);
    t.ok(requests.length < 10);
    t.deepEqual(files(), []);
  },
);
for (const location of ['file:///etc/passwd', 'ftp://127.0.0.1/file', 'data:,x', 'http://[bad']) {
  withServer(
    `a redirection to ${location} is not followed`,
    (_, response) => response.writeHead(301, { location }).end(),
    async (t, { get, files }) => {
      await fails(t, get(), /which is not followed: not https/);
      t.deepEqual(files(), []);
    },
  );
}

withServer(
  'more than is expected is refused, said beforehand or not',
  ({ url }, response) => {
    if (url === '/file') response.writeHead(200, { 'content-length': 10 ** 12 }).write('x');
    else response.end(Buffer.alloc(2 * content.length));
  },
  async (t, { get, url, files }) => {
    await fails(t, get(), /has 1000000000000 bytes or more, where at most 55000 are expected/);
    await fails(t, get({}, { url: `${url}2` }), /where at most 55000 are expected/);
    t.deepEqual(files(), []);
  },
);

withServer(
  'a slow server is waited for',
  (_, response) => {
    response.writeHead(200, { 'content-length': content.length });
    let sent = 0;
    const drip = setInterval(() => {
      response.write(content.subarray(sent, sent + half / 5));
      sent += half / 5;
      if (sent < content.length) return;
      clearInterval(drip);
      response.end();
    }, 40);
  },
  async (t, { get }) => {
    t.ok(content.equals(readFileSync(await get({ patience: 300 }))), 'longer in all than the patience');
  },
);

withServer(
  'a server that falls silent is not',
  (_, response) => {
    response.writeHead(200, { 'content-length': content.length, etag: '"v1"' });
    response.write(content.subarray(0, half));
  },
  async (t, { get, files }) => {
    await fails(t, get({ patience: 100 }), /sent nothing for 0\.1 s/);
    t.deepEqual(files(), ['weights.part', 'weights.part.json'], 'what came is kept');
  },
);

withServer(
  'a server that never answers is not waited for either',
  () => undefined,
  async (t, { get, files }) => {
    await fails(t, get({ patience: 100 }), /sent nothing for 0\.1 s/);
    t.deepEqual(files(), []);
  },
);

withServer('a cancelled download is resumed', holdsFirst(good()), async (t, { get, files, requests }) => {
  const interrupt = new AbortController();
  const options = { signal: interrupt.signal, progress: atHalf(() => interrupt.abort()) };
  await fails(t, get(options), /cancelled; what has arrived of .* is kept/);
  t.deepEqual(files(), ['weights.part', 'weights.part.json']);
  t.ok(content.equals(readFileSync(await get())));
  t.equal(requests[1], 'bytes=25000- if "v1"');
});

withServer('a cache folder that cannot be written is said to be', good(), async (t, { get, folder }) => {
  const file = join(folder, 'file');
  writeFileSync(file, 'kept');
  const sealed = join(folder, 'sealed');
  mkdirSync(sealed, { mode: 0o500 });
  // Permissions do not stop root.
  for (const place of [file, join(file, 'below'), ...(process.getuid?.() === 0 ? [] : [sealed])]) {
    await fails(t, get({ folder: place }), /cannot keep weights in the cache folder .* set LIMELIGHT_CACHE/);
  }
  t.equal(readFileSync(file, 'utf8'), 'kept');
});

test('where the cache is', (t) => {
  t.equal(cacheFolder({ LIMELIGHT_CACHE: '/c', XDG_CACHE_HOME: '/x' }), '/c');
  t.equal(cacheFolder({ XDG_CACHE_HOME: '/x' }), join('/x', 'limelight'));
  t.match(cacheFolder({ XDG_CACHE_HOME: 'relative' }), /[\\/]\.cache[\\/]limelight$/);
  t.match(cacheFolder({}), /[\\/]\.cache[\\/]limelight$/);
  t.end();
});

test('a mirror of the hub', (t) => {
  const url = 'https://huggingface.co/timm/x/resolve/main/model.safetensors';
  t.equal(mirrored(url, {}), url);
  for (const HF_ENDPOINT of ['https://mirror.org/hf', 'https://mirror.org/hf/']) {
    t.equal(mirrored(url, { HF_ENDPOINT }), 'https://mirror.org/hf/timm/x/resolve/main/model.safetensors');
  }
  t.equal(
    mirrored('https://elsewhere.org/a', { HF_ENDPOINT: 'https://mirror.org' }),
    'https://elsewhere.org/a',
  );
  t.throws(() => mirrored(url, { HF_ENDPOINT: 'file:///etc' }), /HF_ENDPOINT is "file:\/\/\/etc"/);
  t.end();
});

/** Small vocabularies of both kinds, as Hugging Face's tokenizers write them. */
const vocabularies = [
  {
    added_tokens: [
      { id: 3, content: '<end>', special: true, single_word: false, lstrip: false, rstrip: false },
    ],
    normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: '[a-z]+|[^\\s]' }, behavior: 'Removed', invert: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
      ],
    },
    post_processor: {
      type: 'RobertaProcessing',
      sep: ['<end>', 3],
      cls: ['<end>', 3],
      add_prefix_space: false,
    },
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      unk_token: 'a',
      end_of_word_suffix: '</w>',
      vocab: { a: 0, b: 1, 'a</w>': 2, '<end>': 3, 'ab</w>': 4 },
      merges: ['a b</w>'],
    },
  },
  {
    added_tokens: [],
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: '##' },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: { '[UNK]': 1, cat: 2, '##s': 3, a: 4 },
    },
  },
];

test('200 mutations of vocabularies: a typed error or tokens', async (t) => {
  const next = seededRandom(5);
  const found = { read: 0, refused: 0 };
  const untyped: unknown[] = [];
  for (let round = 0; round < 200; round++) {
    const good = vocabularies[round % 2];
    const changed = next() < 0.7;
    const bytes = new TextEncoder().encode(JSON.stringify(changed ? exchanged(good, next) : good));
    const json = new TextDecoder().decode(changed ? bytes : mutated(bytes, next));
    try {
      const tokens = (await readTokenizer(json, 'tokenizer.json'))('a cat, cats & ABba');
      if (Array.isArray(tokens)) found.read++;
      else untyped.push(tokens);
    } catch (error) {
      if (error instanceof HubError) found.refused++;
      else untyped.push(error);
    }
  }
  t.deepEqual(untyped, [], 'every error is typed');
  t.ok(found.read > 20 && found.refused > 20, `${found.read} read, ${found.refused} refused`);
});
