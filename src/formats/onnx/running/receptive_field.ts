/** What of the image one activation of a graph sees: along each branch as along a row of layers, and the union where branches meet. */
import { type FieldAxis, growField, PIXEL_FIELD, type ReceptiveField } from '../../../nn/index.js';
import type { Graph } from '../graph/graph.js';
import type { Node } from '../graph/nodes.js';

/** By name of the value. Values that do not depend on the model's inputs but through their shapes are not in it. */
export function receptiveFields(graph: Graph): Map<string, ReceptiveField> {
  const fields = new Map<string, ReceptiveField>(graph.inputs.map(({ name }) => [name, PIXEL_FIELD]));
  for (const node of graph.nodes) {
    if (node.type === 'Shape' || node.type === 'Size') continue;
    const arriving = node.inputs.filter((name) => fields.has(name)).map((name) => fields.get(name) as ReceptiveField);
    if (arriving.length === 0) continue;
    const field = growField(arriving.reduce(union), reachOf(node, graph));
    for (const output of node.outputs) if (output !== '') fields.set(output, field);
  }
  return fields;
}

function reachOf({ operator, attributes, inputs }: Node, graph: Graph) {
  const { reach = 'global' } = operator;
  return typeof reach === 'function' ? reach(attributes, graph.constants.get(inputs[1] ?? '')?.shape) : reach;
}

/** Branches that step differently through the image have no common grid: what they make together sees everything. */
function union(a: ReceptiveField, b: ReceptiveField): ReceptiveField {
  if (a === null || b === null || a.some((axis, i) => axis.jump !== b[i].jump)) return null;
  const axis = (i: 0 | 1): FieldAxis => {
    const start = Math.min(a[i].start, b[i].start);
    return { start, jump: a[i].jump, size: Math.max(a[i].start + a[i].size, b[i].start + b[i].size) - start };
  };
  return [axis(0), axis(1)];
}
