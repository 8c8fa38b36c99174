// The README's table of methods, and what methods say of their terms, are one and the same.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { disposeExplanation, explain, methods } from '../../cam/index.ts';
import { full } from '../../engine/index.ts';
import { vit } from '../../models/architectures/vit.ts';
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

/** A transformer whose tokens hold a feature map of the same size as that network's. */
const tokens = vit({ image: 8, patch: 2, width: 8, depth: 2, heads: 2, classes: 5 });

test('every method gives a tensor for each symbol that it describes', async (t) => {
  // A layer whose values may be negative: elsewhere Grad-CAM++ need not count denominators.
  const network = randomNetwork(await device(), { ...graphs.gapLinear, output: 'classifier' });
  const x = full(network.device, [1, 3, 8, 8], 0.5);
  const transformer = randomNetwork(network.device, tokens, 1, 'blocks.1.norm1');
  // Those with a decoder explain only the network that it was trained for: f-cam.test.ts.
  const decoded = [...methods.values()].filter(({ decoder }) => decoder !== undefined);
  const [ofTokens, others] = [true, false].map((is) =>
    [...methods.values()].filter((one) => !decoded.includes(one) && (one.layerOf !== undefined) === is),
  );
  const found = [
    ...(await explain(network, x, { methods: others!, classes: [1] })),
    ...(await explain(transformer, x, { methods: ofTokens!, classes: [1], layer: 'pos_embed' })),
  ];
  t.equal(found.length, methods.size - decoded.length);
  for (const e of found) {
    const { terms } = methods.get(e.method)!;
    t.deepEqual(e.terms.map(({ symbol }) => symbol).sort(), Object.keys(terms).sort(), e.method);
    for (const { symbol, tex, is, equation, layer, tensor } of e.terms) {
      t.deepEqual(
        [tex, is, equation, layer],
        [
          terms[symbol]!.tex,
          terms[symbol]!.is,
          terms[symbol]!.equation,
          methods.get(e.method)!.layerOf ? 'pos_embed' : 'features',
        ],
      );
      const shape = /\[([^\]]*)\]/.exec(is)![1]!.split(', ');
      const sizes: Record<string, number> = { C: 3, K: 8, h: 4, w: 4, H: 8, W: 8, T: 17 };
      t.deepEqual(
        tensor.shape,
        shape.map((n) => sizes[n] ?? Number(n)),
        `${e.method}: ${symbol} is ${is}`,
      );
    }
    disposeExplanation(e);
  }
});
