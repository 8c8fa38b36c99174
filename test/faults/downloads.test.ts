// Several processes that want one file, processes that die over it, servers that hardly send, and what others put in the
// cache.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { type CacheOptions, cachedFile } from '../../models/hub/cache.node.ts';
import { locked } from '../../models/hub/lock.node.ts';
import { seededRandom } from '../reference/index.ts';
import { withFaults } from './inject.ts';
import { comesTrue, pause, start } from './processes.ts';

const next = seededRandom(7);
const content = Buffer.from(Array.from({ length: 100_000 }, () => Math.floor(256 * next())));
const sha256 = createHash('sha256').update(content).digest('hex');

interface Place {
  readonly url: string;
  readonly folder: string;
  readonly requests: () => number;
  readonly get: (options?: CacheOptions) => Promise<string>;
  /** The same by a process of its own. */
  readonly spawn: (patience?: number) => ReturnType<typeof start>;
}

function withServer(title: string, answer: RequestListener, body: (t: Test, place: Place) => Promise<void>) {
  test(title, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'limelight-downloads-'));
    let requests = 0;
    const server = createServer((request, response) => {
      requests++;
      answer(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights`;
    const remote = { name: 'weights', url, sha256, bytes: content.length };
    try {
      await body(t, {
        url,
        folder,
        requests: () => requests,
        get: (options) => cachedFile(remote, { folder, ...options }),
        spawn: (patience = 60_000) => start('fetcher.ts', [url, folder, sha256, String(patience)]),
      });
    } finally {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true });
    }
  });
}

/** Sends `content` in pieces, one every so many milliseconds. */
const slowly =
  (pieces: number, every: number): RequestListener =>
  async (_, response) => {
    response.writeHead(200, { 'content-length': content.length, etag: '"v1"' });
    const size = Math.ceil(content.length / pieces);
    for (let at = 0; at < content.length && !response.destroyed; at += size) {
      response.write(content.subarray(at, at + size));
      await pause(every);
    }
    response.end();
  };

withServer(
  'of five processes that want one file, one downloads and all have it',
  slowly(10, 200),
  async (t, { folder, requests, spawn }) => {
    const processes = Array.from({ length: 5 }, () => spawn());
    const said = await Promise.all(processes.map((one) => one.said));
    t.deepEqual(said, Array(5).fill(join(folder, 'weights')));
    t.equal(requests(), 1);
    t.ok(content.equals(readFileSync(join(folder, 'weights'))));
    t.deepEqual(readdirSync(folder), ['weights']);
  },
);

withServer(
  'where the one that downloads is killed, another goes on',
  slowly(10, 100),
  async (t, { folder, requests, spawn }) => {
    const first = spawn();
    first.said.catch(() => {});
    while (!existsSync(join(folder, 'weights.part'))) await pause(10);
    const rest = Array.from({ length: 4 }, () => spawn());
    await pause(300);
    first.kill('SIGKILL');
    await Promise.all(rest.map((one) => one.said));
    t.equal(requests(), 2);
    t.ok(content.equals(readFileSync(join(folder, 'weights'))));
    t.deepEqual(readdirSync(folder), ['weights']);
  },
);

const ended = `${encodeURIComponent(hostname())}-999999999 x`;

/** A lock of whom the name says. */
function plantLock(folder: string, name: string): void {
  const lock = join(folder, 'weights.lock');
  rmSync(lock, { recursive: true, force: true });
  mkdirSync(lock);
  if (name !== '') writeFileSync(join(lock, name), '');
}

/** Locks that nobody will give back, by the names of their files. */
const stale: Readonly<Record<string, string>> = {
  'a process that has ended': ended,
  'a process whose number was given out again': `${encodeURIComponent(hostname())}-${process.pid} x`,
  'a process of another machine': 'elsewhere-1 x',
  'an unknown process': 'something else',
  'nobody, since its process was killed while it was given back': '',
};
for (const [of, name] of Object.entries(stale)) {
  withServer(`the stale lock of ${of} is broken`, slowly(1, 0), async (t, { folder, get }) => {
    plantLock(folder, name);
    await Promise.all([1, 2, 3].map(() => get({ patience: 500 })));
    t.deepEqual(readdirSync(folder), ['weights']);
  });
}

test('of many that find stale locks, one at a time has each, however slow the others are', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-locks-'));
  const sooner = seededRandom(3);
  let [overlaps, done] = [0, 0];
  const contend = async (path: string) => {
    let inside = 0;
    plantLock(path, ended);
    const work = async () => {
      if (++inside > 1) overlaps++;
      await pause(20);
      inside--;
      done++;
    };
    await Promise.all([1, 2, 3, 4].map(() => locked(join(path, 'weights'), {}, work)));
    t.deepEqual(readdirSync(path), []);
  };
  // Between two looks and steps of one process, others have the time for all of theirs.
  const delay = () => pause(40 * sooner() ** 2);
  await withFaults(/^(lstat|readdir|rm|rmdir|unlink|rename|link|readFile)$/, delay, async () => {
    await Promise.all(Array.from({ length: 20 }, () => contend(mkdtempSync(join(folder, 'cache-')))));
  });
  t.equal(overlaps, 0);
  t.equal(done, 80);
  rmSync(folder, { recursive: true });
});

withServer(
  'a lock that is a file, a link, or a full folder is broken',
  slowly(1, 0),
  async (t, { folder, get }) => {
    const lock = join(folder, 'weights.lock');
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'kept');
    const plants = [
      () => mkdirSync(join(lock, 'full', 'of'), { recursive: true }),
      () => symlinkSync(victim, lock),
      () => symlinkSync(folder, lock),
      () => writeFileSync(lock, ended),
    ];
    for (const plant of plants) {
      plant();
      await get({ patience: 300 });
      rmSync(join(folder, 'weights'));
    }
    t.equal(readFileSync(victim, 'utf8'), 'kept');
    t.deepEqual(readdirSync(folder), ['victim']);
  },
);

withServer(
  'a lock with signs of life is waited for, longer than the patience',
  slowly(20, 100),
  async (t, { requests, get }) => {
    const notes: string[] = [];
    const note = (text: string) => notes.push(text);
    await Promise.all([1, 2, 3].map(() => get({ patience: 600, note })));
    t.equal(requests(), 1);
    t.equal(notes.length, 2, 'each that waits says so once');
    t.match(notes[0]!, /waiting for process .*-\d+, which has .*weights\.lock/);
  },
);

withServer('waiting can be cancelled', slowly(1, 0), async (t, { folder, get }) => {
  plantLock(folder, 'elsewhere-1 x');
  const message = await get({ signal: AbortSignal.timeout(300) }).catch((error) => error.message);
  t.match(message, /cancelled while waiting for process elsewhere-1/);
});

withServer(
  'a process whose lock was broken while it was suspended keeps off',
  slowly(10, 100),
  async (t, { folder, get }) => {
    const message = await get({
      patience: 600,
      progress: () => plantLock(folder, 'elsewhere-1 x'),
    }).catch((error) => error.message);
    t.match(message, /another process has broken .*weights\.lock/);
    t.deepEqual(
      readdirSync(join(folder, 'weights.lock')),
      ['elsewhere-1 x'],
      'the lock of the other one stays',
    );
    t.notOk(existsSync(join(folder, 'weights')));
  },
);

let dripping: ServerResponse;
withServer(
  'a server that sends a byte now and then is given up',
  (_, response) => {
    dripping = response.writeHead(200, { 'content-length': content.length });
    const drip = setInterval(() => response.write('x'), 20);
    response.on('close', () => clearInterval(drip));
  },
  async (t, { get }) => {
    const message = await get({ patience: 300 }).catch((error) => error.message);
    t.match(message, /sent \d+ bytes for 0\.3 s; try again later/);
    t.ok(await comesTrue(() => dripping.destroyed, 5000), 'the connection is closed');
  },
);

/** What somebody else may put in place of a file that is about to be written, to have another one changed. */
const planted: Readonly<Record<string, (victim: string, path: string) => void>> = {
  'symbolic link': symlinkSync,
  'second name': linkSync,
  'link to nothing': (victim, path) => symlinkSync(`${victim}-made`, path),
};
for (const [kind, plant] of Object.entries(planted)) {
  withServer(`a planted ${kind} is not written through`, slowly(1, 0), async (t, { url, folder, get }) => {
    const victim = join(folder, 'victim');
    const before = content.subarray(0, 50);
    for (const origin of [undefined, JSON.stringify({ url, validator: '"v1"' })]) {
      for (const name of ['weights.part', 'weights.part.json', 'weights.sha256']) {
        writeFileSync(victim, before);
        plant(victim, join(folder, name));
        if (origin && name === 'weights.part') writeFileSync(join(folder, 'weights.part.json'), origin);
        const remote = { name: 'weights', url, bytes: content.length };
        await (name === 'weights.sha256' ? cachedFile(remote, { folder }) : get());
        t.ok(before.equals(readFileSync(victim)), `${name}: the other file is as it was`);
        t.notOk(existsSync(`${victim}-made`), `${name}: none is made`);
        for (const file of readdirSync(folder)) rmSync(join(folder, file));
      }
    }
  });
}

withServer('a cache that cannot be written serves', slowly(1, 0), async (t, { url, folder, get }) => {
  await get();
  const files = readdirSync(folder);
  utimesSync(join(folder, 'weights'), 1, 1);
  chmodSync(folder, 0o555);
  // Permissions do not stop root, who can become somebody else in a process.
  const reader = start(
    'fetcher.ts',
    [url, folder, '', '1000'],
    {},
    process.getuid?.() === 0 ? 65534 : undefined,
  );
  t.equal(await reader.said, join(folder, 'weights'), 'even where the checksum is not known');
  chmodSync(folder, 0o755);
  t.deepEqual(readdirSync(folder), files);
});
