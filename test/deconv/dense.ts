/**
 * The deconvnet once more, written from its definition with dense matrices and nothing of the engine: every layer is a
 * function up and a function down; a convolution goes down by its transposed matrix, a pool by its switch matrix.
 */

export type Mode = 'deconvnet' | 'gradient' | 'guided';
export interface Rules {
  mode: Mode;
  overlap: 'sum' | 'last';
}

/** [C, H, W] */
export type Dims = readonly [number, number, number];
type Matrix = Float64Array[];

export interface DenseLayer {
  up(x: Float64Array): Float64Array;
  /** The signal at the input of the last `up`, from that at its output. */
  down(signal: Float64Array, rules: Rules): Float64Array;
  output: Dims;
}

const zeroMatrix = (rows: number, columns: number): Matrix => Array.from({ length: rows }, () => new Float64Array(columns));
const times = (m: Matrix, x: Float64Array) => Float64Array.from(m, (row) => row.reduce((sum, value, j) => sum + value * x[j], 0));
const transposed = (m: Matrix): Matrix => Array.from({ length: m[0].length }, (_, j) => Float64Array.from(m, (row) => row[j]));

/** weight [O, C, K, K] flat */
export function conv(
  [c, h, w]: Dims,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  k: number,
  stride: number,
  pad: number,
): DenseLayer {
  const o = bias.length;
  const oh = Math.floor((h + 2 * pad - k) / stride) + 1;
  const ow = Math.floor((w + 2 * pad - k) / stride) + 1;
  const m = zeroMatrix(o * oh * ow, c * h * w);
  for (let oc = 0; oc < o; oc++)
    for (let y = 0; y < oh; y++)
      for (let x = 0; x < ow; x++)
        for (let ic = 0; ic < c; ic++)
          for (let ky = 0; ky < k; ky++)
            for (let kx = 0; kx < k; kx++) {
              const iy = y * stride - pad + ky;
              const ix = x * stride - pad + kx;
              if (iy < 0 || ix < 0 || iy >= h || ix >= w) continue;
              m[(oc * oh + y) * ow + x][(ic * h + iy) * w + ix] = weight[((oc * c + ic) * k + ky) * k + kx];
            }
  const back = transposed(m);
  return {
    up: (x) => times(m, x).map((value, i) => value + bias[Math.floor(i / (oh * ow))]),
    down: (signal) => times(back, signal),
    output: [o, oh, ow],
  };
}

/** weight [out, in] flat */
export function dense(inputs: number, weight: ArrayLike<number>, bias: ArrayLike<number>): DenseLayer {
  const m = Array.from({ length: bias.length }, (_, i) => Float64Array.from({ length: inputs }, (_, j) => weight[i * inputs + j]));
  const back = transposed(m);
  return { up: (x) => times(m, x).map((value, i) => value + bias[i]), down: (signal) => times(back, signal), output: [bias.length, 1, 1] };
}

export function relu(dims: Dims): DenseLayer {
  let input = new Float64Array();
  return {
    up: (x) => {
      input = Float64Array.from(x);
      return x.map((value) => Math.max(value, 0));
    },
    down: (signal, { mode }) =>
      signal.map((s, i) => {
        if (mode === 'deconvnet') return Math.max(s, 0);
        if (mode === 'gradient') return input[i] > 0 ? s : 0;
        return input[i] > 0 ? Math.max(s, 0) : 0;
      }),
    output: dims,
  };
}

/** Max pooling in ceil mode without padding. */
export function pool([c, h, w]: Dims, k: number, stride: number): DenseLayer {
  const oh = Math.ceil((h - k) / stride) + 1;
  const ow = Math.ceil((w - k) / stride) + 1;
  let switches: number[] = [];
  return {
    up(x) {
      switches = [];
      const y = new Float64Array(c * oh * ow);
      for (let ch = 0; ch < c; ch++)
        for (let oy = 0; oy < oh; oy++)
          for (let ox = 0; ox < ow; ox++) {
            let best = -1;
            for (let iy = oy * stride; iy < Math.min(oy * stride + k, h); iy++)
              for (let ix = ox * stride; ix < Math.min(ox * stride + k, w); ix++) {
                const at = (ch * h + iy) * w + ix;
                if (best < 0 || x[at] > x[best]) best = at;
              }
            y[switches.length] = x[best];
            switches.push(best);
          }
      return y;
    },
    down(signal, { overlap }) {
      if (overlap === 'sum') {
        const m = zeroMatrix(switches.length, c * h * w);
        switches.forEach((at, i) => {
          m[i][at] = 1;
        });
        return times(transposed(m), signal);
      }
      const x = new Float64Array(c * h * w);
      switches.forEach((at, i) => {
        x[at] = signal[i];
      });
      return x;
    },
    output: [c, oh, ow],
  };
}

/** y_i = x_i · D_i^−β, D_i = k + α / n · Σ x_j² over the n neighbouring channels. */
export function lrn(dims: Dims, size: number, alpha: number, beta: number, k: number): DenseLayer {
  const [c, h, w] = dims;
  const plane = h * w;
  let input = new Float64Array();
  const near = (i: number, j: number) => j - i >= -Math.floor((size - 1) / 2) && j - i <= Math.ceil((size - 1) / 2);
  const divisor = (x: Float64Array, i: number, p: number) => {
    let sum = 0;
    for (let j = 0; j < c; j++) if (near(i, j)) sum += x[j * plane + p] ** 2;
    return k + (alpha / size) * sum;
  };
  return {
    up(x) {
      input = Float64Array.from(x);
      return x.map((value, at) => value * divisor(input, Math.floor(at / plane), at % plane) ** -beta);
    },
    down(signal, { mode }) {
      if (mode === 'deconvnet') return signal;
      const out = new Float64Array(signal.length);
      for (let p = 0; p < plane; p++)
        for (let i = 0; i < c; i++) {
          const d = divisor(input, i, p);
          for (let j = 0; j < c; j++) {
            const own = i === j ? d ** -beta : 0;
            const other = near(i, j) ? ((2 * alpha * beta) / size) * input[i * plane + p] * input[j * plane + p] * d ** (-beta - 1) : 0;
            out[j * plane + p] += signal[i * plane + p] * (own - other);
          }
        }
      return out;
    },
    output: dims,
  };
}

/** The picture of one activation (of the last layer, by its place among all its values; default the strongest of `map`). */
export function projectDense(
  layers: readonly DenseLayer[],
  image: ArrayLike<number>,
  place: { map: number; position?: readonly [number, number] },
  rules: Rules,
): Float64Array {
  let x = Float64Array.from(image);
  for (const layer of layers) x = Float64Array.from(layer.up(x));
  const [, h, w] = layers[layers.length - 1].output;
  const start = place.map * h * w;
  const own = [...x.slice(start, start + h * w)];
  const at = start + (place.position ? place.position[0] * w + place.position[1] : own.indexOf(Math.max(...own)));
  let signal = new Float64Array(x.length);
  signal[at] = x[at];
  for (const layer of [...layers].reverse()) signal = Float64Array.from(layer.down(signal, rules));
  return signal;
}
