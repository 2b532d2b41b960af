/**
 * Runs a network on many small changes of one image and recomputes only the activations that a change affects.
 *
 * A change of a window of the image affects a window of the maps of every layer, which grows from layer to layer. For each change, a
 * layer is computed on the part of its input that this window needs: the unchanged maps with the changed window of the layer before
 * pasted in. Changes with windows of equal size go through a layer as one batch. At the first layer whose outputs depend on the whole
 * input, such as the first linear layer, the changed windows are pasted into whole maps, and the rest of the network runs on those.
 */
import { yieldToEvents } from '../../data/turn.js';
import { evaluating } from '../../nn/evaluating.js';
import { type LayeredModel, type Module, Sequential } from '../../nn/index.js';
import { noGrad, type Shape, type Tensor } from '../../tensor/index.js';
import { empty } from '../../tensor/tensor.js';
import type { Patch } from '../activations/receptive_fields.js';
import { copyBlock, IDENTITY, isPointwise, padded, reachedOutputs, seenInputs, type WindowLayer, windowLayer } from './windows.js';

/** A layer that runs on windows, together with the pointwise layers that follow it. */
interface Stage {
  /** Name of the last layer of the stage, whose output is that of the stage. */
  name: string;
  window: WindowLayer;
  pointwise: Module[];
  /** [height, width] of the stage's output for an input [1, C, H, W]. */
  outputs(input: Shape): readonly [number, number];
}

/** Activations of the unchanged image at one stage. */
interface Clean {
  /** Input of the stage with its padding, [1, C, H, W]. */
  input: Tensor;
  /** [height, width] of the stage's output. */
  outputs: readonly [number, number];
}

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

/** Limit on the bytes of windows that are held between two layers. */
const HELD_BYTES = 2 ** 28;

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
      (options.incremental ?? true) && model instanceof Sequential ? split(model, options.watch) : { stages: [], rest: model };
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
    const atOnce = this.changesAtOnce(boxes);
    for (let start = 0; start < boxes.length; start += atOnce) {
      const part = boxes.slice(start, start + atOnce);
      const ids = part.map((_, i) => start + i);
      let changed = part.map((box): Changed => ({ box, of: over, image: 0, at: [box[0], box[1]] }));
      let held: Tensor[] = [];
      try {
        for (const [i, stage] of this.stages.entries()) {
          const next: { changed: Changed[]; held: Tensor[] } = { changed: [], held: [] };
          try {
            await this.passStage(i, changed, next, async (members, output) => {
              if (this.options.watch.includes(stage.name))
                await take({
                  changes: members.map((m) => ids[m]),
                  outputs: { [stage.name]: output },
                  windows: members.map((m) => next.changed[m].box),
                });
              await step(members.length);
            });
          } finally {
            for (const tensor of held) tensor.dispose();
            held = next.held;
          }
          changed = next.changed;
        }
        await this.runRest(changed, ids, take, step);
      } finally {
        for (const tensor of held) tensor.dispose();
      }
    }
  }

  dispose(): void {
    for (const { input } of this.clean) input.dispose();
    this.last.dispose();
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
      const output = evaluating(this.model, () =>
        noGrad(() => {
          const pieces = members.map((m) => seenInputs(reached[m], geometry));
          return runStage(
            stage,
            gather(
              input,
              geometry.padding,
              pieces,
              members.map((m) => changed[m]),
            ),
          );
        }),
      );
      next.held.push(output);
      members.forEach((m, image) => {
        next.changed[m] = { box: reached[m], of: output, image, at: [0, 0] };
      });
      await onBatch(members, output);
    }
  }

  /** Runs the layers after the last stage on whole maps. */
  private async runRest(
    changed: readonly Changed[],
    ids: readonly number[],
    take: (batch: SweptBatch) => Promise<void>,
    step: (changes: number) => Promise<void>,
  ): Promise<void> {
    const names = this.options.watch.filter((name) => !this.windowed.includes(name));
    const [, , height, width] = this.last.shape;
    const everything: Patch = [0, 0, height, width];
    for (const members of inBatches([changed.map((_, m) => m)], this.options.batchSize)) {
      const outputs = evaluating(this.model, () =>
        noGrad(() => {
          const maps = gather(
            this.last,
            [0, 0],
            members.map(() => everything),
            members.map((m) => changed[m]),
          );
          return this.rest.activations(maps, names);
        }),
      );
      try {
        await take({ changes: members.map((m) => ids[m]), outputs, windows: null });
      } finally {
        for (const tensor of Object.values(outputs)) tensor.dispose();
      }
      await step(members.length);
    }
  }

  /** Number of changes whose windows fit into `HELD_BYTES`. */
  private changesAtOnce(boxes: readonly Patch[]): number {
    const largest: Patch[] = boxes.map((box) => box);
    let most = 0;
    let before = 0;
    for (const [i, { window }] of this.stages.entries()) {
      const { outputs } = this.clean[i];
      let area = 0;
      for (const [m, box] of largest.entries()) {
        largest[m] = reachedOutputs(box, window.geometry, outputs);
        const [y0, x0, y1, x1] = largest[m];
        area = Math.max(area, (y1 - y0) * (x1 - x0));
      }
      const next = this.clean[i + 1]?.input ?? this.last;
      const bytes = 4 * next.shape[1] * area;
      most = Math.max(most, before + bytes);
      before = bytes;
    }
    return most > 0 ? Math.max(1, Math.floor(HELD_BYTES / most)) : Math.max(1, boxes.length);
  }
}

/** Splits a network before the first layer that cannot run on windows: one with a global receptive field or of an unknown kind. */
function split(model: Sequential, watch: readonly string[]): { stages: Stage[]; rest: LayeredModel } {
  const names = model.layerNames();
  const stages: Stage[] = [];
  let at = 0;
  // The last layer outputs one row of class scores per image, so it always runs whole.
  for (; at < names.length - 1; at++) {
    const name = names[at];
    const layer = model.layer(name);
    const window = windowLayer(layer);
    const before = stages.at(-1);
    if (window) stages.push({ name, window, pointwise: [], outputs: (input) => sidesOf(layer.outputShape(input)) });
    else if (!isPointwise(layer)) break;
    else if (before && !watch.includes(before.name)) {
      before.name = name;
      before.pointwise.push(layer);
    } else stages.push({ name, window: IDENTITY, pointwise: [layer], outputs: sidesOf });
  }
  const rest = at === 0 ? model : new Sequential(Object.fromEntries(names.slice(at).map((name) => [name, model.layer(name)])));
  return { stages, rest };
}

const sidesOf = (shape: Shape): readonly [number, number] => [shape[2], shape[3]];

/** Activations of the unchanged image at every stage, and the output of the last stage. */
function runClean(stages: readonly Stage[], image: Tensor): { clean: Clean[]; last: Tensor } {
  let map = image.detach();
  const clean = stages.map((stage): Clean => {
    const outputs = stage.outputs(map.shape);
    const input = padded(map, stage.window, outputs);
    map = runStage(stage, input);
    return { input, outputs };
  });
  return { clean, last: map };
}

const runStage = ({ window, pointwise }: Stage, piece: Tensor): Tensor =>
  pointwise.reduce((x, layer) => layer.forward(x), window.run(piece));

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
