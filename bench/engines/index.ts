// The engines by name, each loaded only in the process that measures it.

import type { Engine } from './engine.ts';

export const engines: Readonly<Record<string, () => Promise<Engine>>> = {
  limelight: async () => (await import('./limelight.node.ts')).openLimelight(),
  'tfjs-webgpu': async () => (await import('./tfjs.node.ts')).openTfjs('webgpu'),
  'jax-js': async () => (await import('./jax.node.ts')).openJax(),
  'ort-webgpu': async () => (await import('./ort.node.ts')).openOrtWeb(),
  'tfjs-wasm': async () => (await import('./tfjs.node.ts')).openTfjs('wasm'),
  'ort-node': async () => (await import('./ort.node.ts')).openOrtNode(),
};
