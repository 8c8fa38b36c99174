#!/usr/bin/python3
"""Makes families.json: what PyTorch computes for transformers of sizes that nobody publishes, with seeded parameters.

Needs what make-references.py needs, which says how parameters and images are made and what a case holds. `keys` is a
fingerprint of the keys and shapes of the model's own state dict.

    PYTHONPATH=FOLDER /usr/bin/python3 test/models/references/families.py
    npx biome check --write test/models/references/families.json
"""

import importlib.util
import json
import pathlib

import torch
import torchvision
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("make_references", HERE / "make-references.py")
made = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made)
# A table of indices, which is no parameter.
counters = made.unused
made.unused = lambda key: counters(key) or key.endswith("relative_position_index")


class Dino(nn.Module):
    """DINOv2 with registers and a linear classifier as its authors publish it, restated with their keys."""

    def __init__(self, image, patch, width, depth, heads, registers, classes):
        super().__init__()
        blocks = []
        for _ in range(depth):
            block = made.DeiTBlock(width, heads)
            block.ls1, block.ls2 = nn.Module(), nn.Module()
            for scale in (block.ls1, block.ls2):
                scale.gamma = nn.Parameter(torch.ones(width))
            blocks.append(block)
        token = lambda count: nn.Parameter(torch.zeros(1, count, width))
        self.backbone = made.named(
            patch_embed=made.named(proj=nn.Conv2d(3, width, patch, patch)),
            blocks=nn.Sequential(*blocks),
            norm=nn.LayerNorm(width, 1e-6),
        )
        self.backbone.cls_token, self.backbone.register_tokens = token(1), token(registers)
        self.backbone.mask_token = nn.Parameter(torch.zeros(1, width))
        self.backbone.pos_embed = token(1 + (image // patch) ** 2)
        self.linear_head = nn.Linear(2 * width, classes)
        self.registers = registers

    def forward(self, x):
        own = self.backbone
        x = own.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([own.cls_token.expand(len(x), -1, -1), x], 1) + own.pos_embed
        x = torch.cat([x[:, :1], own.register_tokens.expand(len(x), -1, -1), x[:, 1:]], 1)
        for block in own.blocks:
            n, tokens, width = x.shape
            q, k, v = block.attn.qkv(block.norm1(x)).reshape(n, tokens, 3, block.heads, -1).permute(2, 0, 3, 1, 4)
            attention = (q @ k.transpose(-1, -2) / (width / block.heads) ** 0.5).softmax(-1)
            x = x + block.ls1.gamma * block.attn.proj((attention @ v).transpose(1, 2).reshape(n, tokens, width))
            x = x + block.ls2.gamma * block.mlp(block.norm2(x))
        x = own.norm(x)
        return self.linear_head(torch.cat([x[:, 0], x[:, 1 + self.registers :].mean(1)], 1))


def main():
    swin = dict(embed_dim=24, depths=[2, 2], num_heads=[3, 6])
    cases = {
        "torchvision/swin": (
            torchvision.models.SwinTransformer(patch_size=[4, 4], window_size=[4, 4], num_classes=10, **swin),
            (2, 3, 72, 56),
            "permute",
        ),
        "timm/swin": (
            SwinTransformer(img_size=64, patch_size=4, window_size=4, num_classes=10, **swin),
            (2, 3, 64, 64),
            None,
        ),
        "timm/vit, registers": (
            VisionTransformer(
                img_size=56, patch_size=14, embed_dim=128, depth=2, num_heads=2, num_classes=10,
                reg_tokens=4, no_embed_class=True, init_values=1e-5,
            ),
            (2, 3, 56, 56),
            None,
        ),
        "timm/vit, mean of patches, two channels": (
            VisionTransformer(
                img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=1, num_classes=7,
                in_chans=2, global_pool="avg", mlp_ratio=2,
            ),
            (2, 2, 32, 32),
            None,
        ),
        "timm/vit, no head": (
            VisionTransformer(img_size=32, patch_size=16, embed_dim=64, depth=1, num_heads=1, num_classes=0),
            (2, 3, 32, 32),
            None,
        ),
        "dinov2": (Dino(56, 14, 128, 2, 2, 4, 9), (2, 3, 56, 56), None),
    }
    out = {}
    for name, (model, size, layer) in cases.items():
        print(name, end=": ")
        keys = {key: list(value.shape) for key, value in model.state_dict().items()}
        out[name] = made.reference(model, layer, getattr(model, layer) if layer else None, size)
        out[name]["keys"] = keys
    (HERE / "families.json").write_text(json.dumps(out))


main()
