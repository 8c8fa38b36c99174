// Annotations in a CSV file with the columns file, class and, for boxes, x0, y0, x1, y1: edges in pixels, so that a box
// covers x0 <= x < x1. A picture with several objects has several lines.

import { CsvError, parse } from 'csv-parse/sync';
import { type Annotated, boxFrom, DataSetError, gathered } from './data-set.ts';

const EDGES = ['x0', 'y0', 'x1', 'y1'] as const;
const LABELS = ['class', 'label'] as const;

/** @throws DataSetError naming `path` and the line. */
export function readCsv(text: string, path: string): Annotated[] {
  let found: { record: Record<string, string>; info: { lines: number } }[];
  try {
    found = parse(text, { columns: true, trim: true, bom: true, info: true, skip_empty_lines: true });
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw new DataSetError(`${path}: ${cause.message}`, { cause });
  }
  return gathered(
    found.map(({ record, info }) => {
      const where = `${path}:${info.lines}`;
      const label = LABELS.map((name) => record[name]).find((value) => value !== undefined);
      if (!record.file || !label) {
        throw new DataSetError(
          `${where}: expected the columns file, class and, for boxes, ${EDGES.join(', ')}; found ${Object.keys(record).join(', ')}`,
        );
      }
      const edges = EDGES.map((edge) => record[edge] ?? '');
      if (edges.every((edge) => edge === '')) return { file: record.file, label };
      const numbers = edges.map((edge) => (edge === '' ? Number.NaN : Number(edge)));
      return { file: record.file, label, box: boxFrom(numbers, where) };
    }),
  );
}
