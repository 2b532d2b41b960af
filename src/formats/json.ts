/** Parses JSON from files. Unlike `JSON.parse`, which silently uses the last of duplicate keys, it rejects them. */
import { quote } from '../backend/validate.js';

/**
 * Parses JSON text.
 *
 * @throws SyntaxError if the text is not JSON, or if an object has duplicate keys
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const repeated = repeatedKey(text);
  if (repeated !== null) throw new SyntaxError(`the key ${quote(repeated)} occurs twice in one object`);
  return value;
}

/** Matches the braces of valid JSON, and strings; a string followed by a colon is a key. */
const TOKENS = /[{}]|"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g;

/** Returns the first duplicate key of an object in valid JSON text, or null. Its time is linear in the length of the text. */
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
