/** RMSprop over elements [begin, end). The last vector may extend into the padding of the storages. */

/**
 * g = grad + weightDecay · w; s ← alpha · s + gain · g²; if centered (`mean` not 0): m ← alpha · m + gain · g, and s − m² takes the place
 * of s below. u = g / (√s + eps); with momentum (`buffer` not 0): b ← momentum · b + u, and b takes the place of u. w ← w − lr · u.
 */
export function rmsprop(
  w: usize,
  square: usize,
  mean: usize,
  buffer: usize,
  grad: usize,
  lr: f32,
  alpha: f32,
  gain: f32,
  eps: f32,
  weightDecay: f32,
  momentum: f32,
  begin: i32,
  end: i32,
): void {
  const rate = f32x4.splat(lr);
  const keep = f32x4.splat(alpha);
  const take = f32x4.splat(gain);
  const least = f32x4.splat(eps);
  const decay = f32x4.splat(weightDecay);
  const inertia = f32x4.splat(momentum);
  const zero = f32x4.splat(0);
  for (let i = begin; i < end; i += 4) {
    const offset = (<usize>i) << 2;
    const weight = v128.load(w + offset);
    const g = f32x4.add(v128.load(grad + offset), f32x4.mul(decay, weight));
    let s = f32x4.add(f32x4.mul(keep, v128.load(square + offset)), f32x4.mul(take, f32x4.mul(g, g)));
    v128.store(square + offset, s);
    if (mean !== 0) {
      const m = f32x4.add(f32x4.mul(keep, v128.load(mean + offset)), f32x4.mul(take, g));
      v128.store(mean + offset, m);
      // The variance; rounding can make it negative.
      s = f32x4.max(f32x4.sub(s, f32x4.mul(m, m)), zero);
    }
    let step = f32x4.div(g, f32x4.add(f32x4.sqrt(s), least));
    if (buffer !== 0) {
      step = f32x4.add(f32x4.mul(inertia, v128.load(buffer + offset)), step);
      v128.store(buffer + offset, step);
    }
    v128.store(w + offset, f32x4.sub(weight, f32x4.mul(rate, step)));
  }
}
