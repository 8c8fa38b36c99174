// Tokenizers from files in the format of Hugging Face's tokenizers.

import type { Tokenizer } from '../text.ts';
import { HubError } from './remote-file.ts';

/**
 * Reads the text of a tokenizer.json, of which messages speak as `where`. Throws HubError where it is none, and gives one that
 * does where it fails at some words.
 */
export async function readTokenizer(text: string, where: string): Promise<Tokenizer> {
  const orRefuse = <T>(f: () => T): T => {
    try {
      return f();
    } catch (cause) {
      throw new HubError(`${where} is no tokenizer: ${(cause as Error).message}`, { cause });
    }
  };
  // Loaded when it is needed: few networks read texts.
  const { Tokenizer: Tokens } = await import('@huggingface/tokenizers');
  const tokens = orRefuse(() => new Tokens(JSON.parse(text), {}));
  return (words) => orRefuse(() => tokens.encode(words).ids);
}
