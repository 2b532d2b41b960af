/** Feature matrices with one row per image and one column per feature. */
import { arrayOf, checkArgument, integer, rule, show } from '../backend/validate.js';
import { ValueError } from '../tensor/index.js';

/** A dense row-major matrix. */
export interface Matrix {
  /** Number of rows: one per example, for features. */
  rows: number;
  /** Number of columns: one per feature, for features. */
  columns: number;
  /** [rows, columns], row-major. */
  data: Float32Array;
}

/** Rule for a matrix whose data have rows · columns elements. */
export const matrix = rule('a matrix { rows, columns, data: Float32Array of rows · columns }', (value) => {
  const { rows, columns, data } = (value ?? {}) as Matrix;
  const counts = Number.isSafeInteger(rows) && Number.isSafeInteger(columns) && rows >= 0 && columns >= 0;
  return counts && data instanceof Float32Array && data.length === rows * columns;
});

/**
 * Copy of the rows at the given indices, in that order.
 *
 * @throws ValueError for an index outside the matrix
 */
export function selectRows(features: Matrix, places: ArrayLike<number>): Matrix {
  checkArgument('selectRows', 'features', features, matrix);
  if (features.rows === 0 && places?.length > 0) throw new ValueError(`selectRows: the matrix has no rows, got indices ${show(places)}`);
  checkArgument('selectRows', 'places', places, arrayOf(integer(0, Math.max(0, features.rows - 1))));
  const { columns, data } = features;
  const chosen = new Float32Array(places.length * columns);
  for (let i = 0; i < places.length; i++) chosen.set(data.subarray(places[i] * columns, (places[i] + 1) * columns), i * columns);
  return { rows: places.length, columns, data: chosen };
}
