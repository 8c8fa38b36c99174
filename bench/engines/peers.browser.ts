// Peers in a browser, in a worker of the page's: kernels alone. peers/bundle.node.ts makes a module of each, with its package.
// ONNX Runtime makes functions of texts, which the page's content policy forbids.

import type { KernelProblem, Problem } from '../problems.ts';
import { type Engine, type Prepared, Unsupported } from './engine.ts';
import { type Jax, prepareKernel as prepareJax, startJax } from './jax.ts';
import { prepareKernel as prepareTfjs, standInForElements, startBackend, type Tfjs } from './tfjs.ts';

/** An engine of kernels, on the adapter that the browser gives to those who do not choose. */
async function engineOf(
  version: string,
  prepare: (problem: KernelProblem) => Prepared | Promise<Prepared>,
): Promise<Engine> {
  const { vendor, architecture } = (await navigator.gpu.requestAdapter())!.info;
  return {
    adapter: `${vendor} ${architecture} (browser)`,
    version,
    prepare: async (problem: Problem) => {
      if ('network' in problem) throw new Unsupported('a whole network');
      return prepare(problem);
    },
  };
}

export async function openTfjs(tf: Tfjs, version: string): Promise<Engine> {
  standInForElements();
  await startBackend(tf, 'webgpu');
  return engineOf(version, (problem) => prepareTfjs(tf, problem));
}

export async function openJax(jax: Jax, version: string): Promise<Engine> {
  await startJax(jax);
  return engineOf(version, (problem) => prepareJax(jax, problem));
}
