/** The data of `fit`: one iterable of batches per epoch, checked and moved to the backend of the model. */
import { arrayOf, integer, type Rule, rule, show } from '../../backend/validate.js';
import { type Backend, fromHost, Tensor, ValueError } from '../../tensor/index.js';

/** A batch of training examples. `fit` disposes of neither tensor. */
export interface FitBatch {
  /** Input of the model, [N, ...]. */
  images: Tensor;
  /** What the loss compares the output with: a tensor whose first extent is N, or N whole numbers (classes). */
  labels: Tensor | ArrayLike<number>;
}

type Batches = Iterable<FitBatch> | AsyncIterable<FitBatch>;

/** Data of `fit`: batches that can be iterated once per epoch, or a function that returns the batches of an epoch (counted from 1). */
export type FitData = Batches | ((epoch: number) => Batches | Promise<Batches>);

const isIterable = (value: object, key: symbol): boolean => typeof (value as Record<symbol, unknown>)[key] === 'function';

/** Rule for the data of `fit`. */
export const dataRule: Rule = rule(
  'an iterable or async iterable of { images, labels }, or a function (epoch) => iterable',
  (value) =>
    typeof value === 'function' ||
    (typeof value === 'object' && value !== null && (isIterable(value, Symbol.iterator) || isIterable(value, Symbol.asyncIterator))),
);

/** Tensors of a batch on the model's backend. */
export interface PlacedBatch {
  images: Tensor;
  labels: Tensor;
  /** Frees the copies that were made for another backend. */
  release(): void;
}

/**
 * @param name of the data in messages: `data` or `validation`
 * @throws ValueError for an iterator, which is empty after the first of several passes
 */
export function checkRepeatable(name: string, data: FitData, passes: number): void {
  if (passes < 2 || typeof data === 'function') return;
  const once =
    Symbol.asyncIterator in data
      ? (data[Symbol.asyncIterator]() as unknown) === data
      : ((data as Iterable<FitBatch>)[Symbol.iterator]() as unknown) === data;
  if (once)
    throw new ValueError(
      `fit: ${name} can be iterated only once, but there are ${passes} epochs; pass a function such as (epoch) => batchesOf(epoch), or an array`,
    );
}

/** Yields the checked batches of an epoch. @throws ValueError for anything but batches, and if there are none */
export async function* batchesOf(name: string, data: FitData, epoch: number): AsyncGenerator<FitBatch, void, undefined> {
  const batches: unknown = typeof data === 'function' ? await data(epoch) : data;
  const where = `fit: ${name} of epoch ${epoch}`;
  if (typeof batches === 'function' || !dataRule.test(batches))
    throw new ValueError(`${where} is ${show(batches)}, expected an iterable or async iterable of { images, labels }`);
  let index = 0;
  for await (const batch of batches as AsyncIterable<unknown>) {
    checkBatch(`${where}: batch ${index}`, batch);
    yield batch;
    index++;
  }
  if (index === 0)
    throw new ValueError(`${where} has no batches; if it can be iterated only once, pass a function (epoch) => iterable instead`);
}

const indices = arrayOf(integer());

function checkBatch(where: string, batch: unknown): asserts batch is FitBatch {
  const { images, labels } = (batch ?? {}) as Partial<FitBatch>;
  if (!(images instanceof Tensor)) throw new ValueError(`${where}: images are ${show(images)}, expected a Tensor [N, ...]`);
  if (!(labels instanceof Tensor) && !indices.test(labels))
    throw new ValueError(`${where}: labels are ${show(labels)}, expected a Tensor, or an array of classes from 0 on`);
  const rows = images.shape[0] ?? 0;
  const given = labels instanceof Tensor ? labels.shape[0] : (labels as ArrayLike<number>).length;
  if (rows === 0 || given !== rows)
    throw new ValueError(`${where}: got images [${images.shape}] and ${given} labels, expected as many labels as images, at least one`);
}

/** Yields the batches in groups of `size`; the last group may be smaller. */
export async function* grouped(batches: AsyncIterable<FitBatch>, size: number): AsyncGenerator<FitBatch[], void, undefined> {
  let group: FitBatch[] = [];
  for await (const batch of batches) {
    group.push(batch);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** Returns the tensors of a batch on a backend; tensors of another backend are copied. */
export async function place({ images, labels }: FitBatch, backend: Backend): Promise<PlacedBatch> {
  const made: Tensor[] = [];
  const moved = async (value: Tensor | ArrayLike<number>): Promise<Tensor> => {
    if (value instanceof Tensor && value.backend === backend) return value;
    const copy =
      value instanceof Tensor
        ? fromHost(await value.data(), value.shape, { backend })
        : fromHost(Int32Array.from(value), [value.length], { backend });
    made.push(copy);
    return copy;
  };
  return {
    images: await moved(images),
    labels: await moved(labels),
    release() {
      for (const copy of made) copy.dispose();
    },
  };
}
