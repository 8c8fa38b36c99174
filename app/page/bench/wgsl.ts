// WGSL for CodeMirror: what stands out is coloured; the compiler finds what is wrong.

import { StreamLanguage } from '@codemirror/language';

const KEYWORDS =
  /^(alias|break|case|const|const_assert|continue|continuing|default|diagnostic|discard|else|enable|false|fn|for|if|let|loop|override|requires|return|struct|switch|true|var|while)$/;
const TYPES =
  /^(bool|[fiu](16|32)|vec[234][fiuh]?|mat[234]x[234][fh]?|array|atomic|ptr|function|private|read|read_write|storage|uniform|workgroup)$/;

export const wgsl = StreamLanguage.define<{ commented: boolean }>({
  name: 'wgsl',
  startState: () => ({ commented: false }),
  token(stream, state) {
    if (state.commented || stream.match('/*')) {
      state.commented = !stream.match(/.*?\*\//);
      if (state.commented) stream.skipToEnd();
      return 'comment';
    }
    if (stream.eatSpace()) return null;
    if (stream.match(/\/\/.*/)) return 'comment';
    if (stream.match(/@\w+/)) return 'meta';
    if (stream.match(/0x[\da-fA-F]+[iu]?|\d+\.?\d*(e[+-]?\d+)?[fhiu]?|\.\d+[fh]?/)) return 'number';
    if (stream.match(/[A-Za-z_]\w*/)) {
      const word = stream.current();
      return KEYWORDS.test(word) ? 'keyword' : TYPES.test(word) ? 'typeName' : null;
    }
    stream.next();
    return null;
  },
  languageData: { commentTokens: { line: '//', block: { open: '/*', close: '*/' } } },
});
