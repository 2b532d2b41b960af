/**
 * Tools for testing operations, layers and backends, published as `zfnet/testing`: `gradcheck` compares gradients with finite
 * differences or with the reference backend, and `arbitraries` generates shapes, geometries and tensors for property tests.
 */
export { arbitraries, type ConvGeometry, type PoolGeometry, type ShapeRange, type ValueRange } from './testing/arbitraries.js';
export {
  type BackendGradcheckOptions,
  GradcheckError,
  type GradcheckOptions,
  type GradcheckPlace,
  type GradcheckResult,
  gradcheck,
} from './testing/gradcheck.js';
