/** Auxiliary classifiers: their part of the loss, their absence in evaluation, and their state. */
import { describe, expect, it } from 'vitest';
import { SGD, ValueError } from '../../src/index.js';
import { AuxiliaryHead, auxiliaryLoss, Flatten, Linear, Sequential } from '../../src/nn/index.js';
import { fit as train } from '../../src/nn/training/index.js';
import { crossEntropy, noGrad, setDefaultBackend, tensor } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { reference } from '../support/backends.js';

setDefaultBackend(reference);

const network = () => {
  const head = new Sequential({ flatten: new Flatten(), fc: new Linear(8, 3) });
  return { head, model: new Sequential({ flatten: new Flatten(), aux: new AuxiliaryHead(head, { weight: 0.5 }), fc: new Linear(8, 3) }) };
};
const x = () => tensor(noise(32, 1), [4, 8]);
const labels = () => tensor(Int32Array.of(0, 1, 2, 0), [4]);

describe('AuxiliaryHead', () => {
  it('adds its weighted loss in training, and trains its own layers and those before it', () => {
    const { model, head } = network();
    const loss = auxiliaryLoss(model, labels(), crossEntropy, crossEntropy(model.forward(x()), labels()));
    const own = crossEntropy(head.forward(x()), labels()).itemSync();
    const main = crossEntropy((model.layer('fc') as Linear).forward(x()), labels()).itemSync();
    expect(loss.itemSync()).toBeCloseTo(main + 0.5 * own, 5);
    loss.backward();
    expect((model.layer('aux') as AuxiliaryHead).parameters().every(({ grad }) => grad?.dataSync().some((value) => value !== 0))).toBe(
      true,
    );
  });

  it('vanishes in evaluation: the input passes, and the loss stays as it is', () => {
    const { model } = network();
    model.eval();
    const loss = noGrad(() => crossEntropy(model.forward(x()), labels()));
    expect(auxiliaryLoss(model, labels(), crossEntropy, loss)).toBe(loss);
    const plain = new Sequential({ flatten: model.layer('flatten'), fc: model.layer('fc') });
    expect(noGrad(() => model.forward(x())).dataSync()).toEqual(noGrad(() => plain.forward(x())).dataSync());
  });

  it('has the names of its classifier in the state, and frees scores that nobody took', () => {
    const { model } = network();
    expect(Object.keys(model.stateDict())).toEqual(['aux.fc.weight', 'aux.fc.bias', 'fc.weight', 'fc.bias']);
    const before = reference.memory().bytes;
    const input = x();
    for (let i = 0; i < 2; i++) model.forward(input).dispose();
    model.eval();
    input.dispose();
    expect(reference.memory().bytes).toBe(before);
    expect(Object.keys(model.stateDict())).toHaveLength(4);
  });

  it('is trained by fit', async () => {
    const { model } = network();
    const head = model.layer('aux') as AuxiliaryHead;
    const before = head.parameters().map((value) => Float32Array.from(value.dataSync()));
    await train(model, () => [{ images: x(), labels: labels() }], { optimizer: new SGD(model.parameters(), { lr: 0.1 }), epochs: 1 });
    expect(head.parameters().every((value, i) => value.dataSync().some((each, j) => each !== before[i][j]))).toBe(true);
  });

  it('refuses a negative weight', () => {
    expect(() => new AuxiliaryHead(new Linear(1, 1), { weight: -1 })).toThrow(ValueError);
  });
});
