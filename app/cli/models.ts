// limelight models: the networks that are known by name.

import { existsSync } from 'node:fs';
import { catalog } from '../../models/catalog.ts';
import { table } from './report.ts';

export function modelsCommand(): void {
  const rows = [...catalog.values()].map(({ description, weights }) => [
    description.name,
    weights ? (existsSync(weights) ? 'shipped' : 'missing') : `bring ${description.name}=FILE`,
    String(description.classes.length),
    description.targetLayer,
    description.summary,
  ]);
  process.stdout.write(`${table(['model', 'weights', 'classes', 'target layer', 'what'], rows)}\n`);
}
