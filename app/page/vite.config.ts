// How vite serves and bundles the page: from the sources, with nothing taken from dist.

import { defaultClientConditions, defineConfig, type Plugin } from 'vite';

/** The file that reads HDF5 apart is bundled as a worker: vite sees only those that `new Worker` names itself. */
const readerApart: Plugin = {
  name: 'reader apart',
  enforce: 'pre',
  transform: (code, id) =>
    id.endsWith('/keras/h5.ts')
      ? `import worker_ from './h5-worker.ts?worker&url';\n${code.replace("'./h5-worker.ts'", 'worker_')}`
      : undefined,
};

export default defineConfig({
  // Works in any folder of a web server.
  base: './',
  plugins: [readerApart],
  resolve: { conditions: ['source', ...defaultClientConditions] },
  // Served as they are, so that they find their .wasm files beside them.
  optimizeDeps: { exclude: ['@jsquash/jpeg', '@jsquash/webp'] },
  server: { fs: { allow: ['../..'] } },
  // Modules, so that the formats that are not needed are not loaded.
  worker: { format: 'es', plugins: () => [readerApart] },
});
