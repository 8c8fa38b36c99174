// How vite serves and bundles the page: from the sources, with nothing taken from dist.

import { defaultClientConditions, defineConfig } from 'vite';

export default defineConfig({
  // Works in any folder of a web server.
  base: './',
  resolve: { conditions: ['source', ...defaultClientConditions] },
  // Served as they are, so that they find their .wasm files beside them.
  optimizeDeps: { exclude: ['@jsquash/jpeg', '@jsquash/webp'] },
  server: { fs: { allow: ['../..'] } },
  // Modules, so that the formats that are not needed are not loaded.
  worker: { format: 'es' },
});
