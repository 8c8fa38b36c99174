// Gives browser libraries what they look for in a browser: `navigator.gpu`, on the adapter that Limelight would choose.

import { openAdapter } from '#platform';

/** Installs `navigator`; answers with the adapter's name. Later devices are opened on adapters of the same kind. */
export async function installNavigator(): Promise<string> {
  const { gpu, name, kind } = await openAdapter();
  const own = {
    requestAdapter: async () => (await openAdapter(kind)).adapter,
    getPreferredCanvasFormat: () => 'rgba8unorm',
    wgslLanguageFeatures: gpu.wgslLanguageFeatures ?? new Set(),
  };
  const navigator = {
    gpu: own,
    userAgent: 'node',
    hardwareConcurrency: 1,
    platform: 'linux',
    product: 'node',
  };
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  Reflect.set(globalThis, 'self', globalThis);
  return `${name} (${kind})`;
}
