// The platform under Node: files, and WebGPU by Dawn from the package `webgpu`.

import { fork } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker as Thread } from 'node:worker_threads';
import { NoDeviceError } from '../errors.ts';
import { chooseAdapter } from './choose.ts';
import { CacheError, FileError, messageOf } from './errors.ts';
import type { Apart, OpenAdapter, Platform } from './interface.ts';
import { availableMemory as available } from './node/available.ts';
import { type Create, nodeCandidates, remedy } from './node/candidates.ts';
import { cacheFolder, makeFolder } from './node/folder.ts';
import { place } from './node/temporary.ts';

export { quietly } from './node/quiet.ts';

/** What the system's error codes mean to someone who named a file. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder; give the name of a file',
  ENOTDIR: 'a part of its path is a file, not a folder',
  EACCES: 'no permission to read it',
  EMFILE: 'this process may open no more files; raise the limit, as by ulimit -n 256',
};

export const bytes: Platform['bytes'] = async (url) => {
  try {
    if ((await stat(url)).isCharacterDevice())
      throw new Error('it is a device, which may never end; give a file');
    return await readFile(url);
  } catch (error) {
    const path = url.protocol === 'file:' ? fileURLToPath(url) : url.href;
    const reason = reasons[(error as NodeJS.ErrnoException).code ?? ''] ?? messageOf(error);
    throw new FileError(`cannot read ${path}: ${reason}`, { cause: error });
  }
};

export const packageBytes: Platform['packageBytes'] = (specifier) =>
  bytes(new URL(import.meta.resolve(specifier)));

export const text: Platform['text'] = async (url) => new TextDecoder().decode(await bytes(url));

const inCache = (name: string) => join(cacheFolder(), name);

export const keptText: Platform['keptText'] = (name) =>
  readFile(inCache(name), 'utf8').catch(() => undefined);

export const keepText: Platform['keepText'] = async (name, kept) => {
  const path = inCache(name);
  try {
    await makeFolder(dirname(path));
    await place(path, new TextEncoder().encode(kept));
    return path;
  } catch (error) {
    throw new CacheError(
      `cannot keep ${path}: ${messageOf(error)}; set LIMELIGHT_CACHE to a folder that can be written`,
      { cause: error },
    );
  }
};

let turn: Promise<unknown> = Promise.resolve();

/**
 * Tries, in this order, `native` (a GPU by Vulkan, Metal or Direct3D 12), `gles` (OpenGL ES, as a rule Mesa's
 * llvmpipe) and `swiftshader`; `choice`, or else the environment variable `LIMELIGHT_DEVICE`, picks one of them.
 * `native:GeForce` picks the GPU with that text in its name, in a case-sensitive way.
 * Call it on the main thread, or in a worker with `env: SHARE_ENV`: drivers do not see another environment.
 */
export const openAdapter: Platform['openAdapter'] = (choice) => {
  // One after the other, since drivers are led by environment variables, which the whole process shares.
  const opened = turn.then(() => open(choice ?? process.env.LIMELIGHT_DEVICE));
  turn = opened.catch(() => {});
  return opened;
};

async function open(choice: string | undefined): Promise<OpenAdapter> {
  return chooseAdapter(nodeCandidates(await loadDawn()), choice, remedy);
}

async function loadDawn(): Promise<Create> {
  try {
    const { create, globals } = await import('webgpu');
    for (const [name, value] of Object.entries(globals))
      if (!(name in globalThis)) Reflect.set(globalThis, name, value);
    return create;
  } catch (error) {
    throw new NoDeviceError(
      `the package webgpu, which brings WebGPU to Node, cannot be loaded: ${messageOf(error)}\n` +
        'To mend it: npm install webgpu; on Linux it needs glibc 2.34 and the libstdc++ of GCC 12 (Debian 12, Ubuntu 22.04) or newer',
      { cause: error },
    );
  }
}

export const availableMemory: Platform['availableMemory'] = () => available();

/** The pipe that a module apart holds for as long as its parent lives, as a file descriptor; 3 is the channel. */
const LIFELINE = 4;
/** How long the parent waits before it ends the module, beyond the module's time limit, in milliseconds. */
const GRACE_MS = 1000;

/** What is sent to a module apart. */
interface Question {
  readonly message: unknown;
  /** Milliseconds that the answer may take. */
  readonly limit: number;
}

export const apart: Platform['apart'] = (module) => {
  const child = fork(fileURLToPath(module), {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc', 'pipe'],
  });
  const end = () => void child.kill('SIGKILL');
  const ended = new Promise<Error>((resolve) => {
    child.on('error', resolve);
    child.on('exit', (code, signal) => resolve(new Error(`it ended with ${signal ?? code}`)));
  });
  const ask: Apart['ask'] = async (message, limit) => {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        timer = setTimeout(() => {
          reject(new Error(`it gave no answer within ${limit} ms`));
          end();
        }, limit);
        child.once('message', resolve);
        ended.then(reject);
        child.send({ message, limit } satisfies Question);
      });
    } finally {
      clearTimeout(timer);
    }
  };
  return { ask, end };
};

/**
 * A thread that ends the process once the parent is gone, killed perhaps, or once an answer takes too long. The main
 * thread cannot see to it: what it runs may never return. JavaScript as text, so that no file has to be found.
 */
const watchdog = `
  const { parentPort } = require('node:worker_threads');
  const end = () => process.kill(process.pid, 'SIGKILL');
  const lifeline = new (require('node:net').Socket)({ fd: ${LIFELINE} });
  lifeline.on('error', end).on('close', end).resume();
  let timer;
  parentPort.on('message', (limit) => {
    clearTimeout(timer);
    if (limit !== undefined) timer = setTimeout(end, limit);
  });`;

export const serve: Platform['serve'] = (answer) => {
  const watch = new Thread(watchdog, { eval: true, execArgv: [] });
  process.on('message', async ({ message, limit }: Question) => {
    watch.postMessage(limit + GRACE_MS);
    process.send?.(await answer(message));
    watch.postMessage(undefined);
  });
};
