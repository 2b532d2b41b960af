/** Computes the receptive fields of the values of a graph. Where branches join, the receptive field is their union. */
import { type FieldAxis, growField, PIXEL_FIELD, type ReceptiveField } from '../../../nn/index.js';
import type { Graph } from './graph.js';
import type { Node } from './nodes.js';

/** Returns the receptive fields by the name of the value. Values that depend at most on the shapes of the inputs are omitted. */
export function receptiveFields(graph: Graph): Map<string, ReceptiveField> {
  const fields = new Map<string, ReceptiveField>(graph.inputs.map(({ name }) => [name, PIXEL_FIELD]));
  for (const node of graph.nodes) {
    if (node.type === 'Shape' || node.type === 'Size') continue;
    const arriving = node.inputs.filter((name) => fields.has(name)).map((name) => fields.get(name) as ReceptiveField);
    if (arriving.length === 0) continue;
    const field = growField(arriving.reduce(union), windowOf(node, graph));
    for (const output of node.outputs) if (output !== '') fields.set(output, field);
  }
  return fields;
}

function windowOf({ operator, attributes, inputs }: Node, graph: Graph) {
  const { receptiveWindow: window = 'global' } = operator;
  return typeof window === 'function' ? window(attributes, graph.constants.get(inputs[1] ?? '')?.shape) : window;
}

/** Returns the union of two receptive fields; null (the whole image) if their strides differ, because they have no common grid. */
function union(a: ReceptiveField, b: ReceptiveField): ReceptiveField {
  if (a === null || b === null) return null;
  if (a === 'unknown' || b === 'unknown') return 'unknown';
  if (a.some((axis, i) => axis.jump !== b[i].jump)) return null;
  const axis = (i: 0 | 1): FieldAxis => {
    const start = Math.min(a[i].start, b[i].start);
    return { start, jump: a[i].jump, size: Math.max(a[i].start + a[i].size, b[i].start + b[i].size) - start };
  };
  return [axis(0), axis(1)];
}
