"""Evaluates networks for run.ts. Each file PRESET.safetensors contains the weights, the tensor `input`, and the architecture in its
metadata; the output of the network is written to PRESET.output.

    python3 outputs.py FOLDER
"""
import json
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from checkpoint import decode_safetensors, encode_safetensors
from zfnet import ZfNet

for path in sorted(pathlib.Path(sys.argv[1]).glob('*.safetensors')):
    tensors, metadata = decode_safetensors(path.read_bytes(), path.name)
    image = torch.from_numpy(tensors.pop('input'))
    model = ZfNet(json.loads(metadata['architecture'])).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
    with torch.no_grad():
        output = model(image).numpy()
    path.with_suffix('.output').write_bytes(encode_safetensors({'output': output}, {}))
