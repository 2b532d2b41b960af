/** Adam and AdamW, with and without AMSGrad, over elements [begin, end). The last vector may extend into the padding of the storages. */

/**
 * w ← shrink · w; g = grad + weightDecay · w; m ← beta1 · m + gain1 · g; s ← beta2 · s + gain2 · g²;
 * w ← w − rate · m / (√s / correction + eps). With AMSGrad (`maximum` not 0), the running maximum of s takes its place in the last line.
 */
export function adam(
  w: usize,
  mean: usize,
  square: usize,
  maximum: usize,
  grad: usize,
  rate: f32,
  beta1: f32,
  gain1: f32,
  beta2: f32,
  gain2: f32,
  eps: f32,
  correction: f32,
  weightDecay: f32,
  shrink: f32,
  begin: i32,
  end: i32,
): void {
  const speed = f32x4.splat(rate);
  const keep1 = f32x4.splat(beta1);
  const take1 = f32x4.splat(gain1);
  const keep2 = f32x4.splat(beta2);
  const take2 = f32x4.splat(gain2);
  const least = f32x4.splat(eps);
  const root = f32x4.splat(correction);
  const decay = f32x4.splat(weightDecay);
  const factor = f32x4.splat(shrink);
  for (let i = begin; i < end; i += 4) {
    const offset = (<usize>i) << 2;
    const weight = v128.load(w + offset);
    const g = f32x4.add(v128.load(grad + offset), f32x4.mul(decay, weight));
    const m = f32x4.add(f32x4.mul(keep1, v128.load(mean + offset)), f32x4.mul(take1, g));
    v128.store(mean + offset, m);
    let s = f32x4.add(f32x4.mul(keep2, v128.load(square + offset)), f32x4.mul(take2, f32x4.mul(g, g)));
    v128.store(square + offset, s);
    if (maximum !== 0) {
      s = f32x4.max(v128.load(maximum + offset), s);
      v128.store(maximum + offset, s);
    }
    const divisor = f32x4.add(f32x4.div(f32x4.sqrt(s), root), least);
    v128.store(w + offset, f32x4.sub(f32x4.mul(factor, weight), f32x4.mul(speed, f32x4.div(m, divisor))));
  }
}
