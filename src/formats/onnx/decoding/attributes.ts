/** Typed access to the attributes of a node, with defaults. */
import { OnnxError, UnsupportedError } from '../errors.js';
import type { HostValue } from './host_value.js';
import type { AttributeProto, GraphProto, NodeProto } from './schema.js';
import { type ExternalFiles, readTensor } from './tensor_proto.js';

/** Returns the description of a node for messages: `node "conv1" (Conv)`. */
export const describe = (node: Pick<NodeProto, 'name' | 'opType' | 'output'>): string =>
  `node ${JSON.stringify(node.name || node.output.find((name) => name !== '') || '')} (${node.opType ?? 'no operator'})`;

/** The attributes of a node. Each reader returns the given default if the attribute is absent. */
export class Attributes {
  private readonly byName: Map<string, AttributeProto>;

  constructor(
    private readonly node: NodeProto,
    private readonly files: ExternalFiles,
  ) {
    this.byName = new Map(node.attribute.map((attribute) => [attribute.name ?? '', attribute]));
  }

  /** Copies attribute values that are views of the file, so that the memory of the file can be released. */
  detach(): void {
    for (const attribute of this.byName.values()) {
      const { s, t } = attribute;
      if (s) attribute.s = new Uint8Array(s);
      attribute.floats = new Uint8Array(attribute.floats);
      if (!t) continue;
      if (t.rawData) t.rawData = new Uint8Array(t.rawData);
      t.floatData = new Uint8Array(t.floatData);
      t.doubleData = new Uint8Array(t.doubleData);
    }
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  int(name: string, fallback: number): number;
  int(name: string): number | undefined;
  int(name: string, fallback?: number): number | undefined {
    const attribute = this.byName.get(name);
    return attribute ? (attribute.i ?? 0) : fallback;
  }

  float(name: string, fallback: number): number;
  float(name: string): number | undefined;
  float(name: string, fallback?: number): number | undefined {
    const attribute = this.byName.get(name);
    return attribute ? (attribute.f ?? 0) : fallback;
  }

  string(name: string, fallback: string): string {
    const attribute = this.byName.get(name);
    return attribute ? new TextDecoder().decode(attribute.s ?? new Uint8Array(0)) : fallback;
  }

  /** Returns a string attribute that must be one of `words`. */
  word<T extends string>(name: string, words: readonly T[], fallback: T): T {
    const given = this.string(name, fallback);
    const found = words.find((word) => word === given);
    if (!found) throw this.error(`attribute ${name} is ${JSON.stringify(given)}, expected one of ${words.join(', ')}`);
    return found;
  }

  ints(name: string): number[] | undefined {
    return this.byName.get(name)?.ints;
  }

  floats(name: string): number[] | undefined {
    const bytes = this.byName.get(name)?.floats;
    if (!bytes) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => view.getFloat32(i * 4, true));
  }

  tensor(name: string): HostValue | undefined {
    const proto = this.byName.get(name)?.t;
    return proto && readTensor(proto, this.files);
  }

  graph(name: string): GraphProto | undefined {
    return this.byName.get(name)?.g;
  }

  /** Creates the error for a valid use of the operator that is not supported. */
  unsupported(message: string): UnsupportedError {
    return new UnsupportedError(`onnx: ${describe(this.node)}: ${message}`, { node: this.node.name, operator: this.node.opType });
  }

  /** Creates the error for an invalid use of the operator. */
  error(message: string): OnnxError {
    return new OnnxError(`onnx: ${describe(this.node)}: ${message}`, { node: this.node.name, operator: this.node.opType });
  }
}
