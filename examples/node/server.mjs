// An HTTP server in Node that answers with a network's scores. `node examples/node/server.mjs [PORT]`; without a port it asks itself once.
import { createServer } from 'node:http';
import { Conv2d, Flatten, init, Linear, MaxPool2d, ReLU, Sequential, softmax, tensor } from 'zfnet';
import { loadSafetensors, saveSafetensors } from 'zfnet/safetensors';

const network = () => new Sequential([new Conv2d(1, 4, 3), new ReLU(), new MaxPool2d(2), new Flatten(), new Linear(4 * 3 * 3, 3)]);

await init();
// Weights come from a file, as a program that trains writes it.
const file = saveSafetensors(network().stateDict());
const model = network().eval();
model.loadStateDict(loadSafetensors(file));

/** The probability of each class for an image of 8 × 8 numbers. In evaluation mode nothing is recorded, and results free themselves. */
const predict = async (pixels) => [...(await softmax(model.forward(tensor(pixels, [1, 1, 8, 8]))).data())];

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  try {
    response.end(JSON.stringify(await predict(JSON.parse(Buffer.concat(parts).toString()))));
  } catch (error) {
    response.writeHead(400).end(JSON.stringify({ error: error.message }));
  }
});
const port = Number(process.argv[2] ?? 0);
server.listen(port, '127.0.0.1', async () => {
  const url = `http://127.0.0.1:${server.address().port}/`;
  console.log(`POST 64 numbers as JSON to ${url}`);
  if (port !== 0) return;
  const ask = async (pixels) => (await fetch(url, { method: 'POST', body: JSON.stringify(pixels) })).json();
  const scores = await ask(Array.from({ length: 64 }, (_, i) => Math.sin(i)));
  const total = scores.reduce((sum, score) => sum + score, 0);
  if (scores.length !== 3 || Math.abs(total - 1) > 1e-6) throw new Error(`the scores are ${scores}, expected three that add up to 1`);
  const { error } = await ask([1, 2, 3]);
  if (!/64|shape/i.test(error)) throw new Error(`an input of three numbers gives: ${error}`);
  console.log('scores', scores.map((score) => score.toFixed(3)).join(' '), '| three numbers are refused:', error);
  process.exit();
});
