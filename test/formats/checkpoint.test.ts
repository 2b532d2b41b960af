/** Checkpoints: whole, readable by any safetensors reader, and refused with a reason where they are not. */
import { describe, expect, it } from 'vitest';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../../src/formats/checkpoint.js';
import { FormatError } from '../../src/formats/errors.js';
import { readSafetensors, saveSafetensors } from '../../src/formats/safetensors.js';

const CHECKPOINT: Checkpoint = {
  weights: { 'conv1.weight': { shape: [2], data: Float32Array.of(1, 2) }, 'conv1.bias': { shape: [1], data: Float32Array.of(3) } },
  velocities: { 'conv1.weight': { shape: [2], data: Float32Array.of(0.1, 0.2) } },
  mean: { shape: [1, 1, 2], data: Float32Array.of(127, 128) },
  info: { architecture: { preset: 'a', width: 0.25 }, classes: ['cat', 'dog'], training: { epoch: 3, lr: 0.1 + 0.2 } },
};

describe('a checkpoint', () => {
  it('comes back as it was, numbers in its JSON to the last bit', () => {
    expect(decodeCheckpoint(encodeCheckpoint(CHECKPOINT), 'last')).toEqual(CHECKPOINT);
  });

  it('shows the weights under their own names to any reader', () => {
    const { tensors, metadata } = readSafetensors(encodeCheckpoint(CHECKPOINT));
    expect(Object.keys(tensors).sort()).toEqual(['conv1.bias', 'conv1.weight', 'mean', 'optimizer.velocity.conv1.weight']);
    expect(JSON.parse(metadata.classes)).toEqual(['cat', 'dog']);
  });

  it('is refused with its name where it is cut off', () => {
    const bytes = encodeCheckpoint(CHECKPOINT);
    for (const length of [0, 7, 100, bytes.length - 1]) {
      expect(() => decodeCheckpoint(bytes.subarray(0, length), 'last.safetensors')).toThrow(FormatError);
      expect(() => decodeCheckpoint(bytes.subarray(0, length), 'last.safetensors')).toThrow(/^last\.safetensors: /);
    }
  });

  it('is refused where it is no checkpoint, of another version, or its metadata is no JSON', () => {
    const file = (metadata: Record<string, string>) => saveSafetensors(CHECKPOINT.weights, metadata);
    expect(() => decodeCheckpoint(file({}), 'x')).toThrow(/no checkpoint of zfnet/);
    expect(() => decodeCheckpoint(file({ 'zfnet.checkpoint': '99' }), 'x')).toThrow(/version 99/);
    expect(() => decodeCheckpoint(file({ 'zfnet.checkpoint': '1', classes: '[' }), 'x')).toThrow(/'classes' is not JSON/);
  });
});
