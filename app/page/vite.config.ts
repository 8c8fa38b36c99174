// How vite serves and bundles the page: from the sources, with nothing taken from dist.

import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { defaultClientConditions, defineConfig, type Plugin } from 'vite';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The file that reads HDF5 apart is bundled as a worker: vite sees only those that `new Worker` names itself. */
const readerApart: Plugin = {
  name: 'reader apart',
  enforce: 'pre',
  transform: (code, id) =>
    id.endsWith('/keras/h5.ts')
      ? `import worker_ from './h5-worker.ts?worker&url';\n${code.replace("'./h5-worker.ts'", 'worker_')}`
      : undefined,
};

/** Fonts for browsers without WebGPU. */
const NOT_KEPT = /\.(woff|ttf)$/;

/** Tells the service worker what there is to keep. */
const offline: Plugin = {
  name: 'offline',
  enforce: 'post',
  generateBundle(_, output) {
    const worker = output['service-worker.js'];
    if (worker?.type !== 'chunk') return;
    const pages = Object.values(output).filter(({ fileName }) => fileName.endsWith('.html'));
    const assets = Object.keys(output).filter((name) => name.startsWith('assets/') && !NOT_KEPT.test(name));
    const names = [
      ...pages.map(({ fileName }) => fileName.replace(/index\.html$/, '') || './'),
      ...assets,
    ].sort();
    const hash = createHash('sha256').update(names.join());
    for (const page of pages) if (page.type === 'asset') hash.update(page.source);
    const version = hash.digest('hex').slice(0, 16);
    worker.code = worker.code
      .replace('FILES', JSON.stringify(names))
      .replace('VERSION', JSON.stringify(version));
  },
};

export default defineConfig({
  // Works in any folder of a web server.
  base: './',
  plugins: [readerApart, offline],
  resolve: { conditions: ['source', ...defaultClientConditions] },
  // Served as they are, so that they find their .wasm files beside them.
  optimizeDeps: { exclude: ['@jsquash/jpeg', '@jsquash/webp'] },
  server: { fs: { allow: ['../..'] } },
  // Modules, so that the formats that are not needed are not loaded.
  worker: { format: 'es', plugins: () => [readerApart] },
  build: {
    // What draws plots is larger than vite expects of a page; it is loaded when there is something to draw.
    chunkSizeWarningLimit: 1000,
    rolldownOptions: {
      input: [
        here('index.html'),
        here('bench/index.html'),
        here('hub/index.html'),
        here('service-worker.ts'),
      ],
      // Beside the page, under a name that does not change: it is for all that lies there.
      output: {
        entryFileNames: ({ name }) =>
          name === 'service-worker' ? 'service-worker.js' : 'assets/[name]-[hash].js',
      },
    },
  },
});
