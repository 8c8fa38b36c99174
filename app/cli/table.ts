// A table as plain text: no colours, no line between rows, so that it pastes and pipes well.

import Table from 'cli-table3';

export function tableOf(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  for (const row of rows) table.push([...row]);
  return `${table.toString()}\n`;
}
