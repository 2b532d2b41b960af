/**
 * Tools for testing operations, layers and backends, published as `zfnet/testing`: `gradcheck` compares gradients with finite
 * differences or with the reference backend, `checkBackend` runs the cases of all operations on a backend (`operationCases` lists them), and
 * `arbitraries` generates shapes, geometries and tensors for property tests.
 */
export { arbitraries, type ConvGeometry, type PoolGeometry, type ShapeRange, type ValueRange } from './testing/arbitraries.js';
export type { Case as OperationCase, Input as OperationInput } from './testing/cases/case.js';
export { cases as operationCases } from './testing/cases/index.js';
export { type BackendCheck, type BackendCheckRow, type CheckBackendOptions, checkBackend } from './testing/check_backend.js';
export {
  type BackendGradcheckOptions,
  GradcheckError,
  type GradcheckOptions,
  type GradcheckPlace,
  type GradcheckResult,
  gradcheck,
} from './testing/gradcheck.js';
export { OPERATION_TOLERANCES, type OperationTolerance } from './testing/tolerances.js';
