// limelight models: the networks that are known by name.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../engine/platform/node/folder.ts';
import { type CatalogEntry, catalog } from '../../models/catalog.ts';
import { print } from './progress.ts';
import { table } from './report.ts';

/** Where an entry's weights are. */
function weightsOf({ name, weights, published }: CatalogEntry): string {
  if (weights) return existsSync(weights) ? 'shipped' : 'missing';
  if (!published) return `bring ${name}=FILE`;
  const { weights: remote, licence } = published;
  const place = existsSync(join(cacheFolder(), remote.name)) ? 'cached' : 'on demand';
  return `${place}, ${(remote.bytes / 1e6).toFixed(0)} MB, ${licence}`;
}

export function modelsCommand(): void {
  const rows = [...catalog.values()].map((entry) => [
    entry.name,
    weightsOf(entry),
    String(entry.classes.length),
    entry.targetLayer,
    entry.summary + (entry.text ? `; --text gives ${entry.text.is}` : ''),
  ]);
  print(
    `${table(['model', 'weights', 'classes', 'target layer', 'what'], rows)}\n` +
      `fetched weights are kept in ${cacheFolder()}\n`,
  );
}
