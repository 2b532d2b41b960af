/** Replaces the CSS parser of linkedom in the built package: the charts have no style sheets, and the parser contains an `eval`. */

/** Returns a style sheet without rules. */
export const parse = (): { cssRules: [] } => ({ cssRules: [] });
