"""Makes pytorch.json: small files of torch.save, and what they hold.

    python3 pytorch.py > pytorch.json        (PyTorch 1.13)
"""

import argparse
import base64
import io
import json
import os
import pickle
from collections import OrderedDict

import torch

torch.manual_seed(0)


def saved(value, legacy=False):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not legacy)
    return base64.b64encode(file.getvalue()).decode()


def case(title, value, tensors, **options):
    held = {key: {"shape": list(t.shape), "data": t.double().flatten().tolist()} for key, t in tensors.items()}
    return {"title": title, "file": saved(value, **options), "tensors": held}


class Payload:
    def __reduce__(self):
        return (os.system, ("touch /tmp/limelight-was-here",))


net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Linear(2, 2))
plain = net.state_dict()
optimiser = torch.optim.Adam(net.parameters())
net(torch.zeros(1, 3, 4, 4)).sum().backward()
optimiser.step()
plain = OrderedDict((key, value.clone()) for key, value in net.state_dict().items())
base = torch.arange(24.0).reshape(2, 3, 4)
views = {
    "transposed": base.transpose(0, 2),
    "part": base[1, 1:, ::2],
    "shared": base,
    "channels_last": torch.arange(48.0).reshape(2, 2, 3, 4).contiguous(memory_format=torch.channels_last),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
}
dtypes = {
    str(dtype): torch.tensor([0, 1, 2, 100]).to(dtype)
    for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8,
                  torch.uint8, torch.bool)
}
checkpoint = {
    "epoch": 3,
    "best": 0.5,
    "args": argparse.Namespace(lr=0.1, name="run"),
    "optimizer": optimiser.state_dict(),
    "state_dict": OrderedDict((f"module.{key}", value) for key, value in plain.items()),
}
prefixed = {f"module.{key}": value for key, value in plain.items()}
parameters = {"weight": torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))}
print(json.dumps({
    "cases": [
        case("a state dict", plain, plain),
        case("a state dict of before 1.6", plain, plain, legacy=True),
        case("views", views, views),
        case("views of before 1.6", views, views, legacy=True),
        case("every dtype", dtypes, dtypes),
        case("every dtype of before 1.6", dtypes, dtypes, legacy=True),
        case("a checkpoint", checkpoint, prefixed),
        case("a checkpoint of before 1.6", checkpoint, prefixed, legacy=True),
        case("a model key", {"model": dict(plain), "step": 1}, plain),
        case("parameters", parameters, parameters),
    ],
    "refused": [
        {"title": "a whole model", "file": saved(net), "names": "torch.nn.modules.container.Sequential"},
        {"title": "a whole model of before 1.6", "file": saved(net, legacy=True),
         "names": "torch.nn.modules.container.Sequential"},
        {"title": "code", "file": saved({"weight": base, "x": Payload()}), "names": "posix.system"},
        {"title": "code of before 1.6", "file": saved({"weight": base, "x": Payload()}, legacy=True),
         "names": "posix.system"},
        {"title": "no tensors", "file": saved({"epoch": 3}), "names": "no state dict"},
        {"title": "a quantised tensor",
         "file": saved({"weight": torch.quantize_per_tensor(base, 0.1, 0, torch.qint8)}),
         "names": "torch._utils._rebuild_qtensor"},
        {"title": "a pickle of Python's",
         "file": base64.b64encode(pickle.dumps({"weight": [1, 2]}, protocol=2)).decode(),
         "names": "neither a zip archive nor a file of torch.save"},
    ],
}, indent=0))
