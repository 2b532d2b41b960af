/** Formats tables of text. */

/**
 * Formats rows as lines with aligned columns.
 *
 * @param rows rows of equal length, including the headings
 * @param right indices of the right-aligned columns
 */
export function columns(rows: readonly (readonly string[])[], right: ReadonlySet<number>): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (right.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd(),
  );
}
