"""Writes a state dict as PyTorch has it as a safetensors file: float32, in the dict's order."""
import json
import struct


def write_safetensors(path, state):
    header, blob = {}, b""
    for name, value in state.items():
        raw = value.detach().numpy().astype("<f4").tobytes()
        offsets = [len(blob), len(blob) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": offsets}
        blob += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)
