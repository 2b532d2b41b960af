"""Writes torchvision's networks with random weights: state dictionaries as safetensors, whole networks as ONNX, and what
PyTorch computes with them for a random image. Needs torch and torchvision (Debian: python3-torch python3-torchvision).

    python3 conformance/pytorch.py DIR [NAME...]
"""
import json
import pathlib
import struct
import sys

import torch
import torchvision

STATES = ['alexnet', 'vgg11', 'resnet18', 'resnet50']
GRAPHS = ['alexnet', 'vgg11', 'resnet18', 'squeezenet1_1', 'googlenet', 'inception_v3', 'densenet121', 'mobilenet_v2']
TYPES = {torch.float32: 'F32', torch.int64: 'I64'}


def save(tensors, path):
    """The safetensors format: length of the header, header in JSON, numbers."""
    header, parts, at = {}, [], 0
    for name, tensor in tensors.items():
        data = tensor.contiguous().numpy().tobytes()
        header[name] = {'dtype': TYPES[tensor.dtype], 'shape': list(tensor.shape), 'data_offsets': [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack('<Q', len(text)) + text + b''.join(parts))


def build(name):
    torch.manual_seed(0)
    options = {'aux_logits': False, 'init_weights': True} if name in ('googlenet', 'inception_v3') else {}
    model = getattr(torchvision.models, name)(weights=None, **options)
    for key, buffer in model.named_buffers():
        # Statistics of a trained network are not 0 and 1.
        if key.endswith('running_mean'):
            buffer.normal_(0, 0.1)
        if key.endswith('running_var'):
            buffer.uniform_(0.5, 1.5)
    return model.eval()


def main():
    folder = pathlib.Path(sys.argv[1])
    wanted = sys.argv[2:] or sorted(set(STATES + GRAPHS))
    folder.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        model = build(name)
        size = 299 if name == 'inception_v3' else 224
        image = torch.randn(1, 3, size, size)
        with torch.no_grad():
            output = model(image)
        save({'input': image, 'output': output}, folder / f'{name}.expected.safetensors')
        if name in STATES:
            save(model.state_dict(), folder / f'{name}.state.safetensors')
        if name in GRAPHS:
            torch.onnx.export(model, image, str(folder / f'{name}.onnx'), input_names=['input'], output_names=['output'], opset_version=13)
        print(name, flush=True)


main()
