/**
 * Convolution and its two gradients as implicit matrix products, each with the algorithm that `conv2dPlan` chooses. No matrix of patches is
 * written to memory. An input gradient with a stride is split into phases, each a dense product.
 */
import type { Backend, ConvPass } from '../../backend.js';
import type { ConvParams } from '../../params.js';
import type { GpuStorage } from '../buffers.js';
import type { GpuQueue } from '../kernel.js';
import { directForward, directInputGrad, directWeightGrad } from './conv2d_direct.js';
import { forwardGather, type Gather, inputGradGathers } from './conv2d_geometry.js';
import { type Conv2dPlan, conv2dPlan, planText, productShape } from './conv2d_plan.js';
import { depthOrder, GATHER_KERNELS, gatherBlocks, gatherValues, WEIGHT_KERNELS, weightValues } from './conv2d_products.js';
import { adapterOf, type Finish, launchProduct, withSlices } from './gemm.js';
import type { ProductPlan } from './tiles.js';
import { winogradForward, winogradInputGrad, winogradWeightGrad } from './winograd.js';

/** Launches one gather as a product. */
function launchGather(
  queue: GpuQueue,
  pass: 'forward' | 'inputGrad',
  { out, x, w, b }: { readonly [name in 'out' | 'x' | 'w']: GpuStorage } & { readonly b: GpuStorage | null },
  g: Gather,
  { plan, outSize, relu }: { readonly plan: ProductPlan; readonly outSize: number; readonly relu: boolean },
): void {
  const kernel = GATHER_KERNELS[pass][depthOrder(g.channels, plan.tile.depth)](plan.tile);
  const columns = g.images * g.y.grid * g.x.grid;
  const job = { rows: g.rows, columns, items: g.groups, blocks: gatherBlocks(g, plan.tile), plan, outSize, bias: b !== null, relu };
  launchProduct(queue, kernel, [w, x, out, b ?? w], job, gatherValues(g));
}

type PlanOf = (pass: ConvPass, p: ConvParams) => Conv2dPlan;

const forward = (queue: GpuQueue, planOf: PlanOf): Pick<Backend, 'conv2d'> => ({
  conv2d(y, x, w, b, p) {
    if (y.size === 0) return;
    const [to, source, weight, bias] = [queue.own(y), queue.own(x), queue.own(w), b === null ? null : queue.own(b)];
    const { relu } = p;
    const chosen = planOf('forward', p);
    if (chosen.variant === 'direct') {
      directForward(queue, { y: to, x: source, w: weight, b: bias }, p, relu);
    } else if (chosen.variant === 'winograd2x2') {
      winogradForward(queue, { y: to, x: source, w: weight, b: bias }, p, { plan: chosen, relu });
    } else {
      const plan = chosen.product;
      withSlices(queue, to, plan.slices, { bias, inner: p.oh * p.ow, channels: p.o, relu }, (out) =>
        launchGather(queue, 'forward', { out, x: source, w: weight, b: bias }, forwardGather(p), { plan, outSize: to.size, relu }),
      );
    }
  },
});

/** What follows sums that get neither bias nor ReLU. */
const PLAIN: Finish = { bias: null, inner: 1, channels: 1, relu: false };

const inputGrad = (queue: GpuQueue, planOf: PlanOf): Pick<Backend, 'conv2dInputGrad'> => ({
  conv2dInputGrad(dx, dy, w, p) {
    if (dx.size === 0) return;
    const [to, source, weight] = [queue.own(dx), queue.own(dy), queue.own(w)];
    const chosen = planOf('inputGrad', p);
    if (chosen.variant === 'direct') {
      directInputGrad(queue, to, source, weight, p);
    } else if (chosen.variant === 'winograd2x2') {
      winogradInputGrad(queue, to, { dy: source, w: weight }, p, chosen);
    } else {
      const settings = { plan: chosen.product, outSize: to.size, relu: false };
      withSlices(queue, to, chosen.product.slices, PLAIN, (out) => {
        for (const gather of inputGradGathers(p))
          launchGather(queue, 'inputGrad', { out, x: source, w: weight, b: null }, gather, settings);
      });
    }
  },
});

const weightGrad = (queue: GpuQueue, planOf: PlanOf): Pick<Backend, 'conv2dWeightGrad'> => ({
  conv2dWeightGrad(dw, x, dy, p) {
    if (dw.size === 0) return;
    const [to, source, gradient] = [queue.own(dw), queue.own(x), queue.own(dy)];
    const chosen = planOf('weightGrad', p);
    if (chosen.variant === 'direct') {
      directWeightGrad(queue, to, source, gradient, p);
    } else if (chosen.variant === 'winograd2x2') {
      winogradWeightGrad(queue, to, { x: source, dy: gradient }, p, chosen);
    } else {
      const plan = chosen.product;
      const { rows, columns, depth, items } = productShape('weightGrad', p);
      const job = { rows, columns, items, blocks: Math.ceil(depth / plan.tile.depth), plan, outSize: to.size, bias: false, relu: false };
      withSlices(queue, to, plan.slices, PLAIN, (out) =>
        launchProduct(queue, WEIGHT_KERNELS(plan.tile), [gradient, source, out], job, weightValues(p)),
      );
    }
  },
});

/** Creates the convolution kernels. Tests pass their own `plan`, to test every algorithm and tile. */
export const conv2d = (
  queue: GpuQueue,
  plan: typeof conv2dPlan = conv2dPlan,
): Pick<Backend, 'conv2d' | 'conv2dInputGrad' | 'conv2dWeightGrad' | 'conv2dPlan'> => {
  const adapter = adapterOf(queue);
  const planOf: PlanOf = (pass, p) => plan(pass, p, adapter);
  return {
    conv2dPlan: (pass, p) => planText(planOf(pass, p)),
    ...forward(queue, planOf),
    ...inputGrad(queue, planOf),
    ...weightGrad(queue, planOf),
  };
};
