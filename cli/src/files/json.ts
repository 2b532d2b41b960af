/** Parses JSON that comes from a file, so that invalid text is a value to handle and not an exception to catch. */

/** The parsed value, or the parser's error. */
export type ParsedJson = { value: unknown; error?: undefined } | { value?: undefined; error: Error };

/**
 * Parses JSON, given as text or as UTF-8 bytes.
 *
 *     const { value, error } = parseJson(bytes);
 *     if (error) throw new UsageError(`${file}: it is not JSON (${error.message})`);
 */
export function parseJson(content: string | Uint8Array): ParsedJson {
  try {
    return { value: JSON.parse(typeof content === 'string' ? content : new TextDecoder().decode(content)) };
  } catch (error) {
    return { error: error as Error };
  }
}
