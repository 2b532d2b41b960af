/** Which modules and parameters a module has: in arrays, maps and plain objects, frozen, shared and in cycles. */
import { describe, expect, it } from 'vitest';
import { BatchNorm2d, Conv2d, countParameters, Linear, Module, ModuleList, parameter, Sequential, SGD } from '../../src/nn/index.js';
import { setDefaultBackend, type Tensor, tensor, zeros } from '../../src/tensor/index.js';
import { reference, strict } from '../support/backends.js';

setDefaultBackend(reference);

abstract class Silent extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}

const namesOf = (module: Module) => module.namedParameters().map(([name]) => name);
const one = () => parameter(tensor([1]));

describe('the members of a module', () => {
  class Holder extends Silent {
    blocks = [{ conv: new Conv2d(1, 1, 1, { bias: false }) }, { conv: new Conv2d(1, 1, 1, { bias: false }) }];
    heads = new Map<string, Module>([['left', new Linear(1, 1)]]);
    scales = { inner: { a: one() }, list: [one(), one()] };
    layers = new ModuleList([new Linear(1, 1, { bias: false }), new BatchNorm2d(1)]);
    labels = ['cat', 'dog'];
    numbers = new Float32Array(3);
    cache = [tensor([1])];
    nothing = null;
  }

  it('are found in arrays, maps, plain objects and lists, under the names of PyTorch', async () => {
    const holder = new Holder();
    expect(namesOf(holder)).toEqual([
      'scales.inner.a',
      'scales.list.0',
      'scales.list.1',
      'blocks.0.conv.weight',
      'blocks.1.conv.weight',
      'heads.left.weight',
      'heads.left.bias',
      'layers.0.weight',
      'layers.1.weight',
      'layers.1.bias',
    ]);
    expect(holder.namedBuffers().map(([name]) => name)).toEqual(['layers.1.running_mean', 'layers.1.running_var']);
    holder.eval();
    expect([holder.blocks[1].conv, holder.heads.get('left')!, holder.layers.at(-1)!].map(({ training }) => training)).toEqual([
      false,
      false,
      false,
    ]);
    holder.loadStateDict(
      Object.fromEntries(
        Object.entries(holder.stateDict()).map(([name, { shape, size }]) => [name, { shape, data: new Float32Array(size).fill(7) }]),
      ),
    );
    expect(holder.scales.inner.a.itemSync()).toBe(7);
    await holder.to({ backend: strict.backend });
    expect(new Set(holder.parameters().map(({ backend }) => backend))).toEqual(new Set([strict.backend]));
    expect(holder.scales.list[1].itemSync()).toBe(7);
    holder.dispose();
    expect(holder.parameters().every(({ disposed }) => disposed)).toBe(true);
  });

  it('stay parameters when they are frozen, in states too, and optimisers leave them alone', async () => {
    const layer = new Linear(2, 1);
    layer.weight.requiresGrad = false;
    expect(namesOf(layer)).toEqual(['weight', 'bias']);
    expect(countParameters(layer)).toBe(3);
    expect(Object.keys(layer.stateDict())).toEqual(['weight', 'bias']);
    const before = layer.weight.dataSync();
    const sgd = new SGD(layer.parameters(), { lr: 1, weightDecay: 0.1 });
    layer
      .forward(zeros([1, 2]))
      .sum()
      .backward();
    sgd.step();
    expect(layer.weight.dataSync()).toEqual(before);
    expect(layer.bias!.itemSync()).toBe(-1);
    const moved = await layer.to({ dtype: 'float64' });
    expect([moved.weight.requiresGrad, moved.bias!.requiresGrad]).toEqual([false, true]);
    expect(namesOf(moved)).toEqual(['weight', 'bias']);
  });

  it('do not include results of recorded operations', () => {
    class Watching extends Module {
      weight = one();
      seen: Tensor | null = null;
      forward(x: Tensor): Tensor {
        this.seen = x.mul(this.weight);
        return this.seen;
      }
    }
    const watching = new Watching();
    watching.forward(tensor([2]));
    expect(Object.keys(watching.stateDict())).toEqual(['weight']);
  });

  it('that are shared are listed once, stay shared when moved, and load from a state that lists them twice', async () => {
    const shared = new Linear(2, 2);
    class Tied extends Silent {
      first = shared;
      second = shared;
      third = [shared.weight];
    }
    const tied = new Tied();
    expect(namesOf(tied)).toEqual(['third.0', 'first.bias']);
    const entry = (value: number, shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b)).fill(value) });
    tied.loadStateDict({
      'third.0': entry(1, [2, 2]),
      'first.weight': entry(1, [2, 2]),
      'first.bias': entry(2, [2]),
      'second.weight': entry(1, [2, 2]),
      'second.bias': entry(2, [2]),
    });
    expect(shared.weight.dataSync()[0]).toBe(1);
    expect(() => tied.loadStateDict({ ...tied.stateDict(), 'fourth.bias': entry(2, [2]) })).toThrow(/unknown: fourth\.bias/);
    await tied.to({ backend: strict.backend });
    expect(tied.third[0]).toBe(tied.second.weight);
    expect(tied.third[0].backend).toBe(strict.backend);
  });

  it('may refer back to the module', async () => {
    class Child extends Silent {
      weight = one();
      constructor(readonly parent: Module) {
        super();
      }
    }
    class Parent extends Silent {
      child = new Child(this);
      self = [this as Module];
    }
    const parent = new Parent();
    expect(namesOf(parent)).toEqual(['child.weight']);
    parent.eval();
    expect(parent.child.training).toBe(false);
    await parent.to({ dtype: 'float64' });
    expect(parent.child.weight.dtype).toBe('float64');
    parent.dispose();
  });

  it('of a Sequential keep the names of its layers', () => {
    expect(namesOf(new Sequential({ a: new Linear(1, 1), b: new Sequential([new Linear(1, 1)]) }))).toEqual([
      'a.weight',
      'a.bias',
      'b.0.weight',
      'b.0.bias',
    ]);
  });
});
