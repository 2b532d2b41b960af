/**
 * The runner of ONNX's operator tests distinguishes correct, wrong and unsupported results. The tests themselves are too many to keep
 * here.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCases, runCase } from '../../conformance/cases.js';
import { encodeTensor } from '../../src/formats/onnx/decoding/schema.js';
import { floats, ints, node, onnx } from '../formats/onnx/build.js';
import { backends } from '../support/backends.js';

let dir: string;

function write(name: string, model: Uint8Array, input: Uint8Array, output: Uint8Array): void {
  const data = join(dir, name, 'test_data_set_0');
  mkdirSync(data, { recursive: true });
  writeFileSync(join(dir, name, 'model.onnx'), model);
  writeFileSync(join(data, 'input_0.pb'), input);
  writeFileSync(join(data, 'output_0.pb'), output);
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'conformance-'));
  const relu = onnx({ nodes: [node('Relu', 'x', 'y')] });
  const x = encodeTensor(floats('x', [3], [-1, 0, 2]));
  const y = (values: readonly number[], shape = [values.length]) => encodeTensor(floats('y', shape, values));
  write('deep/test_right', relu, x, y([0, 0, 2]));
  write('test_nearly', relu, x, y([0, 0, 2.001]));
  write('test_wrong_value', relu, x, y([0, 0, 2.01]));
  write('test_wrong_shape', relu, x, y([0, 0, 2], [3, 1]));
  write('test_wrong_type', relu, x, encodeTensor(ints('y', [0, 0, 2])));
  write('test_unknown', onnx({ nodes: [node('Wobble', 'x', 'y')] }), x, y([0, 0, 2]));
  write('test_broken', relu.slice(0, 10), x, y([0, 0, 2]));
});

afterAll(() => rmSync(dir, { recursive: true }));

describe.each(backends.slice(0, 2))('the conformance runner on $name', ({ backend }) => {
  it.each([
    ['test_right', 'passed', undefined],
    ['test_nearly', 'passed', undefined],
    ['test_wrong_value', 'failed', /2 at place 2, expected 2.0/],
    ['test_wrong_shape', 'failed', /shape \[3\], expected \[3,1\]/],
    ['test_wrong_type', 'failed', /type float32, expected int64/],
    ['test_unknown', 'unsupported', /Wobble/],
    ['test_broken', 'failed', /onnx/],
  ])('%s: %s', async (name, status, reason) => {
    const found = findCases(dir);
    expect(found).toHaveLength(7);
    const outcome = await runCase(found.find((each) => each.name === name)!, backend);
    expect(outcome.status).toBe(status);
    if (reason) expect(outcome.reason).toMatch(reason);
  });
});
