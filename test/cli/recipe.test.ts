/** The options of the training recipe: what they stand for, and what is refused with a reason. */
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../cli/src/program.js';
import { type RecipeOptions, recipeOf } from '../../cli/src/run/training/recipe_options.js';

/** The recipe that the options of `zfnet train` stand for. */
function parse(line: string): Record<string, unknown> {
  const command = createProgram().commands.find((each) => each.name() === 'train');
  if (!command) throw new Error('there is no command train');
  command.configureOutput({ writeErr() {} });
  const { unknown } = command.parseOptions(line === '' ? [] : line.split(' '));
  if (unknown.length > 0) throw new Error(`unknown options: ${unknown.join(' ')}`);
  return JSON.parse(JSON.stringify(recipeOf(command.opts<RecipeOptions>(), undefined)));
}

describe('the options of the recipe', () => {
  it.each<[string, object]>([
    ['', {}],
    ['--optimizer adamw --betas 0.8,0.95 --eps 1e-6', { optimizer: { kind: 'adamw', betas: [0.8, 0.95], eps: 1e-6 } }],
    [
      '--optimizer rmsprop --alpha 0.9 --momentum 0.5 --centered',
      { optimizer: { kind: 'rmsprop', alpha: 0.9, momentum: 0.5, centered: true } },
    ],
    ['--momentum 0.5 --max-filter-rms 0', { momentum: 0.5, maxFilterRms: null }],
    ['--schedule one-cycle', { schedule: { kind: 'one-cycle', rise: 0.3, momentum: true } }],
    ['--rise 0.5 --momentum 0', { schedule: { kind: 'one-cycle', rise: 0.5, momentum: false }, momentum: 0 }],
    ['--milestones 30,60 --lr-factor 0.2', { schedule: { kind: 'multi-step', factor: 0.2, milestones: [30, 60] } }],
    ['--schedule exponential', { schedule: { kind: 'exponential', factor: 0.95 } }],
    ['--schedule step --epochs 30', { schedule: { kind: 'step', factor: 0.1, every: 10 }, epochs: 30 }],
    ['--patience 5', { schedule: { kind: 'plateau', factor: 0.1, patience: 5 } }],
    ['--warmup 100 --warmup-from 0.1', { warmup: { steps: 100, from: 0.1 } }],
    ['--clip-grad-norm 1 --label-smoothing 0.1', { clipGradNorm: 1, labelSmoothing: 0.1 }],
    ['--class-weights 1,2,0.5', { classWeights: [1, 2, 0.5] }],
    ['--class-weights balanced', { classWeights: 'balanced' }],
  ])('%s', (line, recipe) => {
    expect(parse(line)).toEqual(recipe);
  });

  it.each<[string, RegExp]>([
    ['--optimizer adm', /did you mean 'adam'/],
    ['--schedule one-cycel', /did you mean 'one-cycle'/],
    ['--betas 0.9,0.99', /--betas belongs to --optimizer adam or adamw, not sgd/],
    ['--optimizer adam --momentum 0.9', /--momentum belongs to --optimizer sgd or rmsprop, not adam/],
    ['--optimizer adam --betas 0.9', /Expected two numbers/],
    ['--schedule cosine --lr-factor 0.5', /--lr-factor belongs to --schedule plateau or step or multi-step or exponential, not cosine/],
    ['--schedule multi-step', /needs --milestones/],
    ['--milestones 60,30', /ascending order/],
    ['--warmup-from 0.1', /needs --warmup/],
    ['--class-weights 1,0', /numbers above 0/],
    ['--label-smoothing 1', /below 1/],
  ])('%s is refused', (line, message) => {
    expect(() => parse(line)).toThrow(message);
  });
});
