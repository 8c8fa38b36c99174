// The README's example of the library, run as it stands there.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'tape';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const library = new URL('../index.ts', import.meta.url).href;

test("the README's examples of the library run", async (t) => {
  const examples = [...readme.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code]) => code!);
  t.equal(examples.length, 2, 'one explains, one shows a theorem with its network and input');
  const folder = mkdtempSync(join(tmpdir(), 'limelight-readme-'));
  try {
    const file = join(folder, 'example.mts');
    const picture =
      'const rgb = Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (i * 2654435761) >>> 24);';
    const code = examples.join('\n').replaceAll("'limelight'", `'${library}'`);
    writeFileSync(file, `${picture}\n${code}\nexport { found, cam, gradCam, z, w, g };\n`);
    const { found, w, g, z } = (await import(pathToFileURL(file).href)) as {
      found: { className: string; map: { shape: number[] } };
      w: Float32Array;
      g: Float32Array;
      z: number;
    };
    t.equal(found.className, '7');
    t.deepEqual(found.map.shape, [16, 16]);
    const largest = Math.max(...w.map(Math.abs));
    t.ok(Math.max(...w.map((wk, k) => Math.abs(wk - z * g[k]!))) < 1e-6 * largest, 'Z x Grad-CAM = CAM');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
