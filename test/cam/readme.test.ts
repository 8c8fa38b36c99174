// The README's table of methods, and what methods say of their terms, are one and the same.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { disposeExplanation, explain, methods } from '../../cam/index.ts';
import { full } from '../../engine/index.ts';
import { device } from '../device.ts';
import { graphs, randomNetwork } from './networks.ts';

test('the README lists every method by its title, its paper and its formulas', (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const rows = readme.split('\n').filter((line) => /^\| `[a-z+-]+` \| /.test(line));
  const expected = [...methods.values()].map(({ name, title, paper, terms }) => {
    const weights = terms.w_k ? `$${terms.w_k.tex}$` : 'none';
    return `| \`${name}\` | ${title} (${paper}) | ${weights} | $${terms.M.tex}$ |`;
  });
  t.deepEqual(rows, expected);
  t.end();
});

test('every method gives a tensor for each symbol that it describes', async (t) => {
  // A layer whose values may be negative: elsewhere Grad-CAM++ need not count denominators.
  const network = randomNetwork(await device(), { ...graphs.gapLinear, output: 'classifier' });
  const x = full(network.device, [1, 3, 8, 8], 0.5);
  const found = await explain(network, x, { methods: [...methods.keys()], classes: [1] });
  for (const e of found) {
    const { terms } = methods.get(e.method)!;
    t.deepEqual(e.terms.map(({ symbol }) => symbol).sort(), Object.keys(terms).sort(), e.method);
    for (const { symbol, tex, is, equation, layer, tensor } of e.terms) {
      t.deepEqual(
        [tex, is, equation, layer],
        [terms[symbol]!.tex, terms[symbol]!.is, terms[symbol]!.equation, 'features'],
      );
      const shape = /\[([^\]]*)\]/.exec(is)![1]!.split(', ');
      const [, k, h, w] = [1, 8, 4, 4];
      const sizes: Record<string, number> = { K: k!, h: h!, w: w! };
      t.deepEqual(
        tensor.shape,
        shape.map((n) => sizes[n] ?? Number(n)),
        `${e.method}: ${symbol} is ${is}`,
      );
    }
    disposeExplanation(e);
  }
});
