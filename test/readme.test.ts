// The README's examples of the library, run as they stand there.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import test from 'tape';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const library = new URL('../index.ts', import.meta.url).href;

const blocks = [...readme.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code]) =>
  code!.replaceAll("'limelight'", `'${library}'`),
);
const isTest = (code: string) => /^import .*test.*from/m.test(code);

test("the README's examples of the library run", async (t) => {
  const examples = blocks.filter((code) => !isTest(code));
  t.equal(examples.length, 2, 'one explains, one shows a theorem with its network and input');
  const folder = mkdtempSync(join(tmpdir(), 'limelight-readme-'));
  try {
    const file = join(folder, 'example.mts');
    const picture =
      'const rgb = Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (i * 2654435761) >>> 24);';
    writeFileSync(file, `${picture}\n${examples.join('\n')}\nexport { found, cam, gradCam, z, w, g };\n`);
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

test("the README's examples of tests pass", (t) => {
  const examples = blocks.filter(isTest);
  t.equal(examples.length, 2, "one of tape, one of Node's runner");
  // Here, so that the packages of this repository are found.
  const folder = mkdtempSync(fileURLToPath(new URL('example-', import.meta.url)));
  try {
    examples.forEach((code, i) => {
      const file = join(folder, `${i}.mts`);
      writeFileSync(file, code);
      const flags = ['--conditions=source', '--import', 'tsx'];
      const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, file], { encoding: 'utf8' });
      t.equal(status, 0, stderr);
      t.match(stdout, /^# pass +[1-9]/m);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
  t.end();
});
