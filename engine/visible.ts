// Texts from files, such as the names of nodes, classes and files, as people may be shown them.

/**
 * What would steer a terminal or turn a line round instead of being seen: control characters (C0, DEL, C1), line and
 * paragraph separators, and the marks of direction (Unicode's UAX 9).
 */
const STEERING = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A text on one line, with U+FFFD in place of every character that steers. */
export const visible = (text: string): string => text.replace(STEERING, '\ufffd');

/** The same for a text of several lines. */
export const visibleLines = (text: string): string => text.split('\n').map(visible).join('\n');

/** A value on one line of JSON, where such characters are escaped: it is read back as it was. */
export const visibleJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    STEERING,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** A text as HTML, SVG and XML hold it, between tags and in attributes. */
export const visibleMarkup = (text: string): string =>
  visibleLines(text)
    .replace(/[^\n\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"']/g, (character) => entities[character]!);
