/**
 * Operator tests that are known not to pass, with the reason why. They count as unsupported, not as failed.
 * Of the 225 tests that the project is judged by, none is on it.
 */
export const KNOWN: Readonly<Record<string, string>> = {};
