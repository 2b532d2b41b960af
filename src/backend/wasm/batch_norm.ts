/** Batch normalisation, and normalisation of rows (group and layer normalisation), with their gradients. */
import type { Backend, Storage } from '../backend.js';
import { GRAIN } from './elementwise.js';
import type { WasmEngine } from './runtime/engine.js';

type NormKernels = Pick<Backend, 'batchNorm' | 'batchNormGrad' | 'groupNorm' | 'groupNormGrad' | 'groupNormParamGrad'>;

export function batchNorm(engine: WasmEngine): NormKernels {
  const at = (storage: Storage | null) => (storage === null ? 0 : engine.pointer(storage));
  const check = (op: string, ...storages: (Storage | null)[]) =>
    engine.expect(op, 'float32', ...storages.filter((each): each is Storage => each !== null));

  return {
    batchNorm({ y, mean, variance }, { x, weight, bias }, p) {
      check('batchNorm', y, mean, variance, x, weight, bias);
      const pointers = [at(y), at(mean), at(variance), at(x), at(weight), at(bias)] as const;
      const grain = GRAIN / (p.n * p.inner);
      const { n, channels, inner, epsilon } = p;
      engine.parallel('batchNorm', channels, grain, ...pointers, n, channels, inner, epsilon, p.training ? 1 : 0, p.relu ? 1 : 0);
    },

    batchNormGrad({ dx, dweight, dbias }, { dy, x, mean, variance, weight }, p) {
      check('batchNormGrad', dx, dweight, dbias, dy, x, mean, variance, weight);
      const pointers = [at(dx), at(dweight), at(dbias), at(dy), at(x), at(mean), at(variance), at(weight)] as const;
      const grain = GRAIN / (p.n * p.inner);
      engine.parallel('batchNormGrad', p.channels, grain, ...pointers, p.n, p.channels, p.inner, p.epsilon, p.training ? 1 : 0);
    },

    groupNorm({ y, mean, variance }, { x, weight, bias }, p) {
      check('groupNorm', y, mean, variance, x, weight, bias);
      const pointers = [at(y), at(mean), at(variance), at(x), at(weight), at(bias)] as const;
      const grain = GRAIN / (p.channels * p.inner);
      engine.parallel('groupNorm', p.rows, grain, ...pointers, p.groups, p.channels, p.inner, p.epsilon);
    },

    groupNormGrad({ dx }, { dy, x, mean, variance, weight }, p) {
      check('groupNormGrad', dx, dy, x, mean, variance, weight);
      const pointers = [at(dx), at(dy), at(x), at(mean), at(variance), at(weight)] as const;
      const grain = GRAIN / (p.channels * p.inner);
      engine.parallel('groupNormGrad', p.rows, grain, ...pointers, p.groups, p.channels, p.inner, p.epsilon);
    },

    groupNormParamGrad({ dweight, dbias }, { dy, x, mean, variance }, p) {
      check('groupNormParamGrad', dweight, dbias, dy, x, mean, variance);
      const pointers = [at(dweight), at(dbias), at(dy), at(x), at(mean), at(variance)] as const;
      const perChannel = (p.rows * p.inner) / p.groups;
      if (p.inner === 1) {
        const units = p.groups * Math.ceil(p.channels / 4);
        engine.parallel('rowNormParamGrad', units, GRAIN / 4 / perChannel, ...pointers, p.rows, p.groups, p.channels, p.epsilon);
        return;
      }
      const grain = GRAIN / perChannel;
      engine.parallel('groupNormParamGrad', p.groups * p.channels, grain, ...pointers, p.rows, p.groups, p.channels, p.inner, p.epsilon);
    },
  };
}
