/** JSON from files: `JSON.parse`, but an object with two values for one key is an error instead of a silent choice of the last. */
import { quote } from '../backend/validate.js';

/**
 * Parses JSON text.
 *
 * @throws SyntaxError for text that is not JSON, and for an object in which a key stands twice
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const repeated = repeatedKey(text);
  if (repeated !== null) throw new SyntaxError(`the key ${quote(repeated)} stands twice in one object`);
  return value;
}

/** The tokens at which the structure of valid JSON changes: brackets, and strings with the colon behind them where they are keys. */
const TOKENS = /[{}]|"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g;

/** The first key that stands twice in one object of valid JSON text, or null. Linear in the length of the text. */
function repeatedKey(text: string): string | null {
  const open: Set<string>[] = [];
  for (const [token, colon] of text.matchAll(TOKENS)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, token.length - colon.length)) as string;
      const keys = open[open.length - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return null;
}
