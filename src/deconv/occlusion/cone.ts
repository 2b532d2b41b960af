/**
 * Runs a network on many small changes of one image and recomputes only the activations that a change affects.
 *
 * A change of a window of the image affects a window of the maps of every layer, which grows from layer to layer. For each change, a
 * layer is computed on the part of its input that this window needs: the unchanged maps with the changed window of the layer before
 * pasted in. Changes with windows of equal size go through a layer as one batch. At the first layer whose outputs depend on the whole
 * input, such as the first linear layer, the changed windows are pasted into whole maps, and the rest of the network runs on those.
 */
import { evaluating } from '../../nn/evaluating.js';
import { type LayeredModel, Sequential } from '../../nn/index.js';
import { yieldToEvents } from '../../nn/yield_to_events.js';
import { noGrad, type Tensor } from '../../tensor/index.js';
import { empty } from '../../tensor/tensor.js';
import type { Patch } from '../activations/receptive_fields.js';
import { type Clean, changesAtOnce, runClean, runStage, type Stage, splitStages } from './stages.js';
import { copyBlock, reachedOutputs, seenInputs } from './windows.js';

/** A changed window of a map: its position in the map, and its values within a batch. */
interface Changed {
  box: Patch;
  of: Tensor;
  image: number;
  /** Top left corner [y, x] of the window within `of`. */
  at: readonly [number, number];
}

/** Outputs of the watched layers for a batch of changes. */
export interface SweptBatch {
  /** Indices of the changes in the list of boxes. */
  changes: readonly number[];
  /** Outputs of the watched layers, [N, …], by name. For a layer that ran on windows, they are windows. The sweep disposes of them. */
  outputs: Readonly<Record<string, Tensor>>;
  /** Positions of these windows, one per change; null if the outputs are whole maps. */
  windows: readonly Patch[] | null;
}

/** Options of `ReceptiveCone`. */
export interface ConeOptions {
  /** Names of the layers whose outputs are passed on. */
  watch: readonly string[];
  /** Largest number of changes that go through a layer at once. */
  batchSize: number;
  /** Whether to recompute only affected activations; false runs every changed image whole. Default true for a `Sequential`. */
  incremental?: boolean;
}

/** Changes that run through the network together, and the functions that receive their outputs and their progress. */
interface Pass {
  /** Indices of the changes in the list of boxes. */
  ids: readonly number[];
  take: (batch: SweptBatch) => Promise<void>;
  /** Reports the number of changes that have passed one more stage. */
  step: (changes: number) => Promise<void>;
}

/** A network and the activations of one image, to run on changes of that image. `dispose()` leaves the model and the image alone. */
export class ReceptiveCone {
  /** Names of the layers whose outputs are computed as windows. */
  readonly windowed: readonly string[];
  private readonly stages: readonly Stage[];
  private readonly rest: LayeredModel;
  private readonly clean: readonly Clean[];
  /** Unchanged input of `rest`. */
  private readonly last: Tensor;

  /**
   * @param image [1, C, H, W]
   * @throws ValueError for a watched layer that does not exist
   */
  constructor(
    private readonly model: LayeredModel,
    image: Tensor,
    private readonly options: ConeOptions,
  ) {
    for (const name of options.watch) model.layer(name);
    const { stages, rest } =
      (options.incremental ?? true) && model instanceof Sequential ? splitStages(model, options.watch) : { stages: [], rest: model };
    this.stages = stages;
    this.rest = rest;
    this.windowed = stages.map(({ name }) => name);
    const { clean, last } = evaluating(model, () => noGrad(() => runClean(stages, image)));
    this.clean = clean;
    this.last = last;
  }

  /**
   * Pastes windows of another image over the image, one at a time, and passes on the outputs of the watched layers in batches.
   *
   * @param over image [1, C, H, W] that the windows are taken from
   * @param boxes the windows, one per change
   * @param take called with each batch of outputs; layers that run on windows and layers that do not come in separate batches
   * @param onProgress called with the number of (change, stage) pairs that are done, and their total
   */
  async sweep(
    over: Tensor,
    boxes: readonly Patch[],
    take: (batch: SweptBatch) => Promise<void>,
    onProgress?: (done: number, total: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const total = boxes.length * (this.stages.length + 1);
    let done = 0;
    const step = async (changes: number) => {
      done += changes;
      onProgress?.(done, total);
      await yieldToEvents();
      signal?.throwIfAborted();
    };
    const atOnce = changesAtOnce(this.stages, this.clean, this.last, boxes);
    for (let start = 0; start < boxes.length; start += atOnce) {
      const part = boxes.slice(start, start + atOnce);
      const ids = part.map((_, i) => start + i);
      const changed = part.map((box): Changed => ({ box, of: over, image: 0, at: [box[0], box[1]] }));
      await this.passAll({ ids, take, step }, changed);
    }
  }

  dispose(): void {
    for (const { input } of this.clean) input.dispose();
    this.last.dispose();
  }

  /** Runs all stages and the rest of the network for some changes. The windows between two stages are freed after the later one. */
  private async passAll(pass: Pass, changed: readonly Changed[]): Promise<void> {
    let held: Tensor[] = [];
    try {
      for (const [i, { name }] of this.stages.entries()) {
        const next: { changed: Changed[]; held: Tensor[] } = { changed: [], held: [] };
        try {
          await this.passStage(i, changed, next, async (members, output) => {
            const changes = members.map((m) => pass.ids[m]);
            const windows = members.map((m) => next.changed[m].box);
            if (this.options.watch.includes(name)) await pass.take({ changes, outputs: { [name]: output }, windows });
            await pass.step(members.length);
          });
        } finally {
          for (const tensor of held) tensor.dispose();
          held = next.held;
        }
        changed = next.changed;
      }
      await this.runRest(pass, changed);
    } finally {
      for (const tensor of held) tensor.dispose();
    }
  }

  /** Runs one stage for all changes. Changes with windows of equal size form a batch. */
  private async passStage(
    i: number,
    changed: readonly Changed[],
    next: { changed: Changed[]; held: Tensor[] },
    onBatch: (members: readonly number[], output: Tensor) => Promise<void>,
  ): Promise<void> {
    const stage = this.stages[i];
    const { input, outputs } = this.clean[i];
    const { geometry } = stage.window;
    const reached = changed.map(({ box }) => reachedOutputs(box, geometry, outputs));
    for (const members of inBatches(bySize(reached), this.options.batchSize)) {
      const parts = members.map((m) => changed[m]);
      const pieces = members.map((m) => seenInputs(reached[m], geometry));
      const output = evaluating(this.model, () => noGrad(() => runStage(stage, gather(input, geometry.padding, pieces, parts))));
      next.held.push(output);
      members.forEach((m, image) => {
        next.changed[m] = { box: reached[m], of: output, image, at: [0, 0] };
      });
      await onBatch(members, output);
    }
  }

  /** Runs the layers after the last stage on whole maps. */
  private async runRest({ ids, take, step }: Pass, changed: readonly Changed[]): Promise<void> {
    const names = this.options.watch.filter((name) => !this.windowed.includes(name));
    const [, , height, width] = this.last.shape;
    const everything: Patch = [0, 0, height, width];
    for (const members of inBatches([changed.map((_, m) => m)], this.options.batchSize)) {
      const parts = members.map((m) => changed[m]);
      const pieces = members.map(() => everything);
      const outputs = evaluating(this.model, () => noGrad(() => this.rest.activations(gather(this.last, [0, 0], pieces, parts), names)));
      try {
        await take({ changes: members.map((m) => ids[m]), outputs, windows: null });
      } finally {
        for (const tensor of Object.values(outputs)) tensor.dispose();
      }
      await step(members.length);
    }
  }
}

/** Pieces of equal size of the unchanged map, each with its changed window pasted in: [N, C, height, width]. */
function gather(map: Tensor, padding: readonly [number, number], pieces: readonly Patch[], changed: readonly Changed[]): Tensor {
  const [[top, left, bottom, right]] = pieces;
  const size = [bottom - top, right - left] as const;
  const batch = empty('occlude', [pieces.length, map.shape[1], ...size], map.dtype, map.backend);
  for (const [image, [y0, x0, y1, x1]] of pieces.entries()) {
    copyBlock({ of: batch, image, at: [0, 0] }, { of: map, image: 0, at: [y0, x0] }, size);
    const { box, of, image: from, at } = changed[image];
    // The changed window in coordinates of the padded map, and the part of it inside the piece.
    const [boxTop, boxLeft] = [box[0] + padding[0], box[1] + padding[1]];
    const [fromY, fromX] = [Math.max(boxTop, y0), Math.max(boxLeft, x0)];
    const height = Math.min(box[2] + padding[0], y1) - fromY;
    const width = Math.min(box[3] + padding[1], x1) - fromX;
    if (height <= 0 || width <= 0) continue;
    const source = { of, image: from, at: [at[0] + fromY - boxTop, at[1] + fromX - boxLeft] as const };
    copyBlock({ of: batch, image, at: [fromY - y0, fromX - x0] }, source, [height, width]);
  }
  return batch;
}

/** Groups the indices of windows by size. */
function bySize(windows: readonly Patch[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [member, [y0, x0, y1, x1]] of windows.entries()) {
    const size = `${y1 - y0}×${x1 - x0}`;
    const group = groups.get(size);
    if (group) group.push(member);
    else groups.set(size, [member]);
  }
  return [...groups.values()];
}

/** Splits groups into batches of at most `size`. */
const inBatches = (groups: readonly (readonly number[])[], size: number): (readonly number[])[] =>
  groups.flatMap((group) => Array.from({ length: Math.ceil(group.length / size) }, (_, i) => group.slice(i * size, (i + 1) * size)));
