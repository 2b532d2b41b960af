/** WGSL functions that several kernels share, beside those of wgsl.ts. */

/**
 * `order(b)` maps the bits of floats to whole numbers of the same order; both zeros have one number, and all NaNs have the largest. Kernels
 * that only compare and copy floats use it and need no float arithmetic, which would flush denormals and ignore NaN.
 */
export const ORDER = `
const NAN_ORDER = 0xffffffffu;
const LEAST_ORDER = 0x00800000u; // of minus infinity
fn order(b: u32) -> u32 {
  let magnitude = b & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return NAN_ORDER; }
  return select(0x80000000u + magnitude, 0x80000000u - magnitude, b >= 0x80000000u);
}
`;
