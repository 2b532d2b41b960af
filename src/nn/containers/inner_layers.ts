/** Layers inside the containers of a network: their names, the runs that keep their outputs, and their rows in a summary. */
import { add, concat, type Shape, type Tensor } from '../../tensor/index.js';
import type { LayerSummary, ReceptiveField } from '../layered_model.js';
import { type Module, namingLayer, type Structure } from '../module.js';
import { countParameters, growField } from '../summary.js';

/** A layer with its full name, such as `layer1.0.conv2`. */
export type NamedLayer = readonly [name: string, layer: Module];

/** Joins the names of a container and of a part of it; the name '' adds nothing. */
const joined = (outer: string, inner: string): string => (outer === '' || inner === '' ? outer + inner : `${outer}.${inner}`);

/** The parts of a container in the order of computation, with full names. */
function partsOf(name: string, structure: Structure): NamedLayer[] {
  const parts = structure.kind === 'sequence' ? structure.layers : structure.branches;
  return parts.flatMap(([key, part]): NamedLayer[] => (part ? [[joined(name, key), part]] : []));
}

/**
 * Names of the layers of a module in the order of computation: those inside of containers, and after the layers of all branches the
 * container itself, whose output is the concatenation or the sum. The name of a sequence is not among them; it is that of its last layer.
 */
export function innerNames(name: string, module: Module): string[] {
  const structure = module.structure();
  if (!structure) return [name];
  const inner = partsOf(name, structure).flatMap(([full, part]) => {
    const names = innerNames(full, part);
    // A container without a name of its own is not listed.
    return full === name && part.structure() ? names.filter((each) => each !== name) : names;
  });
  return structure.kind === 'branches' ? [...inner, name] : inner;
}

/** Returns the module with a full name inside a container that is called `name`, and the row of layers in which it stands, or null. */
export function findInner(name: string, module: Module, wanted: string): { row: readonly NamedLayer[]; place: number } | null {
  const structure = module.structure();
  if (!structure) return null;
  const parts = partsOf(name, structure);
  if (structure.kind === 'branches' && structure.activation) {
    const [key, layer] = structure.activation;
    if (key !== '' && joined(name, key) === wanted) return { row: [[wanted, layer]], place: 0 };
  }
  const place = parts.findIndex(([full]) => full === wanted && full !== name);
  if (place >= 0) return structure.kind === 'sequence' ? { row: parts, place } : { row: [parts[place]], place: 0 };
  for (const [full, part] of parts) {
    const found = full === name || wanted.startsWith(`${full}.`) ? findInner(full, part, wanted) : null;
    if (found) return found;
  }
  return null;
}

/** Outputs of named layers that a forward pass keeps. */
export class Taps {
  private readonly outputs = new Map<string, Tensor>();

  constructor(
    private readonly wanted: ReadonlySet<string>,
    /** Input of the network, which is never freed. */
    private readonly input: Tensor,
  ) {}

  /** Whether the output of a layer is kept. */
  has(name: string): boolean {
    return this.wanted.has(name);
  }

  /** Whether the output of a layer inside a container is kept. */
  inside(name: string): boolean {
    return [...this.wanted].some((each) => each.startsWith(`${name}.`));
  }

  put(name: string, output: Tensor): void {
    if (this.has(name)) this.outputs.set(name, output);
  }

  get(name: string): Tensor | undefined {
    return this.outputs.get(name);
  }

  /** Whether a value is the output of a layer that is kept. */
  keeps(value: Tensor): boolean {
    return [...this.outputs.values()].includes(value);
  }

  /** Frees an output as soon as the next layer has used it, unless it is kept. */
  release(value: Tensor): void {
    if (value !== this.input && !this.keeps(value)) value.release('the next layer');
  }

  /** Frees all outputs after an error. */
  abandon(): void {
    for (const output of this.outputs.values()) if (output !== this.input) output.release('a failed forward()');
  }
}

/**
 * Runs a container part by part, so that the outputs of layers inside of it are kept. Computes the same as its `forward`.
 *
 * @param isAnonymous whether `name` is that of the container around it, whose output is another one
 */
export function runTapped(module: Module, x: Tensor, name: string, taps: Taps, isAnonymous = false): Tensor {
  const structure = module.structure();
  const run = () => {
    if (!structure) return module.forward(x);
    return structure.kind === 'sequence' ? runSequence(structure.layers, x, name, taps) : runBranches(structure, x, name, taps);
  };
  const output = run();
  if (!isAnonymous) taps.put(name, output);
  return output;
}

type Sequence = Extract<Structure, { kind: 'sequence' }>['layers'];
type Branches = Extract<Structure, { kind: 'branches' }>;

function runPart([key, part]: NamedLayer, x: Tensor, name: string, taps: Taps): Tensor {
  return namingLayer(key, () => runTapped(part, x, joined(name, key), taps, key === ''));
}

function runSequence(layers: Sequence, x: Tensor, name: string, taps: Taps): Tensor {
  let value = x;
  for (const layer of layers) {
    const next = runPart(layer, value, name, taps);
    if (value !== x && next !== value) taps.release(value);
    value = next;
  }
  return value;
}

function runBranches({ branches, join, activation }: Branches, x: Tensor, name: string, taps: Taps): Tensor {
  const outputs = branches.map(([key, part]) => (part ? runPart([key, part], x, name, taps) : x));
  const sum = join === 'concat' ? concat(outputs, 1) : outputs.reduce((a, b) => add(a, b));
  for (const output of outputs) if (output !== x) taps.release(output);
  if (!activation) return sum;
  const y = runPart(activation, sum, name, taps);
  if (y !== sum) taps.release(sum);
  return y;
}

/** Position in a network for a summary: the shape of the value, null if it is unknown, and its receptive field. */
interface At {
  shape: Shape | null;
  field: ReceptiveField;
}

/** Calls `visit` with the summary of each layer, containers included after their parts. Returns the position behind the module. */
function walk(name: string, module: Module, at: At, visit: (row: LayerSummary, listed: boolean) => void, isAnonymous = false): At {
  const structure = module.structure();
  const { shape } = at;
  const after = { shape: shape && module.outputShape(shape), field: growField(at.field, module.receptiveWindow()) };
  const row = (parameters: number, multiplyAdds: number | null): LayerSummary => ({
    name,
    kind: module.kind,
    outputShape: after.shape,
    parameters,
    multiplyAdds,
    activationBytes: after.shape && 4 * after.shape.reduce((product, extent) => product * extent, 1),
    receptiveField: after.field,
  });
  if (!structure) {
    visit(row(countParameters(module), shape && module.multiplyAdds(shape)), true);
    return after;
  }
  let inside = at;
  for (const [full, part] of partsOf(name, structure)) {
    const next = namingLayer(full, () => walk(full, part, structure.kind === 'sequence' ? inside : at, visit, full === name));
    inside = next;
  }
  if (isAnonymous) return after;
  const own = structure.kind === 'branches' && structure.activation ? countParameters(structure.activation[1]) : 0;
  visit(row(own, shape && 0), structure.kind === 'branches');
  return structure.kind === 'sequence' ? inside : after;
}

/** The summary of the layers in a row, those inside of containers included. */
export function summarizeInner(row: readonly NamedLayer[], input: Shape | null, start: ReceptiveField): LayerSummary[] {
  const rows: LayerSummary[] = [];
  let at: At = { shape: input, field: start };
  for (const [name, module] of row) at = namingLayer(name, () => walk(name, module, at, (summary, listed) => listed && rows.push(summary)));
  return rows;
}

/** The receptive field of a layer inside a container, for the receptive field of the container's input. */
export function fieldInside(name: string, module: Module, start: ReceptiveField, wanted: string): ReceptiveField {
  let found: ReceptiveField = 'unknown';
  walk(name, module, { shape: null, field: start }, (row) => {
    if (row.name === wanted) found = row.receptiveField;
  });
  return found;
}
