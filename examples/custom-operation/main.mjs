// An operation with its own gradient: weights are rounded to −1 or 1 going forward, and the gradient passes unchanged near 0. A network with
// such weights learns the majority of five inputs. Run it with `node examples/custom-operation/main.mjs`.
import { defineOp, greater, init, Linear, Module, manualSeed, mul, noGrad, ReLU, SGD, sign, tensor } from 'zfnet';
import { fit } from 'zfnet/train';

const binarise = defineOp({
  name: 'binarise',
  forward(ctx, [w]) {
    ctx.save(w);
    return sign(w);
  },
  backward(ctx, gradient) {
    return [mul(gradient, greater(1, ctx.saved[0].abs()).cast('float32'))];
  },
});

/** A linear layer whose weights count as −1 or 1. */
class BinaryLinear extends Module {
  constructor(inputs, outputs) {
    super();
    this.inner = new Linear(inputs, outputs);
  }
  forward(x) {
    return x.matmul(binarise(this.inner.weight), { transposeB: true }).add(this.inner.bias);
  }
}

class Majority extends Module {
  constructor() {
    super();
    this.first = new BinaryLinear(5, 16);
    this.relu = new ReLU();
    this.second = new Linear(16, 2);
  }
  forward(x) {
    return this.second.forward(this.relu.forward(this.first.forward(x)));
  }
}

await init();
manualSeed(1);
const inputs = Array.from({ length: 32 }, (_, n) => Array.from({ length: 5 }, (_, i) => ((n >> i) & 1 ? 1 : -1)));
const labels = Int32Array.from(inputs, (bits) => (bits.reduce((sum, bit) => sum + bit, 0) > 0 ? 1 : 0));
const data = [{ images: tensor(inputs), labels: tensor(labels) }];

const model = new Majority();
await fit(model, data, { optimizer: new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }), epochs: 100 });

model.eval();
const scores = await noGrad(() => model.forward(data[0].images)).data();
const wrong = labels.filter((label, n) => (scores[2 * n + 1] > scores[2 * n] ? 1 : 0) !== label).length;
console.log(`${wrong} of 32 inputs are classified wrongly by a network with binary weights`);
if (wrong > 3) throw new Error('expected at most 3');
