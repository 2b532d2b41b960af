/** Reductions over axes of a strided view: sum, mean, maximum, minimum and argmax. */
import type { Backend, ReduceOp, Storage } from '../backend.js';
import type { ReduceParams } from '../params.js';
import { elementwise, GRAIN } from './elementwise.js';
import { axesOf, countOf, mergeAxes, tableOf } from './rows.js';
import type { WasmEngine } from './runtime/engine.js';

/** In the order of the operation codes in assembly/reduce.ts. */
const REDUCE_OPS: readonly ReduceOp[] = ['sum', 'mean', 'max', 'min'];

/** Result of a reduction over no elements. */
const EMPTY_RESULT: Record<ReduceOp, number> = { sum: 0, mean: Number.NaN, max: Number.NEGATIVE_INFINITY, min: Number.POSITIVE_INFINITY };

/** Block size of the reduction of all elements to one. It affects rounding and is therefore independent of the number of threads. */
const BLOCK = 16384;
/** Adjacent outputs that `reduceColumns` computes together. */
const COLUMNS = 16;

/** Sums x [count, size] over its first axis into y [size]; `y` and `x` are addresses. */
export function addUp(engine: WasmEngine, y: number, x: number, size: number, count: number): void {
  const [kept, reduced] = [engine.parameters(tableOf([])), engine.parameters(tableOf([[count, size, size]]))];
  const grain = GRAIN / (count * COLUMNS);
  engine.parallel('reduceColumns', Math.ceil(size / COLUMNS), grain, REDUCE_OPS.indexOf('sum'), y, x, kept, size, reduced, count);
}

export function reduce(engine: WasmEngine): Pick<Backend, 'reduce' | 'argmax' | 'topk'> {
  const { fill } = elementwise(engine);

  /** Reduces `length` adjacent elements to one output, with one partial result per block. */
  function reduceRun(op: number, y: Storage, x: Storage, length: number): void {
    const blocks = Math.ceil(length / BLOCK);
    engine.temporary(blocks * 8, (partials) => {
      engine.parallel('reducePartials', blocks, 2, op, partials, engine.pointer(x), length, BLOCK);
      engine.kernels.reduceFinish(op, engine.pointer(y), partials, blocks, length);
    });
  }

  return {
    reduce(y, x, op, p) {
      engine.expect(op, 'float32', y, x);
      const code = REDUCE_OPS.indexOf(op);
      const kept = mergeAxes(axesOf(p.keptShape, p.keptStrides));
      const reduced = mergeAxes(axesOf(p.reducedShape, p.reducedStrides));
      const outputs = countOf(kept);
      const count = countOf(reduced);
      if (count === 0) {
        fill(y, EMPTY_RESULT[op]);
        return;
      }
      if (outputs === 1 && reduced.length === 1 && reduced[0][1] === 1 && count > 2 * BLOCK) {
        reduceRun(code, y, x, count);
        return;
      }
      const last = kept.at(-1)!;
      if (last[1] === 1 && last[0] > 1 && reduced.at(-1)![1] !== 1) {
        // The outputs are adjacent in memory and the reduced elements are not: computes 16 outputs at a time.
        const width = last[0];
        const rows = engine.parameters(tableOf(kept.slice(0, -1)));
        const table = engine.parameters(tableOf(reduced));
        const units = (outputs / width) * Math.ceil(width / COLUMNS);
        engine.parallel(
          'reduceColumns',
          units,
          GRAIN / (count * COLUMNS),
          code,
          engine.pointer(y),
          engine.pointer(x),
          rows,
          width,
          table,
          count,
        );
        return;
      }
      engine.parallel('reduceRows', outputs, GRAIN / count, code, engine.pointer(y), engine.pointer(x), ...rowArguments(p));
    },

    argmax(y, x, p) {
      engine.expect('argmax', 'int32', y);
      engine.expect('argmax', 'float32', x);
      const count = p.reducedShape.reduce((product, size) => product * size, 1);
      if (count === 0) fill(y, 0);
      else engine.parallel('argmax', y.size, GRAIN / count, engine.pointer(y), engine.pointer(x), ...rowArguments(p));
    },

    topk(indices, x, { rows, columns }, count, largest) {
      engine.expect('topk', 'int32', indices);
      engine.expect('topk', 'float32', x);
      if (count > 0)
        engine.parallel('topk', rows, GRAIN / columns, engine.pointer(indices), engine.pointer(x), columns, count, largest ? 1 : 0);
    },
  };

  /** Returns the tables of the kept and of the outer reduced axes, the number of reduced rows, their length and stride. */
  function rowArguments(p: ReduceParams): [kept: number, reduced: number, rows: number, length: number, stride: number] {
    const kept = engine.parameters(tableOf(mergeAxes(axesOf(p.keptShape, p.keptStrides))));
    const outer = mergeAxes(axesOf(p.reducedShape, p.reducedStrides));
    const [length, stride] = outer.pop()!;
    return [kept, engine.parameters(tableOf(outer)), countOf(outer), length, stride];
  }
}
