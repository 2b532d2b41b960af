/** Containers, and layers that do not report their output shape or window. */
import { describe, expect, it } from 'vitest';
import {
  BatchNorm2d,
  Conv2d,
  countParameters,
  Flatten,
  Identity,
  Linear,
  MaxPool2d,
  Module,
  ModuleList,
  Parallel,
  ReLU,
  Residual,
  receptiveField,
  Sequential,
  StateError,
  summarize,
} from '../../src/nn/index.js';
import { profile } from '../../src/profile/index.js';
import {
  backward,
  concat,
  noGrad,
  relu,
  ShapeError,
  setDefaultBackend,
  type Tensor,
  tensor,
  ValueError,
  withBackend,
} from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { gradcheck } from '../../src/testing.js';
import { reference, strict } from '../support/backends.js';
import { held } from '../tensor/memory/support.js';

setDefaultBackend(reference);

const image = (channels = 2) => tensor(noise(channels * 35, 3), [1, channels, 5, 7]);
const inception = () =>
  new Parallel({
    narrow: new Conv2d(2, 3, 1),
    wide: new Sequential({ reduce: new Conv2d(2, 2, 1), relu: new ReLU(), conv: new Conv2d(2, 4, 3, { padding: 1 }) }),
    same: new Identity(),
  });
const block9 = () => new Sequential([new Conv2d(9, 9, 3, { padding: 1 }), new BatchNorm2d(9)]);
const block = () =>
  new Residual(new Sequential([new Conv2d(2, 4, 3, { padding: 1 }), new BatchNorm2d(4)]), {
    shortcut: new Conv2d(2, 4, 1, { bias: false }),
    activation: new ReLU(),
  });

class Unknown extends Module {
  forward(x: Tensor): Tensor {
    return x.mul(2);
  }
}

describe('Parallel', () => {
  it('concatenates its branches along the channels, with names, shapes, windows and costs', () => {
    const module = inception();
    const x = image();
    const { narrow, wide } = Object.fromEntries(module.children());
    expect(module.forward(x).dataSync()).toEqual(concat([narrow.forward(x), wide.forward(x), x], 1).dataSync());
    expect(module.outputShape([1, 2, 5, 7])).toEqual([1, 9, 5, 7]);
    expect(module.receptiveWindow()).toEqual({ kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] });
    expect(module.multiplyAdds([1, 2, 5, 7])).toBe(35 * (6 + 4 + 72));
    expect(module.namedParameters().map(([name]) => name)).toEqual([
      'narrow.weight',
      'narrow.bias',
      'wide.reduce.weight',
      'wide.reduce.bias',
      'wide.conv.weight',
      'wide.conv.bias',
    ]);
    expect(module.structure()).toMatchObject({ kind: 'branches', join: 'concat' });
    expect(gradcheck(module, x).checked).toBeGreaterThan(50);
  });

  it('counts branches of different strides as the whole input, and refuses branches that do not fit', () => {
    const strided = new Parallel([new Conv2d(2, 1, 1), new MaxPool2d(2)]);
    expect(strided.receptiveWindow()).toBe('global');
    expect(() => strided.outputShape([1, 2, 5, 7])).toThrow(ShapeError);
    expect(() => strided.forward(image())).toThrow(ShapeError);
    expect(() => new Parallel([])).toThrow(ValueError);
    expect(() => new Parallel({ a: 1 } as never)).toThrow(/branches is .*, expected an array or an object of at least one module/);
  });
});

describe('Residual', () => {
  it('adds the shortcut and applies the activation', () => {
    const module = block().eval();
    const x = image();
    expect(module.forward(x).dataSync()).toEqual(relu(module.body.forward(x).add(module.shortcut!.forward(x))).dataSync());
    const plain = new Residual(new Identity());
    expect(plain.forward(x).dataSync()).toEqual(x.mul(2).dataSync());
    expect(module.outputShape([1, 2, 5, 7])).toEqual([1, 4, 5, 7]);
    expect(module.receptiveWindow()).toEqual({ kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] });
    expect(module.multiplyAdds([1, 2, 5, 7])).toBe(35 * (72 + 8));
    expect(module.structure()).toMatchObject({ join: 'add', activation: ['activation', module.activation] });
    expect(gradcheck(module, x).checked).toBeGreaterThan(50);
  });

  it('refuses a shortcut of another shape, naming both shapes', () => {
    const module = new Residual(new Conv2d(2, 4, 3));
    const message = /Residual: the body has the output shape \[1,4,3,5\] and the shortcut \[1,2,5,7\]/;
    expect(() => module.forward(image())).toThrow(message);
    expect(() => module.outputShape([1, 2, 5, 7])).toThrow(message);
    expect(() => new Residual(new Identity(), { shortcuts: new Identity() } as never)).toThrow(/did you mean 'shortcut'/);
  });
});

describe('containers in a network', () => {
  const network = () =>
    new Sequential({
      conv: new Conv2d(2, 2, 3, { padding: 1 }),
      relu: new ReLU(),
      mix: inception(),
      pool: new MaxPool2d(2),
      flatten: new Flatten(),
      fc: new Linear(54, 2),
    });

  it('have rows in the summary and receptive fields', () => {
    const model = network();
    const rows = model.summarize([1, 2, 5, 7]);
    expect(rows.map(({ name, outputShape }) => [name, outputShape?.join('x')])).toEqual([
      ['conv', '1x2x5x7'],
      ['relu', '1x2x5x7'],
      ['mix.narrow', '1x3x5x7'],
      ['mix.wide.reduce', '1x2x5x7'],
      ['mix.wide.relu', '1x2x5x7'],
      ['mix.wide.conv', '1x4x5x7'],
      ['mix.same', '1x2x5x7'],
      ['mix', '1x9x5x7'],
      ['pool', '1x9x2x3'],
      ['flatten', '1x54'],
      ['fc', '1x2'],
    ]);
    expect(receptiveField(model, 'mix')).toMatchObject([{ size: 5 }, { size: 5 }]);
    expect(receptiveField(model, 'pool')).toMatchObject([
      { size: 6, jump: 2 },
      { size: 6, jump: 2 },
    ]);
    expect(receptiveField(model, 'mix.narrow')).toMatchObject([{ size: 3 }, { size: 3 }]);
    expect(receptiveField(model, 'mix.wide')).toEqual(receptiveField(model, 'mix.wide.conv'));
    expect(rows.find(({ name }) => name === 'mix.wide.reduce')?.receptiveField).toEqual(receptiveField(model, 'mix.wide.reduce'));
    expect(rows.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(countParameters(model));
    expect(rows.reduce((sum, { multiplyAdds }) => sum + multiplyAdds!, 0)).toBe(model.multiplyAdds([1, 2, 5, 7]));
  });

  it('give the outputs of the layers inside of them by their paths', () => {
    const model = new Sequential({
      conv: new Conv2d(2, 2, 1),
      mix: inception(),
      block: new Residual(block9(), { activation: new ReLU() }),
    });
    model.eval();
    const x = image();
    const names = model.layerNames();
    const all = noGrad(() => model.activations(x, [...names, 'mix.wide', 'block.activation']));
    const conv = (model.layer('conv') as Conv2d).forward(x);
    const wide = (model.layer('mix.wide') as Sequential).forward(conv);
    expect(all['mix.wide'].dataSync()).toEqual(wide.dataSync());
    expect(all['mix.wide.conv'].dataSync()).toEqual(wide.dataSync());
    expect(all['mix.same'].dataSync()).toEqual(conv.dataSync());
    expect(all['block.activation'].dataSync()).toEqual(all.block.dataSync());
    expect(all.block.dataSync()).toEqual(noGrad(() => model.forward(x)).dataSync());
    expect(model.featureLayer('mix.wide.reduce')).toBe('mix.wide.relu');
    expect(model.featureLayer('mix.wide.conv')).toBe('mix.wide.conv');
    expect(() => model.layer('mix.tall')).toThrow(/no layer "mix\.tall"|no layer 'mix\.tall'/);
  });

  it('free the values between their layers, also after an error inside', () => {
    const model = new Sequential({ conv: new Conv2d(2, 2, 1), mix: inception() }).eval();
    const x = image();
    const before = reference.memory().bytes;
    const { 'mix.wide.relu': kept } = noGrad(() => model.activations(x, ['mix.wide.relu']));
    kept.dispose();
    expect(reference.memory().bytes).toBe(before);
    const broken = new Sequential({ mix: new Parallel([new Conv2d(2, 2, 1), new Conv2d(3, 2, 1)]) });
    expect(() => noGrad(() => broken.activations(x, ['mix.0']))).toThrow(ShapeError);
    broken.dispose();
    expect(reference.memory().bytes).toBe(before);
  });

  it.each(['gradient', 'guided', 'deconvnet'] as const)('are projected through by the rule %s', (rules) => {
    const model = new Sequential({
      mix: inception(),
      block: new Residual(new Conv2d(9, 9, 3, { padding: 1 }), { activation: new ReLU() }),
    });
    const x = image();
    x.requiresGrad = true;
    const y = model.eval().forward(x);
    const [signal] = backward(y, { gradient: tensor(noise(y.size, 1), y.shape), rules, wrt: [x] });
    expect(signal.shape).toEqual(x.shape);
    expect(signal.dataSync().some((value) => value !== 0)).toBe(true);
  });

  it('show their branches in profiles', async () => {
    const model = withBackend(strict.backend, () => new Sequential({ mix: inception(), block: new Residual(new Conv2d(9, 9, 1)) })).eval();
    const x = tensor(noise(70, 3), [1, 2, 5, 7], { backend: strict.backend });
    const { rows } = await profile(() => model.forward(x), { backend: strict.backend });
    expect(rows.map(({ layer }) => layer)).toEqual(expect.arrayContaining(['mix.narrow', 'mix.wide.conv', 'block.body']));
  });

  it('free what their branches computed', () => {
    const model = new Sequential({ mix: inception(), block: new Residual(new Conv2d(9, 9, 1), { activation: new ReLU() }) });
    const x = image();
    const step = () => model.forward(x).sum().backward();
    step();
    const before = held(reference);
    for (let i = 0; i < 3; i++) step();
    expect(held(reference)).toEqual(before);
  });
});

describe('ModuleList and Identity', () => {
  it('a list is iterated, indexed and extended, and has no forward', () => {
    const list = new ModuleList([new Linear(2, 2)]);
    expect(list.push(new Linear(2, 1))).toBe(2);
    expect([...list]).toEqual([list.at(0), list.at(-1)]);
    expect(list.length).toBe(2);
    expect(list.namedParameters().map(([name]) => name)).toEqual(['0.weight', '0.bias', '1.weight', '1.bias']);
    expect(() => list.forward(image())).toThrow(StateError);
    expect(() => new ModuleList([3] as never)).toThrow(ValueError);
    expect(() => list.push(3 as never)).toThrow(ValueError);
  });

  it('the identity returns its input, and counts as a point', () => {
    const x = image();
    expect(new Identity().forward(x)).toBe(x);
    expect(new Identity().outputShape([3])).toEqual([3]);
    expect(new Identity().receptiveWindow()).toBe('point');
  });
});

describe('a layer that does not report its output shape or window', () => {
  const model = () => new Sequential({ conv: new Conv2d(2, 2, 3), custom: new Unknown(), pool: new MaxPool2d(2), flatten: new Flatten() });

  it('is unknown in summaries and receptive fields, and so is what follows', () => {
    const rows = summarize(model(), [1, 2, 5, 7]);
    expect(rows.map(({ outputShape, multiplyAdds, receptiveField }) => [outputShape, multiplyAdds, receptiveField === 'unknown'])).toEqual([
      [[1, 2, 3, 5], 15 * 36, false],
      [null, null, true],
      [null, null, true],
      [null, null, false],
    ]);
    expect(rows[3].receptiveField).toBeNull();
    expect(receptiveField(model(), 'pool')).toBe('unknown');
    expect(model().outputShape([1, 2, 5, 7])).toBeNull();
    expect(model().multiplyAdds([1, 2, 5, 7])).toBeNull();
    expect(new Parallel([new Identity(), new Unknown()]).outputShape([1, 2])).toBeNull();
    expect(new Parallel([new Identity(), new Unknown()]).receptiveWindow()).toBeNull();
    expect(new Residual(new Unknown()).receptiveWindow()).toBeNull();
  });

  it('is understood by its window under the old name', () => {
    class Old extends Unknown {
      override reach() {
        return 'point' as const;
      }
    }
    expect(new Old().receptiveWindow()).toBe('point');
  });
});
