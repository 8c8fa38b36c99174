// The platform under Node: files, and WebGPU by Dawn from the package `webgpu`.

import { fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { NoDeviceError } from '../errors.ts';
import { chooseAdapter } from './choose.ts';
import { FileError, messageOf } from './errors.ts';
import type { Apart, OpenAdapter, Platform } from './interface.ts';
import { type Create, nodeCandidates, remedy } from './node/candidates.ts';

/** What the system's error codes mean to someone who named a file. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder; give the name of a file',
  ENOTDIR: 'a part of its path is a file, not a folder',
  EACCES: 'no permission to read it',
};

export const bytes: Platform['bytes'] = async (url) => {
  try {
    return await readFile(url);
  } catch (error) {
    const path = url.protocol === 'file:' ? fileURLToPath(url) : url.href;
    const reason = reasons[(error as NodeJS.ErrnoException).code ?? ''] ?? messageOf(error);
    throw new FileError(`cannot read ${path}: ${reason}`, { cause: error });
  }
};

export const text: Platform['text'] = async (url) => new TextDecoder().decode(await bytes(url));

let turn: Promise<unknown> = Promise.resolve();

/**
 * Tries, in this order, `native` (a GPU by Vulkan, Metal or Direct3D 12), `gles` (OpenGL ES, as a rule Mesa's
 * llvmpipe) and `swiftshader`; `choice`, or else the environment variable `LIMELIGHT_DEVICE`, picks one of them.
 * `native:GeForce` picks the GPU with that text in its name, in a case-sensitive way.
 * Call it on the main thread: the drivers do not see the environment of a worker.
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

export const apart: Platform['apart'] = (module) => {
  const child = fork(fileURLToPath(module), {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
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
        child.send(message as object);
      });
    } finally {
      clearTimeout(timer);
    }
  };
  return { ask, end };
};

export const serve: Platform['serve'] = (answer) => {
  process.on('message', async (message) => process.send?.(await answer(message)));
};
