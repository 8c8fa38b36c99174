// Makes troubleshooting.md of the error messages in the sources: `npm run troubleshooting`.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'troubleshooting.md');
const folders = ['engine', 'models', 'cam', 'app'];

/** What a text literal says, from its quote on: what is put in when it is thrown stands as "…". */
function literal(source: string, at: number): { text: string; end: number } | undefined {
  const quote = source[at]!;
  if (!`'"\``.includes(quote)) return undefined;
  let text = '';
  for (let i = at + 1; i < source.length; i++) {
    if (source[i] === '\\') text += { n: ' ', t: ' ' }[source[++i]!] ?? source[i];
    else if (source[i] === quote) return { text, end: i + 1 };
    else if (quote === '`' && source.startsWith('${', i)) {
      let depth = 1;
      for (i += 2; depth > 0 && i < source.length; i++) depth += { '{': 1, '}': -1 }[source[i]!] ?? 0;
      i--;
      text += '…';
    } else text += source[i];
  }
  return undefined;
}

/** The message that begins at a place: literals joined by plus signs; what else is joined stands as "…". */
function messageAt(source: string, start: number): string {
  let text = '';
  for (let at = start; ; ) {
    at += /^\s*/.exec(source.slice(at))![0].length;
    const found = literal(source, at);
    if (found) {
      text += found.text;
      at = found.end;
    } else {
      const name = /^\(?[\w.!]+(\([^()]*\))?\)?/.exec(source.slice(at));
      if (!name) return text;
      text += '…';
      at += name[0].length;
    }
    const plus = /^\s*\+/.exec(source.slice(at));
    if (!plus) return text;
    at += plus[0].length;
  }
}

const sentence = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, ''))
    .join(' ')
    .replace(/\{@link (\w+)\}/g, '$1')
    .trim();

/** The page, from the sources as they are. */
export function troubleshooting(): string {
  const meanings = new Map<string, string>();
  const messages = new Map<string, Map<string, string>>();
  const names = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  for (const name of names.filter((one) => one.endsWith('.ts')).sort()) {
    const source = readFileSync(join(root, name), 'utf8');
    const classes = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export class (\w+Error) /g;
    for (const [, doc, kind] of source.matchAll(classes)) meanings.set(kind!, sentence(doc!));
    for (const match of source.matchAll(/new (\w+Error)\(/g)) {
      const text = messageAt(source, match.index + match[0].length)
        .replace(/\s+/g, ' ')
        .trim();
      // What says nothing by itself is made elsewhere.
      if (!/\p{L}{3,}.*\p{L}{3,}/u.test(text)) continue;
      const of = messages.get(match[1]!) ?? new Map<string, string>();
      messages.set(match[1]!, of.set(text, name));
    }
  }
  const sections = [...messages]
    .filter(([kind]) => meanings.has(kind))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, of]) => {
      const rows = [...of]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([text, name]) => {
          const shown = text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('`', "'");
          return `- ${shown} ([${dirname(name)}](${name}))`;
        });
      return `## ${kind}\n\n${meanings.get(kind)}\n\n${rows.join('\n')}\n`;
    });
  return `# Troubleshooting

Every message of Limelight, by its kind: what the kind means, then the messages, each of which says what was wrong,
what was expected and what to do. "…" stands for what is put in: names, numbers, a reason. Search this page for some words
of yours. On the command line \`LIMELIGHT_DEBUG=1\` shows where an error came from, \`--verbose\` what drivers print; an
error with a stack and without a kind is a fault of Limelight. The page is made of the sources by
\`npm run troubleshooting\`, and a test says when it is not current.

${sections.join('\n')}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, troubleshooting());
