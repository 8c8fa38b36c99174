// limelight models: the networks that are known by name.

import { existsSync } from 'node:fs';
import { catalog } from '../../models/catalog.ts';
import { table } from './report.ts';

export function modelsCommand(): void {
  const rows = [...catalog.values()].map((entry) => [
    entry.name,
    entry.weights ? (existsSync(entry.weights) ? 'shipped' : 'missing') : `bring ${entry.name}=FILE`,
    String(entry.classes.length),
    entry.targetLayer,
    entry.summary,
  ]);
  process.stdout.write(`${table(['model', 'weights', 'classes', 'target layer', 'what'], rows)}\n`);
}
