#!/usr/bin/python3
"""Makes torchvision.json: what PyTorch computes for every architecture, with seeded parameters and images.

Needs no weights, but PyTorch, torchvision (Debian: python3-torch, python3-torchvision) and timm. Made with versions
1.13.0, 0.14.1 and 1.0.29:

    pip download --no-deps timm==1.0.29 safetensors huggingface_hub, and unpack the three wheels into FOLDER
    PYTHONPATH=FOLDER /usr/bin/python3 test/models/references/make-references.py
    npx biome check --write test/models/references/torchvision.json

Parameters and images come from names and shapes alone, as seeded.ts says. Everything is computed in float64, so that
the references are exact to the digits that are stored. For every case:

    gain     what the range of weights is multiplied by, so that the image reaches the logits through gates
    input    shape of the batch of images
    logits   of both images
    class    of the first image: its largest logit
    layer    target layer, by Limelight's name
    map      Grad-CAM of that class at that layer for the first image, before its ReLU (none for tokens)

and for every network in its published size, what its keys and shapes are: their number, how many numbers they hold,
and a hash. Names that begin with "timm/" are timm's version of a network, with timm's keys; of shapes, only the number
of elements is looked at there.
"""

import json
import math
import pathlib
import warnings

import numpy as np
import timm
import torch
import torchvision
from torch import nn

warnings.filterwarnings("ignore")
CLASSES = 10
HIDDEN = 64


def fnv1a(text):
    h = 0x811C9DC5
    for byte in text.encode("ascii"):
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def seeded(name, shape, low, high):
    with np.errstate(over="ignore"):
        x = np.arange(math.prod(shape), dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(fnv1a(name))
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
    u = (x >> np.uint32(8)).astype(np.float64) / 2**24
    return torch.from_numpy((low + (high - low) * u).astype(np.float32).reshape(shape))


def seeded_parameter(key, shape, gain):
    if key.endswith("running_var"):
        return seeded(key, shape, 0.8, 1.2)
    if key.endswith("bias") or key.endswith("running_mean"):
        return seeded(key, shape, -0.1, 0.1)
    if not key.endswith("weight"):
        return seeded(key, shape, -0.5, 0.5)
    if len(shape) == 1:
        return seeded(key, shape, 0.8, 1.2)
    bound = gain * math.sqrt(6 / math.prod(shape[1:]))
    return seeded(key, shape, -bound, bound)


def seeded_images(batch, channels, height, width):
    rows, columns = math.ceil(height / 8), math.ceil(width / 8)
    coarse = seeded("input.coarse", (batch, channels, rows, columns), -2, 2)
    fine = seeded("input.fine", (batch, channels, height, width), -0.5, 0.5)
    cells = coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)[:, :, :height, :width]
    return fine + cells


def unused(key):
    return key.endswith("num_batches_tracked") or key.startswith("aux")


def fill(model, gain):
    state = {}
    for key, value in model.state_dict().items():
        state[key] = value if unused(key) else seeded_parameter(key, tuple(value.shape), gain)
    model.load_state_dict(state)


def fingerprint(model, shape_of=lambda value: tuple(value.shape)):
    """Hashes sorted keys and shapes; keys are ASCII, so Python and JavaScript sort them alike."""
    state = {k: shape_of(v) for k, v in model.state_dict().items() if not unused(k)}
    lines = sorted(f"{key} {','.join(map(str, shape))}" for key, shape in state.items())
    numbers = sum(math.prod(shape) for shape in state.values())
    return {"keys": len(lines), "numbers": numbers, "hash": fnv1a("\n".join(lines))}


def rounded(values):
    return [float(f"{value:.7g}") for value in values]


def observe(model, module, images):
    """Logits, and a module's output as a leaf of the rest."""
    kept = []
    handle = module.register_forward_hook(lambda _m, _i, out: kept.append(out))
    logits = model(images)
    handle.remove()
    return kept[0], logits


def reference(model, layer, module, size, gain=1):
    fill(model, gain)
    model = model.double().eval()
    for part in model.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    images = seeded_images(*size).double()
    with torch.no_grad():
        logits = model(images)
    index = int(logits[0].argmax())
    result = {"gain": gain, "input": list(size), "logits": [rounded(row) for row in logits.tolist()], "class": index}
    summary = f"logits {logits.std():.3g}, second image differs by {(logits[0] - logits[1]).std():.3g}"
    if module is not None:
        features, scores = observe(model, module, images[:1])
        gradient = torch.autograd.grad(scores[0, index], features)[0]
        cam = (gradient.mean((2, 3), keepdim=True) * features).sum(1)[0]
        result.update(layer=layer, map={"shape": list(cam.shape), "data": rounded(cam.flatten().tolist())})
        summary += f"; features {features.std():.3g}, map {cam.mean():.3g} +- {cam.std():.3g}"
    print(summary)
    return result


class DenseNet(torchvision.models.DenseNet):
    """With the last ReLU as a module, so that its output can be observed. It has no parameters."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.classifier(self.relu(self.features(x)).mean((2, 3)))


def named(**modules):
    sequence = nn.Sequential()
    for name, module in modules.items():
        sequence.add_module(name, module)
    return sequence


class Nin(nn.Module):
    """pytorchcv's nin_cifar10, restated: it is not a part of torchvision."""

    def __init__(self, classes):
        super().__init__()

        def unit(i, o, kernel):
            conv = nn.Conv2d(i, o, kernel, padding=kernel // 2)
            return named(conv=conv, activ=nn.ReLU())

        self.features = named(
            stage1=named(unit1=unit(3, 192, 5), unit2=unit(192, 160, 1), unit3=unit(160, 96, 1)),
            stage2=named(
                pool2=nn.MaxPool2d(3, 2, 1),
                unit1=unit(96, 192, 5),
                unit2=unit(192, 192, 1),
                unit3=unit(192, 192, 1),
            ),
            stage3=named(pool3=nn.AvgPool2d(3, 2, 1), unit1=unit(192, 192, 3), unit2=unit(192, 192, 1)),
        )
        self.output = named(final_conv=unit(192, classes, 1), final_pool=nn.AvgPool2d(8, 1))

    def forward(self, x):
        return self.output(self.features(x)).flatten(1)


class DeiTBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn = named(qkv=nn.Linear(width, 3 * width), proj=nn.Linear(width, width))
        self.mlp = named(fc1=nn.Linear(width, 4 * width), act=nn.GELU(), fc2=nn.Linear(4 * width, width))

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.attn.qkv(self.norm1(x)).reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-1, -2) / math.sqrt(width / self.heads)).softmax(-1)
        x = x + self.attn.proj((attention @ v).transpose(1, 2).reshape(n, tokens, width))
        return x + self.mlp(self.norm2(x))


class DeiT(nn.Module):
    """timm's VisionTransformerDistilled, restated with its keys."""

    def __init__(self, image, patch, width, depth, heads, classes):
        super().__init__()
        self.patch_embed = named(proj=nn.Conv2d(3, width, patch, patch))
        token = lambda count: nn.Parameter(torch.zeros(1, count, width))
        self.cls_token, self.dist_token, self.pos_embed = token(1), token(1), token(2 + (image // patch) ** 2)
        self.blocks = nn.Sequential(*[DeiTBlock(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, 1e-6)
        self.head, self.head_dist = nn.Linear(width, classes), nn.Linear(width, classes)

    def forward(self, x):
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        first = [token.expand(len(x), -1, -1) for token in (self.cls_token, self.dist_token)]
        x = self.norm(self.blocks(torch.cat([*first, x], 1) + self.pos_embed))
        return (self.head(x[:, 0]) + self.head_dist(x[:, 1])) / 2


class CifarBlock(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        stride = 1 if i == o else 2
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.added = (o - i) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.added:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added, self.added))
        return torch.relu(x + y)


class CifarResNet(nn.Module):
    """akamaster/pytorch_resnet_cifar10's ResNets, restated: they are not a part of torchvision."""

    def __init__(self, blocks, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stage = lambda i, o: nn.Sequential(*[CifarBlock(i if n == 0 else o, o) for n in range(blocks)])
        self.layer1, self.layer2, self.layer3 = stage(16, 16), stage(16, 32), stage(32, 64)
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def narrow_classifier(model, first, second):
    """Hidden fully connected layers of 64 in place of 4096, which alone would take half a gigabyte."""
    classifier = model.classifier
    classifier[first] = nn.Linear(classifier[first].in_features, HIDDEN)
    classifier[second] = nn.Linear(HIDDEN, HIDDEN)
    classifier[6] = nn.Linear(HIDDEN, CLASSES)
    return model


def narrow_timm(model):
    """The same for timm's VGG, whose fully connected layers are convolutions."""
    model.pre_logits.fc1 = nn.Conv2d(512, HIDDEN, 7)
    model.pre_logits.fc2 = nn.Conv2d(HIDDEN, HIDDEN, 1)
    model.head.fc = nn.Linear(HIDDEN, CLASSES)
    return model


def main():
    models = torchvision.models
    cases, published = {}, {}
    size = (2, 3, 64, 80)

    def case(name, make, layer, module, size=size, narrow=lambda model: model, gain=1):
        print(name, end=": ", flush=True)
        published[name] = fingerprint(make(None))
        model = narrow(make(CLASSES))
        cases[name] = reference(model, layer, module(model), size, gain)

    def of(make, **options):
        return lambda classes: make(**options, **({} if classes is None else {"num_classes": classes}))

    for name, last in {"resnet18": 1, "resnet34": 2, "resnet50": 2}.items():
        case(name, of(getattr(models, name)), f"layer4.{last}", lambda model: model.layer4[-1])
    vggs = {"vgg11": 19, "vgg13": 23, "vgg16": 29, "vgg19": 35}
    vggs.update({"vgg11_bn": 27, "vgg13_bn": 33, "vgg16_bn": 42, "vgg19_bn": 51})
    for name, last in vggs.items():
        case(
            name,
            of(getattr(models, name), init_weights=False),
            f"features.{last}",
            lambda model: model.features[last],
            (2, 3, 32, 48),
            lambda model: narrow_classifier(model, 0, 3),
        )
    case(
        "alexnet",
        of(models.alexnet),
        "features.11",
        lambda model: model.features[11],
        (2, 3, 96, 112),
        lambda model: narrow_classifier(model, 1, 4),
    )
    for name in ["squeezenet1_0", "squeezenet1_1"]:
        case(name, of(getattr(models, name)), "features.12", lambda model: model.features[12])
    case("mobilenet_v2", of(models.mobilenet_v2), "features.18", lambda model: model.features[18])
    for name, last in {"mobilenet_v3_small": 12, "mobilenet_v3_large": 16}.items():
        make = of(getattr(models, name))
        case(name, make, f"features.{last}", lambda model: model.features[last])
    densenet = of(DenseNet, growth_rate=32, block_config=(6, 12, 24, 16), num_init_features=64)
    case("densenet121", densenet, "relu", lambda model: model.relu)
    googlenet = of(models.googlenet, transform_input=True, aux_logits=True, init_weights=False)
    case("googlenet", googlenet, "inception5b", lambda model: model.inception5b)
    make = of(models.efficientnet_b0)
    case("efficientnet_b0", make, "features.8", lambda model: model.features[8], gain=1.1)
    for name in ["shufflenet_v2_x0_5", "shufflenet_v2_x1_0"]:
        case(name, of(getattr(models, name)), "conv5", lambda model: model.conv5)
    case(
        "nin_cifar10",
        lambda classes: Nin(classes or 10),
        "features.stage3.unit2",
        lambda model: model.features.stage3.unit2,
        (2, 3, 32, 32),
    )

    for name in ["resnext50_32x4d", "wide_resnet50_2"]:
        case(name, of(getattr(models, name)), "layer4.2", lambda model: model.layer4[-1], gain=0.7)
    for name in ["resnet101", "resnet152", "resnext101_32x8d", "wide_resnet101_2"]:
        published[name] = fingerprint(getattr(models, name)())
    for blocks in [3, 5, 7, 9, 18]:
        name = f"resnet{6 * blocks + 2}"
        make = lambda classes: CifarResNet(blocks, classes or 10)
        if blocks > 5:
            published[name] = fingerprint(make(None))
        else:
            case(name, make, f"layer3.{blocks - 1}", lambda model: model.layer3[-1], (2, 3, 32, 40), gain=0.7)
    densenets = {"densenet161": (48, (6, 12, 36, 24), 96), "densenet169": (32, (6, 12, 32, 32), 64)}
    for name, (growth, blocks, stem) in densenets.items():
        make = of(DenseNet, growth_rate=growth, block_config=blocks, num_init_features=stem)
        case(name, make, "relu", lambda model: model.relu)
    case("convnext_tiny", of(models.convnext_tiny), "features.7.2", lambda model: model.features[7][-1], gain=0.6)
    for name in ["convnext_small", "convnext_base"]:
        published[name] = fingerprint(getattr(models, name)())
    for name, (width, heads) in {"tiny": (192, 3), "small": (384, 6), "base": (768, 12)}.items():
        model = DeiT(224, 16, width, 12, heads, 1000)
        published[f"deit_{name}_distilled_patch16_224"] = fingerprint(model)
    print("deit", end=": ")
    cases["deit"] = reference(DeiT(48, 8, 48, 3, 4, CLASSES), None, None, (2, 3, 48, 48))
    published["densenet201"] = fingerprint(models.densenet201())
    for name in ["vit_b_32", "vit_l_16", "vit_l_32"]:
        published[name] = fingerprint(getattr(models, name)(), lambda value: (value.numel(),))

    def timm_case(name, layer, module, size=size, narrow=lambda model: model, gain=1):
        print(f"timm/{name}", end=": ", flush=True)
        model = narrow(timm.create_model(name, num_classes=CLASSES))
        cases[f"timm/{name}"] = reference(model, layer, module(model), size, gain)

    timm_case("mobilenetv2_100", "features.18", lambda model: model.bn2)
    timm_case("mobilenetv3_small_100", "features.12", lambda model: model.blocks[-1])
    timm_case("mobilenetv3_large_100", "features.16", lambda model: model.blocks[-1])
    timm_case("efficientnet_b0", "features.8", lambda model: model.bn2, gain=1.05)
    timm_case("vgg11_bn", "features.27", lambda model: model.features[27], (2, 3, 32, 48), narrow_timm)
    same = ["resnet18", "resnet34", "resnet50", *vggs]
    for name in [*same, "efficientnet_b0", "mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv3_large_100"]:
        published[f"timm/{name}"] = fingerprint(timm.create_model(name), lambda value: (value.numel(),))
    for name in ["vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224"]:
        published[name] = fingerprint(timm.create_model(name))
    published["vit_b_16"] = fingerprint(models.vit_b_16(), lambda value: (value.numel(),))

    small = {"img_size": 48, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 4, "num_classes": CLASSES}
    print("vit", end=": ")
    cases["vit"] = reference(timm.models.VisionTransformer(**small), None, None, (2, 3, 48, 48))
    print("vit_torchvision", end=": ")
    model = models.VisionTransformer(48, 8, 3, 4, 48, 4 * 48, num_classes=CLASSES)
    cases["vit_torchvision"] = reference(model, None, None, (2, 3, 48, 48))

    lines = [f'"{kind}": {{\n' + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in table.items()) + "\n}"
             for kind, table in {"cases": cases, "published": published}.items()]
    path = pathlib.Path(__file__).with_name("torchvision.json")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
