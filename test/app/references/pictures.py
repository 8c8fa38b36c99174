"""Makes pictures.json: small JPEG and WebP files and what Pillow decodes of them.

    python3 pictures.py > pictures.json        (Pillow 9.4 with libjpeg-turbo 2.1.5 and libwebp 1.2.4)

The picture has edges, gradients and colours that vary from pixel to pixel, so that chroma that is upsampled another way
shows.
"""

import base64
import io
import json
import math

from PIL import Image

SIZE = (37, 29)


def picture():
    def value(x, y, c):
        wave = 60 * math.sin(0.7 * x * (c + 1) / 2) + 50 * math.cos(0.5 * y * (3 - c) / 2)
        return max(0, min(255, int(128 + wave + (70 if (x // 9 + y // 7 + c) % 3 == 0 else -40))))

    width, height = SIZE
    data = bytes(value(x, y, c) for y in range(height) for x in range(width) for c in range(3))
    return Image.frombytes("RGB", SIZE, data)


def over_white(image):
    rgba = image.convert("RGBA").tobytes()
    return bytes(
        (2 * (rgba[4 * i + c] * rgba[4 * i + 3] + 255 * (255 - rgba[4 * i + 3])) + 255) // 510
        for i in range(len(rgba) // 4) for c in range(3)
    )


def case(title, image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    decoded = Image.open(io.BytesIO(file.getvalue()))
    rgb = over_white(decoded) if decoded.mode == "RGBA" else decoded.convert("RGB").tobytes()
    return {
        "title": title,
        "file": base64.b64encode(file.getvalue()).decode(),
        "rgb": base64.b64encode(rgb).decode(),
    }


rgb = picture()
alpha = Image.frombytes("L", SIZE, bytes((7 * i) % 256 for i in range(SIZE[0] * SIZE[1])))
rgba = rgb.copy()
rgba.putalpha(alpha)
samplings = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}
print(json.dumps({
    "size": SIZE,
    "cases": [
        case(f"JPEG {name}{' progressive' if progressive else ''}", rgb, "JPEG",
             quality=85, subsampling=sampling, progressive=progressive)
        for name, sampling in samplings.items() for progressive in (False, True)
    ] + [
        case("JPEG grey", rgb.convert("L"), "JPEG", quality=85),
        case("JPEG CMYK", rgb.convert("CMYK"), "JPEG", quality=85),
        case("WebP lossy", rgb, "WEBP", quality=80),
        case("WebP lossless", rgb, "WEBP", lossless=True),
        case("WebP lossy with alpha", rgba, "WEBP", quality=80),
        case("WebP lossless with alpha", rgba, "WEBP", lossless=True),
    ],
}, indent=0))
