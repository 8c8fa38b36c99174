#!/usr/bin/env python3
"""Makes metrics.json: metrics of seeded maps, computed with numpy and scipy from the papers' definitions.

    python3 test/cam/references/metrics.py && npx biome check --write test/cam/references/metrics.json

Made with numpy 2.4.6 and scipy 1.17.1. Maps, pictures and weights come from names and shapes alone, as
test/models/references/seeded.ts says, so that only results are stored. The "network" is a sigmoid of a weighted sum.

Box and pixel metrics follow wsolevaluation (Choe et al. 2020), with half-open boxes; ROAD's imputation is a sparse direct
solve as in the authors' code; deletion, insertion and the blur are RISE's; infidelity is captum's, SSIM is Wang's window
by scipy's Gaussian filter.
"""

import json
import pathlib

import numpy as np
from scipy import ndimage, sparse, stats
from scipy.signal import convolve2d
from scipy.sparse.linalg import spsolve

SIZES = [(13, 17), (64, 64), (40, 97)]
M32 = 0xFFFFFFFF


def seeded(name, shape, low, high):
    h = 0x811C9DC5
    for c in name.encode():
        h = ((h ^ c) * 0x01000193) & M32
    n = int(np.prod(shape))
    x = (h + np.arange(n, dtype=np.uint64) * 0x9E3779B9) & M32
    x ^= x >> 16
    x = (x * 0x7FEB352D) & M32
    x ^= x >> 15
    x = (x * 0x846CA68B) & M32
    x ^= x >> 16
    u = (x >> 8).astype(np.float64) / 2**24
    return (low + (high - low) * u).astype(np.float32).astype(np.float64).reshape(shape)


def make_map(name, h, w):
    """Coarse cells with a little noise, cut at zero: pieces, plateaus and ties."""
    coarse = seeded(name + ".coarse", (-(-h // 4), -(-w // 4)), -1, 1)
    fine = seeded(name + ".fine", (h, w), -0.2, 0.2)
    full = np.kron(coarse, np.ones((4, 4)))[:h, :w]
    return np.maximum(0, np.where(full > 0, full + fine, 0))


def iou(a, b):
    w = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def overlaps(m, boxes, largest):
    out = []
    for k in range(1, 256):
        labels, n = ndimage.label(np.floor(255 * (m / m.max())) >= k, np.ones((3, 3)))
        sizes = np.bincount(labels.ravel())[1:]
        best = 0
        for i, (ys, xs) in enumerate(ndimage.find_objects(labels)):
            if largest and sizes[i] < sizes.max():
                continue
            best = max([best] + [iou((xs.start, ys.start, xs.stop, ys.stop), b) for b in boxes])
        out.append(best)
    return np.array(out)


def ap(scores, truth):
    """wsolevaluation's histogram form, at thresholds k / 255."""
    edges = np.append(np.arange(256), 256)
    pos = np.histogram(scores[truth == 1], edges)[0][::-1].cumsum()
    neg = np.histogram(scores[truth == 0], edges)[0][::-1].cumsum()
    precision = pos / np.maximum(1, pos + neg)
    recall = pos / pos[-1]
    return precision[0] * recall[0] + float((precision[1:] * np.diff(recall)).sum())


def impute(x, removed):
    c, h, w = x.shape
    unknown = np.zeros(h * w, bool)
    unknown[removed] = True
    ids = np.cumsum(unknown) - 1
    flat = x.reshape(c, -1)
    a = sparse.lil_matrix((unknown.sum(), unknown.sum()))
    b = np.zeros((unknown.sum(), c))
    for p in np.flatnonzero(unknown):
        total = 0
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                v, u = p // w + dy, p % w + dx
                if (dy, dx) == (0, 0) or not (0 <= v < h and 0 <= u < w):
                    continue
                weight = 1 / 6 if dy == 0 or dx == 0 else 1 / 12
                total += weight
                if unknown[v * w + u]:
                    a[ids[p], ids[v * w + u]] = -weight
                else:
                    b[ids[p]] += weight * flat[:, v * w + u]
        a[ids[p], ids[p]] = total
    out = flat.copy()
    out[:, unknown] = spsolve(a.tocsc(), b).reshape(-1, c).T
    return out.reshape(x.shape)


def gkern(klen=11, nsig=5):
    inp = np.zeros((klen, klen))
    inp[klen // 2, klen // 2] = 1
    return ndimage.gaussian_filter(inp, nsig)


def blur(x):
    return np.stack([convolve2d(plane, gkern(), mode="same") for plane in x])


def curve(start, end, order, weights, steps):
    c = start.shape[0]
    now, goal = start.reshape(c, -1).copy(), end.reshape(c, -1)
    scores = []
    for i in range(steps + 1):
        if i:
            lo, hi = (int(np.floor(s * order.size / steps + 0.5)) for s in (i - 1, i))
            now[:, order[lo:hi]] = goal[:, order[lo:hi]]
        scores.append(1 / (1 + np.exp(-(now * weights.reshape(c, -1)).sum())))
    scores = np.array(scores)
    return (scores.sum() - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1)


def ssim(a, b):
    f = lambda x: ndimage.gaussian_filter(x, 1.5, truncate=3.5)
    ma, mb = f(a), f(b)
    va, vb, vab = f(a * a) - ma * ma, f(b * b) - mb * mb, f(a * b) - ma * mb
    s = (2 * ma * mb + 1e-4) * (2 * vab + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    return s[5:-5, 5:-5].mean()


def case(h, w):
    name = f"{h}x{w}"
    m, other = make_map(name, h, w), make_map(name + ".other", h, w)
    boxes = [[2, 1, w // 2, h // 2], [w // 2 + 1, h // 3, w - 1, h]]
    inside = np.zeros((h, w), int)
    for x0, y0, x1, y1 in boxes:
        inside[y0:y1, x0:x1] = 1
    x = seeded(name + ".picture", (3, h, w), -1, 1)
    weights = seeded(name + ".weights", (3, h, w), -0.05, 0.05)
    # A map without ties, so that the order is one.
    untied = seeded(name + ".untied", (h, w), 0, 1) + np.arange(h * w).reshape(h, w) * 1e-9
    order = np.argsort(-untied.ravel())
    removed = order[: int(np.floor(0.6 * h * w + 0.5))]
    products, changes = seeded(name + ".products", (10,), -1, 1), seeded(name + ".changes", (10,), -1, 1)
    beta = (products * changes).mean() / (products**2).mean()
    filled = impute(x, removed)
    all_, largest = overlaps(m, boxes, False), overlaps(m, boxes, True)
    pearson = stats.pearsonr(m.ravel(), other.ravel())[0]
    stretched = (other - other.min()) / (other.max() - other.min())
    return {
        "size": [h, w],
        "boxes": boxes,
        "pointing": float(inside.ravel()[m.argmax()]),
        "energy": (m * inside).sum() / m.sum(),
        "area": inside.mean(),
        "overlaps": [round(float(v), 12) for v in all_[::10]],
        "overlapsLargest": [round(float(v), 12) for v in largest[::10]],
        "pxap": ap(np.floor(255 * (m / m.max())).ravel(), inside.ravel()),
        "pearson": pearson,
        "spearman": stats.spearmanr(m.ravel(), other.ravel())[0],
        "ssim": ssim(m / m.max(), other / other.max()),
        "coherency": (pearson + 1) / 2,
        "complexity": np.abs(stretched).mean(),
        "imputed": [float(v) for v in filled.ravel()[:: max(1, filled.size // 40)]],
        "blurred": [float(v) for v in blur(x).ravel()[:: max(1, x.size // 40)]],
        "deletion": curve(x, np.zeros_like(x), order, weights, h),
        "insertion": curve(blur(x), x, order, weights, h),
        "infidelity": ((products - changes) ** 2).mean(),
        "infidelityScaled": ((beta * products - changes) ** 2).mean(),
    }


def pooled():
    """MaxBoxAcc, V2 and PxAP of twenty maps with one box each, and the split threshold between two halves."""
    h, w = 48, 64
    boxed, scores, truth = {"all": [], "largest": []}, [], []
    for i in range(20):
        # A box and a bump in it, and clutter: hits at some thresholds and not at others.
        x0, y0 = 3 + 2 * i, 2 + i
        box = [x0, y0, x0 + 14, y0 + 18]
        yy, xx = np.mgrid[:h, :w]
        bump = np.maximum(0, 1 - np.hypot((xx - x0 - 7) / (6 + i / 4), (yy - y0 - 9) / (8 + i / 4)))
        m = bump + 0.6 * make_map(f"pooled {i}", h, w)
        boxed["all"].append(overlaps(m, [box], False))
        boxed["largest"].append(overlaps(m, [box], True))
        inside = np.zeros((h, w), int)
        inside[box[1] : box[3], box[0] : box[2]] = 1
        scores.append(np.floor(255 * (m / m.max())).ravel())
        truth.append(inside.ravel())
    acc = lambda o, d: (np.array(o) >= d).mean(0)
    first, second = boxed["all"][:10], boxed["all"][10:]
    return {
        "maxBoxAcc": acc(boxed["largest"], 0.5).max(),
        "maxBoxAccAt": [acc(boxed["all"], d).max() for d in (0.3, 0.5, 0.7)],
        "maxBoxAccV2": np.mean([acc(boxed["all"], d).max() for d in (0.3, 0.5, 0.7)]),
        "split": acc(second, 0.5)[acc(first, 0.5).argmax()],
        "pxap": ap(np.concatenate(scores), np.concatenate(truth)),
    }


out = {"cases": [case(h, w) for h, w in SIZES], "pooled": pooled()}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(out, default=float))
