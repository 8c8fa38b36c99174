// Makes a module of each peer for the bench's page, which measures it beside Limelight when it is asked to:
//   npm ci --prefix bench/peers --ignore-scripts
//   npm run page:peers [-- folder]
// writes them to the folder `peers` of app/page/public, which vite serves and copies; or of a folder that is served already.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';
import { folderOf } from './load.node.ts';

interface Peer {
  /** The package whose version is told. */
  readonly name: string;
  /** JavaScript that imports what it is and opens it, by engines/peers.browser.ts. */
  readonly imports: string;
  readonly opens: (version: string) => string;
}

const peers: Readonly<Record<string, Peer>> = {
  'tfjs-webgpu': {
    name: '@tensorflow/tfjs-backend-webgpu',
    imports: "import * as tf from '@tensorflow/tfjs-core'; import '@tensorflow/tfjs-backend-webgpu';",
    opens: (version) => `openTfjs(tf, '${version}')`,
  },
  'jax-js': {
    name: '@jax-js/jax',
    imports: "import * as jax from '@jax-js/jax';",
    opens: (version) => `openJax(jax, '${version}')`,
  },
};

const here = fileURLToPath(new URL('.', import.meta.url));
const page = JSON.stringify(join(here, '../engines/peers.browser.ts'));
const target = join(process.argv[2] ?? join(here, '../../app/page/public'), 'peers');
const ENTRY = 'entry';
await mkdir(target, { recursive: true });
for (const [engine, { name, imports, opens }] of Object.entries(peers)) {
  const { version } = JSON.parse(await readFile(folderOf(name, 'package.json'), 'utf8'));
  const code = `${imports} import * as page from ${page}; export const open = () => page.${opens(version)};`;
  await build({
    input: ENTRY,
    cwd: here,
    platform: 'browser',
    output: { file: join(target, `${engine}.js`), codeSplitting: false, minify: true },
    plugins: [
      {
        name: ENTRY,
        resolveId: (id) => (id === ENTRY ? join(here, `${ENTRY}.js`) : undefined),
        load: (id) => (id === join(here, `${ENTRY}.js`) ? code : undefined),
      },
    ],
  });
}
await writeFile(join(target, 'peers.json'), JSON.stringify(Object.keys(peers)));
console.error(`${Object.keys(peers).join(', ')} are in ${target}; open the bench with ?peers in its address`);
