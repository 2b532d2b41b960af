// A property test of a layer: fast-check searches shapes, and gradcheck compares gradients with finite differences. A fault in the backward
// step is found and shrunk to the smallest shape. Run it with `node examples/property-test/main.mjs`.
import fc from 'fast-check';
import { defineOp, init, mul, randn } from 'zfnet';
import { gradcheck } from 'zfnet/testing';

/** Subtracts the mean of each row of x [rows, columns]. The faulty backward step forgets that the mean depends on x. */
const centre = (faulty) =>
  defineOp({
    name: 'centre',
    forward: (_ctx, [x]) => x.sub(x.mean({ axes: 1, keepDims: true })),
    backward: (_ctx, gradient) => [faulty ? mul(gradient, 1) : gradient.sub(gradient.mean({ axes: 1, keepDims: true }))],
  });

const size = fc.integer({ min: 1, max: 5 });
const check = (faulty) =>
  fc.check(
    fc.property(size, size, (rows, columns) => {
      gradcheck(centre(faulty), randn([rows, columns]));
    }),
    { numRuns: 25, seed: 1 },
  );

await init();
const right = check(false);
console.log(`the correct operation: ${right.numRuns} shapes, ${right.failed ? 'failed' : 'all pass'}`);
const wrong = check(true);
console.log(`the faulty operation: fails for [rows, columns] = [${wrong.counterexample}]`);
console.log(wrong.errorInstance?.message);
if (right.failed || !wrong.failed) throw new Error('expected the faulty operation to fail, and the correct one to pass');
