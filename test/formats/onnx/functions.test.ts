/** Local functions of a model. */
import { describe, expect, it } from 'vitest';
import { decodeModel, encodeModel, type FunctionProto, type NodeProto, type Written } from '../../../src/formats/onnx/decoding/schema.js';
import { loadOnnx } from '../../../src/formats/onnx/index.js';
import { tensor } from '../../../src/tensor/index.js';
import { reference } from '../../support/backends.js';
import { branch, floats, node, onnx } from './build.js';

const call = (name: string, inputs: string, outputs: string, attributes = {}, label = ''): Written<NodeProto> => ({
  ...node(name, inputs, outputs, attributes, label),
  domain: 'own',
});

const func = (name: string, input: string, output: string, nodes: Written<NodeProto>[], more: Written<FunctionProto> = {}) => ({
  name,
  domain: 'own',
  input: input.split(' '),
  output: output.split(' '),
  node: nodes,
  opsetImport: [
    { domain: '', version: 13 },
    { domain: 'own', version: 1 },
  ],
  ...more,
});

/** Adds functions to a model with the nodes. */
function model(nodes: Written<NodeProto>[], functions: Written<FunctionProto>[], initializers = [floats('w', [1], [10])]): Uint8Array {
  const proto = decodeModel(onnx({ nodes, initializers, opset: 21 }));
  return encodeModel({ ...proto, opsetImport: [...proto.opsetImport, { domain: 'own', version: 1 }], functions } as never);
}

const alpha = (name: string) => ({ name, type: 1, refAttrName: 'slope' });

/** LeakyRelu with the attribute `slope`, whose default is 0.5. */
const leaky = func('Leaky', 'a', 'b', [{ ...node('LeakyRelu', 'a', 'b'), attribute: [alpha('alpha')] }], {
  attributeProto: [{ name: 'slope', type: 1, f: 0.5 }],
});
/** y = leaky(leaky(x) + w), with an inner value named as a value of the graph. */
const block = func('Block', 'x w', 'out', [
  { ...call('Leaky', 'x', 't'), attribute: [alpha('slope')] },
  node('Add', 't w', 's', {}, 'sum'),
  call('Leaky', 's', 'out'),
]);

const run = async (bytes: Uint8Array, x: readonly number[]) => {
  const net = await loadOnnx(bytes, { backend: reference });
  const { y } = await net.run({ x: tensor(x, [x.length], { backend: reference }) });
  return { net, values: [...(await y.data())] };
};

describe('local functions', () => {
  it('are inserted with their attributes: given, default and passed on', async () => {
    const bytes = model(
      [call('Block', 'x w', 't', { slope: { float: 0.25 } }, 'first'), call('Block', 't w', 'y', {}, 'second')],
      [leaky, block],
    );
    const { net, values } = await run(bytes, [-64, 4]);
    // first: leaky(−64, 0.25) = −16; −16 + 10 = −6; leaky(−6, 0.5) = −3. second: leaky(−3, 0.5) = −1.5; 8.5.
    expect(values).toEqual([8.5, 24]);
    // A node without a unique name of its own is named after its output.
    expect(net.layerNames()).toEqual(['first/t', 'first/sum', 't', 'second/t', 'second/sum', 'y']);
  });

  it('use the operator set of the function, not that of the model', async () => {
    // Softmax of opset 11 runs over everything from axis 1 on; that of the model over axis 1 only.
    const old = func('Old', 'a', 'b', [node('Softmax', 'a', 'b', { axis: 0 })], { opsetImport: [{ domain: '', version: 11 }] });
    const { values } = await run(model([call('Old', 'x', 'y')], [old]), [0, 0, 0, 0]);
    expect(values).toEqual([0.25, 0.25, 0.25, 0.25]);
    // Gelu exists from operator set 20 on.
    const early = func('Early', 'a', 'b', [node('Gelu', 'a', 'b')]);
    await expect(loadOnnx(model([call('Early', 'x', 'y')], [early]), { backend: reference })).rejects.toThrow(/from operator set 20 on/);
  });

  it('may pass an input on, leave an output out, and contain an If whose branch uses their values', async () => {
    const both = func('Both', 'a b', 'a c d', [
      node('Neg', 'a', 'n'),
      node('Constant', '', 'yes', { value_int: 1 }),
      node('If', 'yes', 'c', {
        then_branch: branch([node('Add', 'n b', 'inner')], 'inner'),
        else_branch: branch([node('Identity', 'b', 'e')], 'e'),
      }),
      node('Neg', 'b', 'd'),
    ]);
    const bytes = model([call('Both', 'x w', 'same c'), node('Add', 'same c', 'y')], [both]);
    const { values } = await run(bytes, [1, 2]);
    // same = x; c = −x + 10; y = 10.
    expect(values).toEqual([10, 10]);
  });

  it('are refused if they call themselves, or grow without bounds', async () => {
    const endless = func('Endless', 'a', 'b', [call('Endless', 'a', 'b')]);
    await expect(loadOnnx(model([call('Endless', 'x', 'y')], [endless]), { backend: reference })).rejects.toThrow(/Endless calls itself/);
    const doubling = Array.from({ length: 30 }, (_, i) =>
      func(`F${i}`, 'a', 'c', i === 0 ? [node('Neg', 'a', 'c')] : [call(`F${i - 1}`, 'a', 'b'), call(`F${i - 1}`, 'b', 'c')]),
    );
    await expect(loadOnnx(model([call('F29', 'x', 'y')], doubling), { backend: reference })).rejects.toThrow(/more than 50000 nodes/);
    await expect(loadOnnx(model([call('Leaky', 'x w', 'y')], [leaky]), { backend: reference })).rejects.toThrow(/has 2 inputs/);
  });
});
