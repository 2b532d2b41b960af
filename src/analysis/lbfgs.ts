/** L-BFGS: minimises a smooth function, given its values and gradients (Nocedal & Wright 2006, Algorithms 7.4 and 7.5). */

/** Value and gradient of the function at a point. */
export interface Evaluation {
  value: number;
  gradient: Float64Array;
}

export interface MinimizeOptions {
  start: Float64Array;
  evaluate: (x: Float64Array) => Promise<Evaluation>;
  /** Stops when the L2 norm of the gradient is at most this. */
  gradientNorm: number;
  maxIterations: number;
}

/** Result of `minimize`. */
export interface Minimum {
  x: Float64Array;
  value: number;
  /** L2 norm of the gradient at `x`. */
  gradientNorm: number;
  iterations: number;
  /** Whether `gradientNorm` is within the requested limit. */
  converged: boolean;
}

/** Number of pairs (step, change of the gradient) that approximate the inverse Hessian. */
const MEMORY = 20;
/** Constants of the Wolfe conditions: c₁ (sufficient decrease) and c₂ (curvature). */
const DECREASE = 1e-4;
const FLATTEN = 0.9;
/**
 * Rounding error of function values that are computed in float32, relative to the initial value. A step that increases the value by less
 * than that is accepted if its slope has flattened (approximate Wolfe conditions, Hager & Zhang 2005).
 */
const VALUE_ERROR = 1e-7;
const MAX_TRIALS = 30;

interface Pair {
  /** Changes of x (`s`) and of the gradient (`y`) in one iteration. */
  s: Float64Array;
  y: Float64Array;
  /** 1 / s·y */
  rho: number;
}

interface Point extends Evaluation {
  x: Float64Array;
}

/** Returns the minimum of a smooth function, found by L-BFGS with a line search. */
export async function minimize({ start, evaluate, gradientNorm, maxIterations }: MinimizeOptions): Promise<Minimum> {
  let at: Point = { x: start, ...(await evaluate(start)) };
  const slack = VALUE_ERROR * Math.abs(at.value);
  let pairs: Pair[] = [];
  let iterations = 0;
  for (; iterations < maxIterations && norm(at.gradient) > gradientNorm; iterations++) {
    const next = await lineSearch(at, descent(at.gradient, pairs), { slack, isFirst: pairs.length === 0, evaluate });
    if (next === null) {
      // Rounding has made the pairs useless. Without pairs, the search direction is the negative gradient.
      if (pairs.length === 0) break;
      pairs = [];
      continue;
    }
    const s = difference(next.x, at.x);
    const y = difference(next.gradient, at.gradient);
    const curvature = dot(s, y);
    if (curvature > 0) pairs.push({ s, y, rho: 1 / curvature });
    if (pairs.length > MEMORY) pairs.shift();
    at = next;
  }
  const reached = norm(at.gradient);
  return { x: at.x, value: at.value, gradientNorm: reached, iterations, converged: reached <= gradientNorm };
}

/** Search direction −H·g, where H approximates the inverse Hessian by the pairs (two-loop recursion). */
function descent(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const q = gradient.map((value) => -value);
  const alphas: number[] = [];
  for (const { s, y, rho } of [...pairs].reverse()) {
    const alpha = rho * dot(s, q);
    alphas.unshift(alpha);
    addScaled(q, y, -alpha);
  }
  const last = pairs.at(-1);
  if (last) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    for (let i = 0; i < q.length; i++) q[i] *= scale;
  }
  for (const [i, { s, y, rho }] of pairs.entries()) addScaled(q, s, alphas[i] - rho * dot(y, q));
  return q;
}

/** A point along `direction` that fulfils the Wolfe conditions, found by bisection; null if none is found in `MAX_TRIALS` trials. */
async function lineSearch(
  from: Point,
  direction: Float64Array,
  { slack, isFirst, evaluate }: { slack: number; isFirst: boolean; evaluate: MinimizeOptions['evaluate'] },
): Promise<Point | null> {
  const slope = dot(from.gradient, direction);
  if (!(slope < 0)) return null;
  let [low, high] = [0, Number.POSITIVE_INFINITY];
  let step = isFirst ? 1 / Math.max(1, norm(direction)) : 1;
  for (let trial = 0; trial < MAX_TRIALS; trial++) {
    const x = from.x.slice();
    addScaled(x, direction, step);
    const point: Point = { x, ...(await evaluate(x)) };
    const here = dot(point.gradient, direction);
    const decreased =
      point.value <= from.value + DECREASE * step * slope || (point.value <= from.value + slack && here <= (2 * DECREASE - 1) * slope);
    if (!decreased) high = step;
    else if (here < FLATTEN * slope) low = step;
    else return point;
    step = high === Number.POSITIVE_INFINITY ? 2 * low : (low + high) / 2;
  }
  return null;
}

/** Inner product. */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** L2 norm. */
export const norm = (a: Float64Array): number => Math.sqrt(dot(a, a));

const difference = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, i) => value - b[i]);

function addScaled(to: Float64Array, values: Float64Array, factor: number): void {
  for (let i = 0; i < to.length; i++) to[i] += factor * values[i];
}
