// The code of a method, as it runs: its own file, with the lines that a symbol is in.

import { button, make } from '../dom.ts';

const files = import.meta.glob<string>('../../../cam/methods/*.ts', { query: '?raw', import: 'default' });

/** Opens a method's file, the lines of a symbol lit up. */
export async function showCode(method: string, symbol: string): Promise<void> {
  const sources = await Promise.all(
    Object.entries(files).map(async ([path, read]) => [path.split('/').at(-1)!, await read()] as const),
  );
  const [name, source] = sources.find(([, text]) => text.includes(`name: '${method}'`))!;
  const isDefinition = new RegExp(`\\b${symbol}\\b\\s*(=|:|,|\\})`);
  const lines = source
    .trimEnd()
    .split('\n')
    .map((line) =>
      make(
        'span',
        { class: isDefinition.test(line) && !line.startsWith('//') ? 'line lit' : 'line' },
        `${line}\n`,
      ),
    );
  const dialog = make('dialog', { class: 'code', 'aria-label': name });
  dialog.append(
    make(
      'header',
      {},
      make('strong', {}, `cam/methods/${name}`),
      button({}, () => dialog.close(), 'Close'),
    ),
    make('pre', { tabindex: '0' }, ...lines),
  );
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  const lit = lines.filter((line) => line.classList.contains('lit'));
  (lit.at(-1) ?? lines[0])!.scrollIntoView({ block: 'center' });
}
