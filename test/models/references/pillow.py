"""Makes pillow.json: small pictures resized by Pillow, and resized and cropped as torchvision does.

    python3 pillow.py > pillow.json        (Pillow 9.4 and 12.3.0 give the same)

The picture is made by a formula that the test repeats: channel c of pixel (x, y) is
(37 x + 91 y + 53 c + 7 x y) mod 256.
"""

import json

from PIL import Image, ImageOps

FILTERS = {
    "nearest": Image.NEAREST, "box": Image.BOX, "bilinear": Image.BILINEAR, "hamming": Image.HAMMING,
    "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS,
}


def picture(width, height):
    data = bytes(
        (37 * x + 91 * y + 53 * c + 7 * x * y) % 256
        for y in range(height) for x in range(width) for c in range(3)
    )
    return Image.frombytes("RGB", (width, height), data)


def resized(size, to, name):
    out = picture(*size).resize(to, FILTERS[name])
    return {"from": size, "to": to, "interpolation": name, "rgb": out.tobytes().hex()}


def framed(size, resize, crop, name):
    """torchvision: Resize(resize) of the shorter side, then CenterCrop(crop)."""
    width, height = size
    short, long = min(size), max(size)
    other = int(resize * long / short)
    scaled = (resize, other) if width <= height else (other, resize)
    image = picture(*size).resize(scaled, FILTERS[name])
    left = int(round((scaled[0] - crop) / 2.0))
    top = int(round((scaled[1] - crop) / 2.0))
    out = image.crop((left, top, left + crop, top + crop))
    return {"from": size, "resize": resize, "crop": crop, "interpolation": name, "rgb": out.tobytes().hex()}


def padded(size, to, name):
    out = ImageOps.pad(picture(*size), to, FILTERS[name])
    return {"from": size, "to": to, "interpolation": name, "rgb": out.tobytes().hex()}


SIZES = [
    ((13, 7), (5, 3)), ((13, 7), (13, 7)), ((13, 7), (29, 4)), ((1, 1), (3, 2)), ((5, 1), (2, 1)),
    ((1, 5), (1, 2)), ((40, 30), (1, 1)), ((3, 3), (7, 7)), ((64, 2), (3, 5)), ((6, 4), (9, 7)),
]
FRAMES = [((23, 17), 8, 7), ((17, 23), 9, 6), ((5, 9), 11, 10), ((8, 8), 8, 8), ((31, 10), 5, 4)]
PADS = [((13, 7), (5, 5)), ((7, 13), (6, 5)), ((9, 9), (4, 7)), ((5, 3), (11, 8)), ((40, 4), (6, 6)), ((4, 40), (6, 9)), ((8, 6), (4, 3))]

print(json.dumps({
    "resized": [resized(*sizes, name) for sizes in SIZES for name in FILTERS],
    "framed": [framed(*frame, name) for frame in FRAMES for name in ("nearest", "bilinear", "bicubic")],
    "padded": [padded(*sizes, "bilinear") for sizes in PADS],
}, indent=0))
