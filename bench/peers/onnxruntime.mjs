/** Shared by the two builds of onnxruntime: they run the ONNX model that our engine exported, and cannot train. */
import { readFileSync } from 'node:fs';
import { images, NETWORKS } from './networks.mjs';
import { reading, task } from './reading.mjs';

export async function readingOf(peer, runtime, options) {
  const network = NETWORKS[task.network];
  await reading(peer, runtime.env.versions.common, async () => {
    if (task.training) throw new Error('onnxruntime does not train');
    if (task.model === undefined) throw new Error('--model is missing');
    const session = await runtime.InferenceSession.create(readFileSync(task.model), options);
    const x = new runtime.Tensor('float32', images(network, task.batch), [task.batch, ...network.input]);
    let logits;
    return {
      async step() {
        const outputs = await session.run({ [session.inputNames[0]]: x });
        logits = outputs[session.outputNames[0]].data;
      },
      logits: () => logits.slice(0, network.classes),
    };
  });
}
