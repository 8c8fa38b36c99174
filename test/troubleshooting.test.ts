// The page of error messages is that of the sources as they are.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { troubleshooting } from './troubleshooting.ts';

test('troubleshooting.md is current', (t) => {
  const found = readFileSync(new URL('../troubleshooting.md', import.meta.url), 'utf8');
  t.ok(found === troubleshooting(), 'else: npm run troubleshooting');
  t.ok(found.split('\n').filter((line) => line.startsWith('- ')).length > 200, 'messages are found');
  t.match(found, /^- the package webgpu, which brings WebGPU to Node, cannot be loaded: …/m);
  t.end();
});
