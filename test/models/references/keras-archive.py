"""Makes keras-archive.json: .keras archives as Keras 3 writes them (keras/src/saving/saving_lib.py), by hand with h5py.

    python3 keras-archive.py > keras-archive.json        (h5py 3.7)

Layers lie in the weights' file by their class and by how many of it came before, never by their names. The expected
tensors are those of PyTorch's layouts.
"""

import base64
import io
import json
import zipfile

import h5py
import numpy as np

random = np.random.default_rng(3)


def numbers(*shape):
    return random.standard_normal(shape).astype("float32")


def layer(class_name, name, config, inbound=None):
    made = {
        "module": "keras.layers",
        "class_name": class_name,
        "config": {"name": name, **config},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [],
    }
    if inbound:
        made["inbound_nodes"] = [{
            "args": [{
                "class_name": "__keras_tensor__",
                "config": {"shape": [None], "dtype": "float32", "keras_history": [inbound, 0, 0]},
            }],
            "kwargs": {},
        }]
    return made


CONV = {"filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "data_format": "channels_last",
        "dilation_rate": [1, 1], "groups": 1, "activation": "relu", "use_bias": True}
NORM = {"axis": -1, "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True}
inner = {
    "module": "keras", "class_name": "Sequential", "name": "inner", "registered_name": "Sequential",
    "config": {"name": "inner", "layers": [
        layer("InputLayer", "in2", {"batch_shape": [None, 4, 4, 2]}),
        layer("Conv2D", "a", {**CONV, "use_bias": False}),
        layer("BatchNormalization", "b", {**NORM, "scale": False}),
    ]},
    "inbound_nodes": layer("", "", {}, "norm")["inbound_nodes"],
}
config = {
    "module": "keras", "class_name": "Functional", "registered_name": "Functional",
    "config": {
        "name": "model",
        "layers": [
            layer("InputLayer", "in", {"batch_shape": [None, 4, 4, 3]}),
            layer("Conv2D", "zebra", CONV, "in"),
            layer("Conv2D", "apple", CONV, "zebra"),
            layer("BatchNormalization", "norm", NORM, "apple"),
            inner,
            layer("SeparableConv2D", "sep", {**CONV, "depth_multiplier": 1}, "inner"),
            layer("GlobalAveragePooling2D", "gap", {"data_format": "channels_last"}, "sep"),
            layer("Dense", "scores", {"units": 3, "activation": "softmax", "use_bias": True}, "gap"),
        ],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["scores", 0, 0]],
    },
}
kernel = (3, 2, 0, 1)
weights = {
    "conv2d": [("zebra.weight", numbers(3, 3, 3, 2), kernel), ("zebra.bias", numbers(2), None)],
    "conv2d_1": [("apple.weight", numbers(3, 3, 2, 2), kernel), ("apple.bias", numbers(2), None)],
    "batch_normalization": [(f"norm.{name}", np.abs(numbers(2)), None)
                            for name in ("weight", "bias", "running_mean", "running_var")],
    "sequential/LAYERS/conv2d": [("inner/a.weight", numbers(3, 3, 2, 2), kernel)],
    "sequential/LAYERS/batch_normalization": [(f"inner/b.{name}", np.abs(numbers(2)), None)
                                              for name in ("bias", "running_mean", "running_var")],
    "separable_conv2d": [("sep/depthwise.weight", numbers(3, 3, 2, 1), (2, 3, 0, 1)),
                         ("sep.weight", numbers(1, 1, 2, 2), kernel), ("sep.bias", numbers(2), None)],
    "dense": [("scores.weight", numbers(2, 3), (1, 0)), ("scores.bias", numbers(3), None)],
}


def archive(container, version, compression):
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.create_group("vars")
        h5.create_group("optimizer/vars").create_dataset("0", data=np.int64(7))
        h5.create_dataset(f"{container}/dropout/seed_generator/vars/0", data=np.array([1, 2], dtype="uint32"))
        for path, variables in weights.items():
            group = h5.create_group(f"{container}/{path.replace('LAYERS', container)}/vars")
            for i, (_, value, _) in enumerate(variables):
                group.create_dataset(str(i), data=value)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as z:
        z.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": "2024-01-01@00:00:00"}))
        z.writestr("config.json", json.dumps(config))
        z.writestr("model.weights.h5", file.getvalue())
    return base64.b64encode(out.getvalue()).decode()


expected = {}
for variables in weights.values():
    for key, value, order in variables:
        out = value if order is None else value.transpose(order)
        expected[key] = {"shape": list(out.shape), "data": out.flatten().tolist()}
print(json.dumps({
    "files": {
        "Keras 3": archive("layers", "3.5.0", zipfile.ZIP_STORED),
        "Keras 3, deflated": archive("layers", "3.0.0", zipfile.ZIP_DEFLATED),
        "Keras 2.13": archive("_layer_checkpoint_dependencies", "2.13.1", zipfile.ZIP_DEFLATED),
    },
    "tensors": expected,
}, indent=0))
