/** Checkpoints: complete, readable by any safetensors reader, and refused with a reason if they are damaged. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../../src/formats/checkpoint.js';
import { FormatError } from '../../src/formats/errors.js';
import { loadSafetensors, readSafetensors, saveSafetensors } from '../../src/formats/safetensors.js';
import { portableSha256, sha256 } from '../../src/formats/sha256.js';

const CHECKPOINT: Checkpoint = {
  weights: { 'conv1.weight': { shape: [2], data: Float32Array.of(1, 2) }, 'conv1.bias': { shape: [1], data: Float32Array.of(3) } },
  velocities: { 'conv1.weight': { shape: [2], data: Float32Array.of(0.1, 0.2) } },
  mean: { shape: [1, 1, 2], data: Float32Array.of(127, 128) },
  info: { architecture: { preset: 'a', width: 0.25 }, classes: ['cat', 'dog'], training: { epoch: 3, lr: 0.1 + 0.2 } },
};

describe('a checkpoint', () => {
  it('is read back unchanged, with the numbers in its JSON exact', () => {
    expect(decodeCheckpoint(encodeCheckpoint(CHECKPOINT), 'last')).toEqual({ ...CHECKPOINT, hasChecksum: true });
  });

  it('stores the weights under their own names, for any reader of safetensors', () => {
    const { tensors, metadata } = readSafetensors(encodeCheckpoint(CHECKPOINT));
    expect(Object.keys(tensors).sort()).toEqual(['conv1.bias', 'conv1.weight', 'mean', 'optimizer.velocity.conv1.weight']);
    expect(JSON.parse(metadata.classes)).toEqual(['cat', 'dog']);
  });

  it('is refused with its name if it is truncated', () => {
    const bytes = encodeCheckpoint(CHECKPOINT);
    for (const length of [0, 7, 100, bytes.length - 1]) {
      expect(() => decodeCheckpoint(bytes.subarray(0, length), 'last.safetensors')).toThrow(FormatError);
      expect(() => decodeCheckpoint(bytes.subarray(0, length), 'last.safetensors')).toThrow(/^last\.safetensors: /);
    }
  });

  it('is refused if it is not a checkpoint, of another version, or has metadata that are not JSON', () => {
    const file = (metadata: Record<string, string>) => saveSafetensors(CHECKPOINT.weights, metadata);
    expect(() => decodeCheckpoint(file({}), 'x')).toThrow(/not a checkpoint of zfnet/);
    expect(() => decodeCheckpoint(file({ 'zfnet.checkpoint': '99' }), 'x')).toThrow(/version '99', this zfnet reads versions 1 to 3/);
    expect(() => decodeCheckpoint(file({ 'zfnet.checkpoint': '1', classes: '[' }), 'x')).toThrow(/'classes' is not JSON/);
  });
});

describe('the checksum of a checkpoint', () => {
  it('is the SHA-256 of the file with zeros in place of its digits', () => {
    const text = Buffer.from(encodeCheckpoint(CHECKPOINT)).toString('latin1');
    const [entry, digits] = /"zfnet\.sha256":"([0-9a-f]{64})"/.exec(text)!;
    const zeroed = text.replace(entry, entry.replace(digits, '0'.repeat(64)));
    expect(digits).toBe(createHash('sha256').update(Buffer.from(zeroed, 'latin1')).digest('hex'));
  });

  it('detects every changed byte at any position', () => {
    const good = encodeCheckpoint(CHECKPOINT);
    const accepted: string[] = [];
    for (let at = 0; at < good.length; at++) {
      for (const change of [0x01, 0x02, 0x03, 0x20, 0x80, 0xff]) {
        const bad = good.slice();
        bad[at] ^= change;
        try {
          decodeCheckpoint(bad, 'x');
          accepted.push(`${at} ^ ${change}`);
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
        }
      }
    }
    expect(accepted).toEqual([]);
  });

  it('is compared by loadSafetensors too', () => {
    const bytes = encodeCheckpoint(CHECKPOINT);
    bytes[bytes.length - 1] ^= 1;
    expect(() => loadSafetensors(bytes)).toThrow(/the checksum of the file is/);
  });

  it('is required, except in files of version 1, which had none', () => {
    const file = (version: string) => saveSafetensors(CHECKPOINT.weights, { 'zfnet.checkpoint': version, classes: '["cat"]' });
    expect(decodeCheckpoint(file('1'), 'x')).toEqual({
      weights: CHECKPOINT.weights,
      velocities: {},
      info: { classes: ['cat'] },
      hasChecksum: false,
    });
    expect(() => decodeCheckpoint(file('2'), 'x')).toThrow(/lacks the checksum 'zfnet.sha256'/);
    const odd = saveSafetensors(CHECKPOINT.weights, { 'zfnet.checkpoint': '2', 'zfnet.sha256': 'none' });
    expect(() => decodeCheckpoint(odd, 'x')).toThrow(/zfnet\.sha256 in its metadata is not 64 hexadecimal digits/);
  });

  it('has the same digest in runtimes without a synchronous SHA-256', () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000]) {
      const bytes = Uint8Array.from({ length }, (_, i) => i * 7);
      const expected = createHash('sha256').update(bytes).digest('hex');
      const parts = [
        bytes.subarray(0, length >> 1),
        bytes.subarray(length >> 1, length - 1),
        bytes.subarray(Math.max(length - 1, length >> 1)),
      ];
      expect(portableSha256(bytes)).toBe(expected);
      expect(sha256(bytes)).toBe(expected);
      if (length > 1) expect(portableSha256(...parts)).toBe(expected);
    }
  });
});

describe('numbers that are not finite', () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%d is refused, and the error names the tensor', (value) => {
    const bad = { shape: [2], data: Float32Array.of(1, value) };
    const named = (part: Partial<Checkpoint>) => () => decodeCheckpoint(encodeCheckpoint({ ...CHECKPOINT, ...part }), 'x');
    expect(named({ weights: { 'fc6.bias': bad } })).toThrow(FormatError);
    expect(named({ weights: { 'fc6.bias': bad } })).toThrow(`x: tensor 'fc6.bias' has the value ${value} at index 1`);
    expect(named({ velocities: { 'fc6.bias': bad } })).toThrow(/'optimizer\.velocity\.fc6\.bias' has the value/);
    expect(named({ mean: bad })).toThrow(/'mean' has the value/);
  });
});

it('tensors may have the names of properties that every object has', () => {
  const weights = Object.fromEntries([['__proto__', { shape: [1], data: Float32Array.of(1) }]]);
  const back = decodeCheckpoint(encodeCheckpoint({ weights, velocities: {}, info: {} }), 'x');
  expect(Object.keys(back.weights)).toEqual(['__proto__']);
  expect(Object.getPrototypeOf(back.weights)).toBe(Object.prototype);
});
