/**
 * Operator tests that are known not to pass, with the reason. They count as unsupported, not as failed.
 */
export const KNOWN: Readonly<Record<string, string>> = {};
