"""Makes hostile-h5.json: Keras .h5 files that do harm, or that use rare parts of HDF5.

    python3 hostile-h5.py > hostile-h5.json        (h5py 3.16.0, HDF5 2.0.0; "In chunks": 3.7.0, 1.10.8)

Each holds the network GlobalAveragePooling2D, Dense with three inputs and two classes, whose kernel is 0, 1, ... 5;
what is odd about a file is its kernel, unless its name says otherwise. The files are compressed by zlib, in base64.
"""

import base64
import json
import tempfile
import zlib
from pathlib import Path

import h5py
import numpy as np

CONFIG = {
    "class_name": "Functional",
    "config": {
        "name": "model",
        "layers": [
            {
                "class_name": "InputLayer",
                "name": "in",
                "config": {"name": "in", "batch_input_shape": [None, 2, 2, 3]},
                "inbound_nodes": [],
            },
            {
                "class_name": "GlobalAveragePooling2D",
                "name": "gap",
                "config": {"name": "gap"},
                "inbound_nodes": [[["in", 0, 0, {}]]],
            },
            {
                "class_name": "Dense",
                "name": "dense",
                "config": {"name": "dense", "units": 2},
                "inbound_nodes": [[["gap", 0, 0, {}]]],
            },
        ],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["dense", 0, 0]],
    },
}
KERNEL = np.arange(6, dtype="<f4").reshape(3, 2)
NAME = "dense/kernel:0"
PATH = Path(tempfile.mkdtemp()) / "network.h5"

files = {}


def file(name, kernel=lambda g: g.create_dataset(NAME, data=KERNEL), after=None, patch=None, **how):
    """Makes one file: `kernel` writes the kernel into the layer's group, `after` may change the file, `patch` its bytes."""
    with h5py.File(PATH, "w", **how) as f:
        f.attrs["model_config"] = json.dumps(CONFIG).encode()
        f.attrs["keras_version"] = b"2.4.0"
        root = f.create_group("model_weights")
        root.attrs["layer_names"] = np.array([b"dense"])
        g = root.create_group("dense")
        g.attrs["weight_names"] = np.array([b"dense/kernel:0", b"dense/bias:0"])
        g.create_dataset("dense/bias:0", data=np.zeros(2, "<f4"))
        kernel(g)
        if after:
            after(f, root, g)
    data = PATH.read_bytes()
    if patch:
        data = patch(data)
    files[name] = base64.b64encode(zlib.compress(data, 9)).decode()


def dataset(**how):
    return lambda g: g.create_dataset(NAME, **how)


def link(what):
    def make(g):
        g[NAME] = what

    return make


def stored_in(name):
    """The kernel's numbers are said to lie in another file."""

    def make(g):
        space = h5py.h5s.create_simple((3, 2))
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_external(name.encode(), 0, 24)
        h5py.h5d.create(g["dense"].id, b"kernel:0", h5py.h5t.IEEE_F32LE, space, how)

    return make


def virtual(name):
    def make(g):
        g.file["source"] = KERNEL
        layout = h5py.VirtualLayout((3, 2), "<f4")
        layout[:] = h5py.VirtualSource(name, "source", (3, 2))
        g.create_virtual_dataset(NAME, layout)

    return make


def packed(chunk, chunks, **how):
    """One chunk whose bytes are given as they shall lie in the file."""

    def make(g):
        made = g.create_dataset(NAME, (3, 2), "<f4", chunks=chunks, maxshape=(None, None), **how)
        made.id.write_direct_chunk((0, 0), chunk)

    return make


def compact(g):
    """The kernel's numbers lie in its header."""
    space = h5py.h5s.create_simple((3, 2))
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_layout(h5py.h5d.COMPACT)
    made = h5py.h5d.create(g["dense"].id, b"kernel:0", h5py.h5t.IEEE_F32LE, space, how)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, KERNEL)


def instead(old, new):
    """Exchanges the one place where these bytes lie."""

    def patch(data):
        assert data.count(old) == 1 and len(old) == len(new)
        return data.replace(old, new)

    return patch


def elsewhere(parent, name, other="other.h5"):
    del parent[name]
    parent[name] = h5py.ExternalLink(other, "/")


# As they should be, in ways that Keras does not go.
GZIP = dict(chunks=(2, 1), compression="gzip", shuffle=True, fletcher32=True)
file("plain")
file("newest", libver="latest")
file("gzip", dataset(data=KERNEL, **GZIP))
file("chunks", dataset(data=KERNEL, chunks=(2, 1)))
file("a compact one", compact)
file("a compact one cut short", compact, patch=instead(b"\3\0\x18\0" + KERNEL.tobytes(), b"\3\0\x08\0" + KERNEL.tobytes()))
file("doubles", dataset(data=KERNEL.astype("<f8")))
file("many attributes", after=lambda f, r, g: [g.attrs.create(f"a{i}", i) for i in range(40)], libver="latest")
file("texts of any length", after=lambda f, r, g: g.attrs.create("weight_names", [NAME, "dense/bias:0"], dtype=h5py.string_dtype()))
file("a soft link", link(h5py.SoftLink("/source")), lambda f, r, g: f.create_dataset("source", data=KERNEL))

# Other files.
for what, name in [("another file", "other.h5"), ("a password", "/etc/passwd"), ("a device", "/dev/urandom")]:
    file(f"a link to {what}", link(h5py.ExternalLink(name, "/x")))
    file(f"numbers in {what}", stored_in(name))
file("numbers in a parent", stored_in("../../../etc/passwd"))
file("a view of another file", virtual("other.h5"))
file("a view of itself", virtual("."))
file("a layer in another file", after=lambda f, r, g: elsewhere(r, "dense"))
file("weights in another file", after=lambda f, r, g: elsewhere(f, "model_weights"))

# What is no weight.
for what, data in {
    "integers": KERNEL.astype("<i4"),
    "halves": KERNEL.astype("<f2"),
    "big-endian": KERNEL.astype(">f4"),
    "booleans": KERNEL > 2,
    "texts": np.array([[b"a", b"b"]] * 3),
    "pairs": np.zeros((3, 2), [("a", "<f4"), ("b", "<f4")]),
}.items():
    file(what, dataset(data=data))
file("nothing", dataset(data=h5py.Empty("<f4")))
file("one number", dataset(data=np.float32(1)))
file("references", dataset(shape=(3, 2), dtype=h5py.ref_dtype))
file("regions", dataset(shape=(3, 2), dtype=h5py.regionref_dtype))
file("rows of any length", dataset(shape=(3, 2), dtype=h5py.vlen_dtype("<f4")))
file("rows of three", dataset(shape=(3, 2), dtype=np.dtype(("<f4", (3,)))))
file("a group", lambda g: g.create_group(NAME))
file("a type", lambda g: g.__setitem__(NAME, np.dtype("<f4")))

# Damage that leaves everything but the numbers whole.
file("an unknown filter", packed(b"whatever", (3, 2), compression="lzf"))
file("a wrong checksum", dataset(data=KERNEL, chunks=(3, 2), fletcher32=True), patch=instead(KERNEL.tobytes(), KERNEL[::-1].tobytes()))
file("a damaged chunk", packed(zlib.compress(KERNEL.tobytes())[:-2] + b"xx", (3, 2), compression="gzip"))
file("half a chunk", packed(zlib.compress(KERNEL.tobytes())[:9], (3, 2), compression="gzip"))
file("a chunk too short", packed(zlib.compress(KERNEL.tobytes()[:8]), (3, 2), compression="gzip"))

# In chunks.
file("chunks over the edge", dataset(data=KERNEL, chunks=(2, 3), maxshape=(None, None), compression="gzip", shuffle=True))
file("doubles in chunks", dataset(data=KERNEL.astype("<f8"), **GZIP))
file("big-endian in chunks", dataset(data=KERNEL.astype(">f4"), **GZIP))
file("integers in chunks", dataset(data=KERNEL.astype("<i4"), **GZIP))
file("newest in chunks", dataset(data=KERNEL, **GZIP), libver="latest")
file("a scale and an offset", dataset(data=KERNEL, chunks=(3, 2), scaleoffset=2))


def checksum_first(g):
    """The checksum is of the numbers, and is compressed with them; elsewhere it is of what gzip gives."""
    space = h5py.h5s.create_simple((3, 2))
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_chunk((3, 1))
    how.set_fletcher32()
    how.set_deflate(9)
    made = h5py.h5d.create(g["dense"].id, b"kernel:0", h5py.h5t.IEEE_F32LE, space, how)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, KERNEL)


def one_chunk_of_two(g):
    g.create_dataset(NAME, (3, 2), "<f4", chunks=(3, 1))[:, 0] = 1


def unfiltered(g):
    """A chunk that is said to have gone round gzip, and round the checksum."""
    made = g.create_dataset(NAME, (3, 2), "<f4", chunks=(3, 2), compression="gzip", fletcher32=True)
    made.id.write_direct_chunk((0, 0), KERNEL.tobytes(), filter_mask=3)


file("a checksum first", checksum_first)
file("one chunk of two", one_chunk_of_two)
file("a chunk without its filters", unfiltered)

# Sizes.
file("a bomb", packed(zlib.compress(bytes(2**28), 9), (2**13, 2**13), compression="gzip"))
file("a bomb of 4 GB", packed(b"x", (2**15, 2**15 - 1), compression="gzip"))
file("more than can be counted", dataset(shape=(2**40, 2**40), chunks=(1, 1), dtype="<f4"))
file("more than the file holds", dataset(shape=(2**20, 2**10), dtype="<f4"))
file("more than the file holds by far", dataset(shape=(2**40, 2**20), dtype="<f4"))
file("thousands of empty chunks", dataset(shape=(2**10, 2), chunks=(1, 1), dtype="<f4"))


def one_text(data):
    """Every reference to a text (its length, heap and index) becomes one to the first."""
    length = (2**12).to_bytes(4, "little")
    starts = [i for i in range(len(data) - 64000) if data[i : i + 4] == length and data[i + 16 : i + 20] == b"\1\0\0\0"]
    assert len(starts) == 1
    start = starts[0]
    return data[:start] + data[start : start + 16] * 4000 + data[start + 64000 :]


def many_texts(f, r, g):
    r.attrs.create("layer_names", ["x" * 2**12] + ["y"] * 3999, dtype=h5py.string_dtype())


file("one text four thousand times", after=many_texts, patch=one_text)


def many_layers(f, r, g):
    """Three hundred layers that are the same layer, of three hundred weights without numbers."""
    g.create_dataset("none", (0,), "<f4")
    for i in range(300):
        g[f"{i}"] = h5py.SoftLink("none")
    for i in range(300):
        r[f"{i}"] = g
    g.attrs["weight_names"] = np.array([f"{i}".encode() for i in range(300)])
    r.attrs["layer_names"] = np.array([f"{i}".encode() for i in range(300)])


file("ninety thousand weights of nothing", after=many_layers)

# Circles and depths.
def deep(f, r, g):
    g["again"] = g
    g.attrs["weight_names"] = np.array([b"again/" * 5000 + NAME.encode(), b"dense/bias:0"])


file("a circle of groups", after=deep)
file("a circle of links", link(h5py.SoftLink(f"/model_weights/dense/{NAME}")))
file("a link to nowhere", link(h5py.SoftLink("/nowhere")))
file("groups in groups", after=lambda f, r, g: f.create_group("a/" * 100))


def prototypes(f, r, g):
    for name in ["__proto__", "constructor", "toString"]:
        g.attrs[name] = "polluted"
        r.attrs[name] = "polluted"
        r.create_group(name).attrs["weight_names"] = np.zeros(0)
    r.attrs["layer_names"] = np.array([b"__proto__", b"constructor", b"toString", b"dense"])


file("names of prototypes", after=prototypes)
print(json.dumps(files, indent=2))
