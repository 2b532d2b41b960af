/** The 1cycle schedule (Smith & Topin 2018). */
import { arrayOf, boolean, either, finite, integer, oneOf, positive, rule } from '../../../backend/validate.js';
import { ValueError } from '../../../tensor/index.js';
import { CountingSchedule, checkSchedule, type HasLearningRate, type IntervalOption, ratesOf, type ScheduleState } from './schedule.js';

/** Options of `OneCycleLR`. `interval` defaults to `step`. */
export interface OneCycleLROptions extends IntervalOption {
  /** Highest learning rate, or one per group. */
  maxLr: number | readonly number[];
  /** Number of steps of the cycle. May be given as `epochs` times `stepsPerEpoch` instead. */
  totalSteps?: number;
  /** Number of epochs of the cycle. */
  epochs?: number;
  /** Number of updates per epoch. */
  stepsPerEpoch?: number;
  /** Share of the cycle in which the rate rises, from 0 to 1. Default 0.3. */
  pctStart?: number;
  /** Form of the curve between two rates. Default `cos`. */
  annealStrategy?: 'cos' | 'linear';
  /** Whether the momentum changes in the opposite direction. Default true. */
  cycleMomentum?: boolean;
  /** Momentum at the highest rate. Default 0.85. */
  baseMomentum?: number;
  /** Momentum at the start and end of the cycle. Default 0.95. */
  maxMomentum?: number;
  /** Highest rate divided by the initial one. Default 25. */
  divFactor?: number;
  /** Initial rate divided by the last one. Default 10⁴. */
  finalDivFactor?: number;
  /** Whether the rate first falls back to its initial value as fast as it rose, and then to the last one. Default false. */
  threePhase?: boolean;
}

const momentumRule = rule('a number from 0 to below 1', (value) => typeof value === 'number' && value >= 0 && value < 1);
const ONE_CYCLE_RULES = {
  maxLr: either(positive, arrayOf(positive, 1)),
  totalSteps: integer(1),
  epochs: integer(1),
  stepsPerEpoch: integer(1),
  pctStart: finite(0, 1),
  annealStrategy: oneOf('cos', 'linear'),
  cycleMomentum: boolean,
  baseMomentum: momentumRule,
  maxMomentum: momentumRule,
  divFactor: positive,
  finalDivFactor: positive,
  threePhase: boolean,
};

/** A part of the cycle: the step at which it ends, and whether rate and momentum are low, initial or high at its ends. */
interface Phase {
  end: number;
  rate: readonly ['initial' | 'max' | 'last', 'initial' | 'max' | 'last'];
  momentum: readonly ['base' | 'max', 'base' | 'max'];
}

/**
 * Raises the learning rate from maxLr / divFactor to maxLr and lowers it to maxLr / (divFactor · finalDivFactor) over `totalSteps`
 * updates, while the momentum (of Adam: the first of `betas`) falls and rises again. Creating the schedule sets the initial values.
 * PyTorch `OneCycleLR`.
 *
 * @example const schedule = new OneCycleLR(optimizer, { maxLr: 0.1, epochs: 10, stepsPerEpoch: 500 });
 * @throws ValueError for invalid options, and for a step after the end of the cycle
 */
export class OneCycleLR extends CountingSchedule {
  private readonly total: number;
  private readonly phases: readonly Phase[];

  constructor(
    optimizer: HasLearningRate,
    private readonly options: OneCycleLROptions,
  ) {
    checkSchedule('OneCycleLR', optimizer, options, ONE_CYCLE_RULES, 'maxLr');
    super('OneCycleLR', optimizer, options.interval ?? 'step');
    const groups = ratesOf(optimizer);
    if (typeof options.maxLr !== 'number' && options.maxLr.length !== groups.length)
      throw new ValueError(`OneCycleLR: maxLr has ${options.maxLr.length} rates, expected ${groups.length}, one per group`);
    if (options.cycleMomentum !== false && !groups.every(({ momentum }) => momentum !== undefined))
      throw new ValueError('OneCycleLR: the optimiser has no momentum; pass cycleMomentum: false');
    this.total = totalSteps(options);
    this.phases = phasesOf(this.total, options);
    this.apply();
  }

  override step(): void {
    if (this.count >= this.total)
      throw new ValueError(`OneCycleLR: got step ${this.count + 1} of a cycle of ${this.total} steps; give the number of all steps`);
    super.step();
  }

  /** Also sets learning rates and momentum. */
  override loadStateDict(state: ScheduleState): void {
    super.loadStateDict(state);
    this.apply();
  }

  protected override apply(): void {
    const index = this.phases.findIndex(({ end }, i) => this.count <= end || i === this.phases.length - 1);
    const phase = this.phases[index];
    const start = index > 0 ? this.phases[index - 1].end : 0;
    const share = (this.count - start) / (phase.end - start);
    const { maxLr, divFactor = 25, finalDivFactor = 1e4, cycleMomentum = true, baseMomentum = 0.85, maxMomentum = 0.95 } = this.options;
    const momenta = { base: baseMomentum, max: maxMomentum };
    ratesOf(this.optimizer).forEach((group, i) => {
      const max = typeof maxLr === 'number' ? maxLr : maxLr[i];
      const rates = { initial: max / divFactor, max, last: max / divFactor / finalDivFactor };
      group.lr = this.between(rates[phase.rate[0]], rates[phase.rate[1]], share);
      if (cycleMomentum) group.momentum = this.between(momenta[phase.momentum[0]], momenta[phase.momentum[1]], share);
    });
  }

  private between(from: number, to: number, share: number): number {
    return this.options.annealStrategy === 'linear' ? (to - from) * share + from : to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
  }
}

function totalSteps({ totalSteps, epochs, stepsPerEpoch }: OneCycleLROptions): number {
  if (totalSteps !== undefined) return totalSteps;
  if (epochs !== undefined && stepsPerEpoch !== undefined) return epochs * stepsPerEpoch;
  throw new ValueError('OneCycleLR: the length of the cycle is missing; pass totalSteps, or epochs and stepsPerEpoch');
}

function phasesOf(total: number, { pctStart = 0.3, threePhase = false }: OneCycleLROptions): Phase[] {
  const top = pctStart * total - 1;
  const rise: Phase = { end: top, rate: ['initial', 'max'], momentum: ['max', 'base'] };
  if (!threePhase) return [rise, { end: total - 1, rate: ['max', 'last'], momentum: ['base', 'max'] }];
  return [
    rise,
    { end: 2 * pctStart * total - 2, rate: ['max', 'initial'], momentum: ['base', 'max'] },
    { end: total - 1, rate: ['initial', 'last'], momentum: ['max', 'max'] },
  ];
}
