// Looks into an ONNX model: projects the strongest map of each convolution to pixels, and measures by occlusion what the answer depends on.
// Run it with `node examples/deconvnet-of-onnx/main.mjs [MODEL.onnx IMAGE]`; without arguments it exports a small network and uses a scene.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { convolutions, deconvnet, init, occlude, strongestMaps, tensor, zfnet } from 'zfnet';
import { openDataset, readImage } from 'zfnet/data';
import { loadOnnx, OnnxClassifier, toOnnx } from 'zfnet/onnx';
import { encodePng, enlarge, signedPicture } from 'zfnet/pictures';

const SIDE = 64;
const [file, picture] = process.argv.slice(2);

await init();
const bytes = file ? await readFile(file) : await toOnnx(zfnet('small', { classes: 10, inputSize: SIDE, seed: 1 }), { inputSize: SIDE });
const model = await loadOnnx(bytes);
const classifier = new OnnxClassifier(model);

const side = typeof model.inputs[0].shape?.[2] === 'number' ? model.inputs[0].shape[2] : SIDE;
const sizes = { train: 24, val: 24, 'unseen-style': 24 };
const { data } = picture
  ? await readImage(picture, { size: side })
  : (await (await openDataset('scenes', { imageSize: side, sizes })).splits.val.get(0)).image;
// Bytes [H, W, 3] to an input [1, 3, H, W] about −1 … 1. A model of your own may expect another scale.
const planes = Float32Array.from(
  { length: data.length },
  (_, i) => data[3 * (i % (side * side)) + Math.floor(i / (side * side))] / 127.5 - 1,
);
const image = tensor(planes, [1, 3, side, side]);

await mkdir('runs/onnx', { recursive: true });
for (const layer of convolutions(classifier)) {
  const [map] = await strongestMaps(classifier, image, layer, 1);
  const projection = await deconvnet(classifier).project(image, { layer, map });
  const path = `runs/onnx/${layer.replaceAll(/\W/g, '-')}-map-${map}.png`;
  await writeFile(path, encodePng(enlarge(signedPicture(await projection.data(), projection.shape), 4)));
  console.log(`${layer}: map ${map} responds most; its projection is ${path}`);
}

const layer = convolutions(classifier).at(-1);
const { clean, probability, places } = await occlude(classifier, image, { layer, square: side / 4, stride: side / 8 });
const lowest = probability.indexOf(Math.min(...probability));
console.log(`the model says class ${clean.label} (probability ${clean.probability.toFixed(3)})`);
console.log(`a square at [${places[lowest]}] lowers it most, to ${probability[lowest].toFixed(3)}`);
