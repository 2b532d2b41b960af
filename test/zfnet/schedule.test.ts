/** Learning rate schedules: the rates, and resuming. */
import { describe, expect, it } from 'vitest';
import { makeSchedule } from '../../src/zfnet/training/recipe/schedule.js';
import type { ScheduleOptions } from '../../src/zfnet/training/recipe/schedule_options.js';
import { DEFAULT_TRAINING, trainingOptions } from '../../src/zfnet/training/recipe/training_options.js';

/** The rate after each epoch with these measures; the schedule is saved and made anew after `stop` epochs. */
function rates(options: ScheduleOptions, measures: readonly number[], stop = measures.length): number[] {
  const optimizer = { lr: 1 };
  let schedule = makeSchedule(optimizer, options, { epochs: measures.length, stepsPerEpoch: 1 });
  return measures.map((measure, epoch) => {
    if (epoch === stop) {
      const state = JSON.parse(JSON.stringify(schedule.state()));
      const { lr } = optimizer;
      optimizer.lr = 1;
      schedule = makeSchedule(optimizer, options, { epochs: measures.length, stepsPerEpoch: 1 });
      optimizer.lr = lr;
      schedule.restore(state);
    }
    schedule.step(measure);
    return Number(optimizer.lr.toPrecision(6));
  });
}

const FALLING_THEN_FLAT = [0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.7];
const CASES: [ScheduleOptions, number[]][] = [
  [{ kind: 'plateau', factor: 0.1, patience: 1 }, [1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01]],
  [{ kind: 'plateau', factor: 0.5, patience: 9 }, [1, 1, 1, 1, 1, 1, 1, 1]],
  [{ kind: 'step', factor: 0.5, every: 3 }, [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]],
  [{ kind: 'cosine' }, [0.96194, 0.853553, 0.691342, 0.5, 0.308658, 0.146447, 0.0380602, 0]],
  [{ kind: 'constant' }, [1, 1, 1, 1, 1, 1, 1, 1]],
];

describe('schedules', () => {
  it.each(CASES)('%o', (options, expected) => {
    expect(rates(options, FALLING_THEN_FLAT)).toEqual(expected);
    for (const stop of [1, 3, 4, 7]) expect(rates(options, FALLING_THEN_FLAT, stop)).toEqual(expected);
  });
});

describe('a cosine schedule with more epochs, or with another rate, after resuming', () => {
  const resumed = (done: number, epochs: number) => {
    const optimizer = { lr: 1 };
    const first = makeSchedule(optimizer, { kind: 'cosine' }, { epochs: 4, stepsPerEpoch: 1 });
    for (let i = 0; i < done; i++) first.step(0);
    const schedule = makeSchedule(optimizer, { kind: 'cosine' }, { epochs, stepsPerEpoch: 1 });
    schedule.restore(first.state());
    return { optimizer, schedule };
  };

  it('continues at the rate of its position, not at 0', () => {
    expect(resumed(4, 8).optimizer.lr).toBeCloseTo(0.5, 12);
  });

  it('falls from the new rate', () => {
    const { optimizer, schedule } = resumed(2, 4);
    schedule.setLr(0.2);
    expect(optimizer.lr).toBeCloseTo(0.2, 12);
    schedule.step(0);
    expect(optimizer.lr).toBeCloseTo((0.4 * (1 + Math.cos((Math.PI * 3) / 4))) / 2, 12);
  });
});

describe('trainingOptions', () => {
  it('uses the paper’s values for absent or undefined options', () => {
    expect(trainingOptions({ epochs: 3, lr: undefined })).toEqual({ ...DEFAULT_TRAINING, epochs: 3 });
    expect(DEFAULT_TRAINING).toMatchObject({
      epochs: 70,
      batchSize: 128,
      lr: 0.01,
      momentum: 0.9,
      weightDecay: 0,
      maxFilterRms: 0.1,
      augment: 'paper',
    });
  });

  it.each([
    [{ epochs: -1 }, /epochs is -1/],
    [{ epochs: Number.NaN }, /epochs is NaN/],
    [{ momentum: 1 }, /momentum is 1, expected a number of at least 0 and below 1/],
    [{ weightDecay: -1 }, /weightDecay/],
    [{ maxFilterRms: 0 }, /maxFilterRms is 0, expected a finite number above 0, or null/],
    [{ seed: -1 }, /seed/],
    [{ augment: 'wild' as never }, /augment is 'wild', expected one of 'paper', 'random', 'shift', 'none'/],
    [{ schedule: { kind: 'plateau', factor: 2, patience: 1 } as const }, /schedule: factor is 2/],
    [{ schedule: { kind: 'step', factor: 0.1, every: 0 } as const }, /schedule: every is 0/],
  ])('refuses %o', (options, message) => {
    expect(() => trainingOptions(options)).toThrow(message);
  });
});
