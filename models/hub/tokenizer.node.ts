// Tokenizers from files in the format of Hugging Face's tokenizers.

import { readFile } from 'node:fs/promises';
import type { Tokenizer } from '../text.ts';
import { HubError } from './remote-file.ts';

/** Reads a tokenizer.json. Throws HubError where it is none. */
export async function readTokenizer(path: string): Promise<Tokenizer> {
  // Loaded when it is needed: few networks read texts.
  const { Tokenizer: Tokens } = await import('@huggingface/tokenizers');
  try {
    const tokens = new Tokens(JSON.parse(await readFile(path, 'utf8')), {});
    return (text) => tokens.encode(text).ids;
  } catch (cause) {
    throw new HubError(`${path} is no tokenizer: ${(cause as Error).message}`, { cause });
  }
}
