/**
 * The proof chain, for each entry of the list of cases: its gradient agrees with differences, every backend agrees with the
 * float64 reference, forwards and back, and the reference agrees with PyTorch where a fixture has its values.
 */
import { describe, expect, it } from 'vitest';
import { type Tensor, tensor } from '../../src/tensor/index.js';
import * as ops from '../../src/tensor/ops/index.js';
import { compareValues, toleranceOf } from '../../src/testing/tolerances.js';
import { type OperationCase as Case, operationCases as cases, gradcheck } from '../../src/testing.js';
import type { Tolerance } from '../support/allclose.js';
import { backends, fast, reference, strict, strictThreads } from '../support/backends.js';
import { type Outcome, runCase, valuesOf } from '../support/run.js';
import { mismatchOfSample, readFixture, type Sampled } from '../support/torch.js';

/** Both sides compute in float64; a fixture has 12 digits. */
const TORCH_TOLERANCE: Tolerance = { relative: 1e-9, absolute: 1e-10 };

const torch = readFixture<Record<string, { output: Sampled; gradients: (Sampled | null)[] }>>('ops.json');

/** Kernels called so far by the cases on the reference. */
const reached = new Set<string | symbol>();
const watched = new Proxy(reference, {
  get(target, name) {
    reached.add(name);
    return Reflect.get(target, name);
  },
});

function once<T>(compute: () => T): () => T {
  let result: { value: T } | undefined;
  return () => {
    result ??= { value: compute() };
    return result.value;
  };
}

const title = (c: Case) => `${c.op}: ${c.name}`;
const expectedOf = new Map(cases.map((c) => [c, once(() => runCase(c, watched, 'float64'))]));
/** The bits of all elements. WebAssembly does not define sign and payload of a NaN that an instruction makes: all NaNs count as one. */
const bits = ({ output, gradients }: Outcome) =>
  [output, ...gradients].map(
    (data) => data && Buffer.from(data.map((value) => (Number.isNaN(value) ? Number.NaN : value)).buffer).toString('base64'),
  );

describe.each(cases.map((c) => [title(c), c] as const))('%s', (name, c) => {
  const expected = expectedOf.get(c)!;
  const scale = once(() => (c.sums ? runCase(c, reference, 'float64', true) : null));
  const actualOn = new Map(backends.map((own) => [own.name, once(() => runCase(c, own.backend, 'float32'))]));

  it(c.gradient === 'none' ? 'records nothing' : 'records itself, and reaches every input that can have a gradient', () => {
    const { recorded, gradients } = expected();
    expect(recorded).toBe(c.gradient !== 'none');
    if (recorded && c.op !== 'maxUnpool2d')
      expect(gradients.map((g) => g !== null)).toEqual(c.inputs.map(({ dtype }) => dtype === 'float'));
  });

  if (c.gradient === undefined || c.gradient === 'checked')
    it('has the numeric gradient', () => {
      const inputs = c.inputs.map((input, place) =>
        tensor(valuesOf(input, place), input.shape, { dtype: input.dtype === 'float' ? 'float64' : input.dtype, backend: reference }),
      );
      const { checked } = gradcheck((...tensors: Tensor[]) => c.run(tensors), inputs, { places: c.places });
      expect(checked > 0).toBe(inputs.some(({ size, dtype }) => size > 0 && dtype === 'float64'));
    });

  it.each(backends)('on $name equals the float64 reference', ({ name, backend, slack }) => {
    const { buffers } = backend.memory();
    const actual = actualOn.get(name)!();
    expect(actual.shape).toEqual(expected().shape);
    const tolerance = slack * toleranceOf(c.op);
    expect(compareValues(actual.output, expected().output, tolerance, scale()?.output).fault, 'output').toBeNull();
    expected().gradients.forEach((gradient, i) => {
      const own = actual.gradients[i];
      expect(own === null).toBe(gradient === null);
      if (gradient && own)
        expect(compareValues(own, gradient, tolerance, scale()?.gradients[i]).fault, `gradient of input ${i}`).toBeNull();
    });
    expect(backend.memory().buffers).toBe(buffers);
  });

  it('gives the same bits with two threads', () => {
    const [one, two] = [strict, strictThreads].map((own) => bits(actualOn.get(own.name)!()));
    expect(two).toEqual(one);
  });

  if (torch[name])
    it('has the values of PyTorch', () => {
      const { output, gradients } = torch[name];
      const actual = expected();
      expect(mismatchOfSample(actual.output, actual.shape, output, TORCH_TOLERANCE), 'output').toBeNull();
      gradients.forEach((gradient, i) => {
        if (gradient)
          expect(mismatchOfSample(actual.gradients[i]!, c.inputs[i].shape, gradient, TORCH_TOLERANCE), `gradient of input ${i}`).toBeNull();
      });
    });
});

describe('the list of cases', () => {
  it('runs on the intended builds', () => {
    const builds = [strict, strictThreads, fast].map(({ backend }) => backend.info().variant.split(' ')[0]);
    expect(builds).toEqual(['simd', 'simd-shared', 'relaxed']);
  });

  it('names every case once', () => {
    const names = cases.map(title);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('covers every operation', () => {
    const covered = new Set(cases.map(({ op }) => op));
    expect(Object.keys(ops).filter((op) => !covered.has(op))).toEqual([]);
  });

  it('covers every kernel that no other test covers', () => {
    for (const outcome of expectedOf.values()) outcome();
    const notKernels = ['name', 'capabilities', 'info', 'read', 'synchronize', 'resetPeak', 'dispose', 'memory', 'profileKernels'];
    const kernels = Object.keys(reference).filter((name) => !notKernels.includes(name));
    // random, optim, pytorch_optim and memory tests
    const elsewhere = ['uniform', 'normal', 'sgd', 'adam', 'rmsprop', 'sumSquares', 'clipRms', 'checkFinite', 'checkIndices'];
    expect(kernels.filter((name) => !reached.has(name)).sort()).toEqual(elsewhere.sort());
  });

  it('has a case for every fixture, and a fixture for every operation that PyTorch has', () => {
    const names = new Set(cases.map(title));
    expect(Object.keys(torch).filter((name) => !names.has(name))).toEqual([]);
    const ops = new Set(Object.keys(torch).map((name) => name.split(':')[0]));
    const wanted = ['conv2d', 'convTranspose2d', 'maxPool2d', 'maxPool2dWithSwitches', 'maxUnpool2d', 'avgPool2d', 'localResponseNorm'];
    expect([...wanted, 'linear', 'softmax', 'logSoftmax', 'crossEntropy', 'leakyRelu'].filter((op) => !ops.has(op))).toEqual([]);
  });
});
