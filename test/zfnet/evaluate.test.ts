/** Evaluation: correct error counts, crops and ensembles averaged after the softmax, and errors that name wrong labels. */
import { beforeAll, describe, expect, it } from 'vitest';
import { fromHost, noGrad, softmax } from '../../src/tensor/index.js';
import { type Classifier, evaluate, Preprocess, predict, tenCrops } from '../../src/zfnet/index.js';
import { bars, CLASSES, INPUT, SIDE, tinyNet, useReferenceBackend } from './support.js';

beforeAll(useReferenceBackend);

function classifier(seed: number, classes: readonly string[] = CLASSES): Classifier {
  const preprocess = new Preprocess({ inputSize: INPUT, side: SIDE, channels: 1, scale: 1 / 64 });
  return { model: tinyNet({ seed, classes: classes.length }), preprocess, classes };
}

/** Probabilities of one image by the direct way: one forward pass a crop. */
async function probabilities(
  { model, preprocess }: Classifier,
  image: Parameters<Preprocess['evaluation']>[0][0],
  crops: 1 | 10,
): Promise<number[]> {
  model.eval();
  const inputs = preprocess.evaluation([image], crops);
  const size = INPUT * INPUT;
  const rows = Array.from({ length: crops }, (_, i) =>
    noGrad(() => softmax(model.forward(fromHost(inputs.slice(i * size, (i + 1) * size), [1, 1, INPUT, INPUT])))).dataSync(),
  );
  return CLASSES.map((_, k) => rows.reduce((sum, row) => sum + row[k], 0) / crops);
}

describe('evaluate', () => {
  it('counts the same errors as a direct computation, per class and in total', async () => {
    const one = classifier(1);
    const { splits } = bars({ val: 11 });
    const answers: number[] = [];
    for (let i = 0; i < 11; i++) {
      const p = await probabilities(one, (await splits.val.get(i)).image, 1);
      answers.push(p.indexOf(Math.max(...p)));
    }
    const result = await evaluate(one, splits.val, { batchSize: 4, confusion: true });
    const missed = answers.filter((answer, i) => answer !== splits.val.labels[i]).length;
    expect(result.examples).toBe(11);
    expect(result.top1Error).toBeCloseTo(missed / 11, 12);
    expect(result.top5Error).toBe(0);
    expect(result.perClass.map(({ examples }) => examples)).toEqual([4, 4, 3]);
    result.confusion!.forEach((row, label) => {
      expect(row).toEqual(row.map((_, answer) => answers.filter((a, i) => a === answer && splits.val.labels[i] === label).length));
    });
    expect(result.perClass.reduce((sum, each) => sum + each.top1Error * each.examples, 0)).toBeCloseTo(missed, 9);
  });

  it('averages softmax outputs over ten crops and over an ensemble', async () => {
    const members = [classifier(1), classifier(2)];
    const { image } = await bars().splits.val.get(4);
    const rows = [await probabilities(members[0], image, 10), await probabilities(members[1], image, 10)];
    const [answer] = await predict(members, [image], { top: 3, crops: 10 });
    expect(answer.map((each) => each.class).sort()).toEqual([...CLASSES].sort());
    for (const { class: name, probability } of answer) {
      const k = CLASSES.indexOf(name as (typeof CLASSES)[number]);
      expect(probability).toBeCloseTo((rows[0][k] + rows[1][k]) / 2, 6);
    }
    expect(answer[0].probability).toBeGreaterThanOrEqual(answer[1].probability);
    expect(tenCrops(SIDE - INPUT)).toHaveLength(10);
    // A mean of logits, or of one crop alone, would give something else.
    const [single] = await predict(members, [image], { top: 1 });
    expect(Math.abs(single[0].probability - answer[0].probability)).toBeGreaterThan(1e-6);
  });

  it('measures the mean negative log likelihood', async () => {
    const one = classifier(3);
    const { splits } = bars({ val: 5 });
    let sum = 0;
    for (let i = 0; i < 5; i++) sum -= Math.log((await probabilities(one, (await splits.val.get(i)).image, 1))[splits.val.labels[i]]);
    expect((await evaluate(one, splits.val)).loss).toBeCloseTo(sum / 5, 5);
  });

  it('counts top-5 errors among more than five classes', async () => {
    const many = classifier(1, ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    const { splits } = bars({ val: 9, classes: many.classes });
    const result = await evaluate(many, splits.val);
    const ranks = await Promise.all(
      Array.from({ length: 9 }, async (_, i) => {
        const { image, label } = await splits.val.get(i);
        const [top] = await predict(many, [image], { top: 5 });
        return top.some((each) => each.class === many.classes[label]);
      }),
    );
    expect(result.top5Error).toBeCloseTo(ranks.filter((hit) => !hit).length / 9, 12);
    expect(result.perClass).toHaveLength(3);
  });

  it('restores the training mode, and runs without dropout', async () => {
    const one = { ...classifier(1), model: tinyNet({ seed: 1, dropout: 0.9 }) };
    one.model.train();
    const first = await evaluate(one, bars().splits.val);
    const second = await evaluate(one, bars().splits.val);
    expect(second.loss).toBe(first.loss);
    expect(one.model.training).toBe(true);
  });

  it('names a label without a class, and networks of an ensemble with different classes', async () => {
    const dataset = bars({ labels: { 3: 7 } });
    await expect(evaluate(classifier(1), dataset.splits.train)).rejects.toThrow(
      'example 3 has the label 7, outside the 3 classes (0 to 2)',
    );
    await expect(evaluate([classifier(1), classifier(1, ['x', 'y', 'z'])], dataset.splits.val)).rejects.toThrow(
      /network 2 .* other classes/,
    );
  });

  it('omits unreadable images with onBroken, and stops on an abort signal', async () => {
    const { splits } = bars({ broken: [1, 2] });
    await expect(evaluate(classifier(1), splits.train)).rejects.toThrow('image 1 is broken');
    expect((await evaluate(classifier(1), splits.train, { onBroken: () => {}, batchSize: 2 })).examples).toBe(22);
    await expect(evaluate(classifier(1), splits.val, { signal: AbortSignal.abort() })).rejects.toThrow();
  });
});
