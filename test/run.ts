// Runs the test files named on the command line, or every *.test.ts in the folders named, or in test/, in one process:
// a software adapter must not be opened by two processes' worth of threads at once. Prints TAP, then the
// failures again, then one closing line.

import { readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import test from 'tape';

const here = dirname(fileURLToPath(import.meta.url));
const named = process.argv.slice(2).map((path) => resolve(path));
const filesIn = (path: string): readonly string[] =>
  statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.test.ts'))
        .sort()
        .map((file) => join(path, file))
    : [path];

// tape starts at once, unless told to wait until every file has registered its tests.
test.wait?.();

let passed = 0;
let skipped = 0;
const failures: string[] = [];
let title = '';
test.createStream().on('data', (chunk: unknown) => {
  const text = String(chunk);
  process.stdout.write(text);
  for (const line of text.split('\n')) {
    if (line.startsWith('# SKIP')) skipped++;
    else if (line.startsWith('# ')) title = line.slice(2);
    else if (/^ok .*# SKIP/.test(line)) skipped++;
    else if (line.startsWith('ok ')) passed++;
    else if (line.startsWith('not ok ')) failures.push(`${title}: ${line}`);
  }
});
test.onFinish(() => {
  for (const failure of failures) console.log(`FAILED ${failure}`);
  // Written after tape's own summary, which it prints once this handler has returned.
  setImmediate(() => console.log(`\n${passed} passed, ${failures.length} failed, ${skipped} skipped`));
  if (failures.length > 0) process.exitCode = 1;
});

for (const file of (named.length > 0 ? named : [here]).flatMap(filesIn))
  await import(pathToFileURL(file).href);
test.run?.();
