// The platform in a browser: fetch, and the browser's own WebGPU.

import { type Candidate, chooseAdapter } from './choose.ts';
import { CacheError, FileError, messageOf } from './errors.ts';
import type { Apart, Platform } from './interface.ts';

/** How an address is said in errors: bundlers make data: URLs of small files, whole in themselves. */
const said = ({ href }: URL) => (href.startsWith('data:') ? `${href.slice(0, 60)}…` : href);

async function get(url: URL): Promise<Response> {
  const response = await fetch(url).catch((error: unknown) => {
    throw new FileError(`cannot read ${said(url)}: ${messageOf(error)}`, { cause: error });
  });
  if (!response.ok) {
    throw new FileError(
      `cannot read ${said(url)}: the server answered ${response.status} ${response.statusText}`,
    );
  }
  return response;
}

async function read<T>(url: URL, body: (response: Response) => Promise<T>): Promise<T> {
  return body(await get(url)).catch((error: unknown) => {
    if (error instanceof FileError) throw error;
    throw new FileError(`cannot read ${said(url)}: ${messageOf(error)}`, { cause: error });
  });
}

export const text: Platform['text'] = (url) => read(url, (response) => response.text());

export const bytes: Platform['bytes'] = (url) =>
  read(url, async (response) => new Uint8Array(await response.arrayBuffer()));

export const packageBytes: Platform['packageBytes'] = async () => undefined;

/** What is kept lies in a cache of the page's origin, which workers see too; its names are addresses. */
const CACHE = 'limelight';
const addressOf = (name: string) => `https://limelight.invalid/${name}`;

export const keptText: Platform['keptText'] = async (name) => {
  try {
    const kept = await (await caches.open(CACHE)).match(addressOf(name));
    return await kept?.text();
  } catch {
    return undefined; // such as in a frame that may keep nothing
  }
};

export const keepText: Platform['keepText'] = async (name, kept) => {
  try {
    await (await caches.open(CACHE)).put(addressOf(name), new Response(kept));
    return `${name} in the cache "${CACHE}" of this origin`;
  } catch (error) {
    throw new CacheError(`this browser keeps nothing here: ${messageOf(error)}`, { cause: error });
  }
};

const browser: Candidate = {
  kind: 'browser',
  absent: 'no WebGPU in this browser',
  describe: () => 'the WebGPU of this browser',
  async open() {
    // Typed as always there, which is true of new browsers in secure contexts only.
    const gpu: GPU | undefined = navigator.gpu;
    if (!gpu)
      throw new Error('navigator.gpu is missing, so the browser is too old or the page is not secure');
    const adapter =
      (await gpu.requestAdapter({ powerPreference: 'high-performance' })) ??
      (await gpu.requestAdapter({ featureLevel: 'compatibility' }));
    return adapter && { gpu, adapter };
  },
};

const remedy = () =>
  'open the page over https or from localhost in a browser with WebGPU, and let it use hardware acceleration';

export const openAdapter: Platform['openAdapter'] = (choice) => chooseAdapter([browser], choice, remedy);

/** Drivers have no terminal here. */
export const quietly: Platform['quietly'] = (use) => use();

/** Browsers do not tell. */
export const availableMemory: Platform['availableMemory'] = () => undefined;

export const apart: Platform['apart'] = (module) => {
  const worker = new Worker(module, { type: 'module' });
  const end = () => worker.terminate();
  const ask: Apart['ask'] = async (message, limit) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise((resolve, reject) => {
        timer = setTimeout(() => {
          reject(new Error(`it gave no answer within ${limit} ms`));
          end();
        }, limit);
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
        worker.postMessage(message);
      });
    } finally {
      clearTimeout(timer);
    }
  };
  return { ask, end };
};

export const serve: Platform['serve'] = (answer) => {
  globalThis.onmessage = async ({ data }: MessageEvent) => globalThis.postMessage(await answer(data));
};
