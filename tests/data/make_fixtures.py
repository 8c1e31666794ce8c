#!/usr/bin/env python3
"""Writes pictures.hpp, small pictures encoded by Pillow with their pixels, and resized.hpp, what Pillow's resizing makes of
patterns. Needs numpy and pillow.

usage: make_fixtures.py FOLDER
"""
import contextlib
import io
import pathlib
import sys

import numpy as np
import PIL
from PIL import Image


def pattern(height, width, channels):
    y, x, c = np.ogrid[:height, :width, :channels]
    return ((y * 37 + x * 91 + c * 53 + x * y * 7) % 256).astype(np.uint8)


def smooth(height, width, channels):
    y, x, c = np.ogrid[:height, :width, :channels]
    return np.clip(40 + 10 * y + 6 * x + 30 * c, 0, 255).astype(np.uint8)


def fnv1a(data):
    h = 0xcbf29ce484222325
    for b in data:
        h = (h ^ b) * 0x100000001b3 % (1 << 64)
    return h


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def literal(data, indent='    '):
    text = data.hex()
    lines = [text[i:i + 92] for i in range(0, len(text), 92)]  # as wide as clang-format leaves whole
    return '\n'.join(f'{indent}"{line}"' for line in lines) or f'{indent}""'


def pictures():
    rgb = pattern(4, 5, 3)
    rgba = pattern(4, 5, 4)
    grey = pattern(4, 5, 1)[..., 0]
    grey16 = (np.arange(20, dtype=np.uint16).reshape(4, 5) * 40)
    photo = smooth(17, 19, 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield 'PngRgb', encoded(Image.fromarray(rgb), 'PNG')
    yield 'PngRgba', encoded(Image.fromarray(rgba), 'PNG')
    yield 'PngGrey', encoded(Image.fromarray(grey), 'PNG')
    yield 'PngGreyAlpha', encoded(Image.fromarray(rgba).convert('LA'), 'PNG')
    yield 'PngGrey16', encoded(Image.fromarray(grey16), 'PNG')
    yield 'PngPalette', encoded(Image.fromarray(rgb).quantize(7), 'PNG')
    yield 'PngOneBit', encoded(Image.fromarray(grey).convert('1'), 'PNG')
    yield 'PngExif', encoded(Image.fromarray(rgb), 'PNG', exif=exif)
    yield 'BmpRgb', encoded(Image.fromarray(rgb), 'BMP')
    yield 'BmpGrey', encoded(Image.fromarray(grey), 'BMP')
    yield 'JpegRgb', encoded(Image.fromarray(photo), 'JPEG', quality=60, optimize=True)
    yield 'JpegProgressive', encoded(Image.fromarray(photo), 'JPEG', quality=60, progressive=True)
    yield 'JpegGrey', encoded(Image.fromarray(photo).convert('L'), 'JPEG', quality=60, optimize=True)
    yield 'JpegCmyk', encoded(Image.fromarray(photo).convert('CMYK'), 'JPEG', quality=60, optimize=True)
    yield 'JpegExif', encoded(Image.fromarray(photo), 'JPEG', quality=60, optimize=True, exif=exif)


def print_pictures():
    print("// A file, and the pixels of Pillow's convert('RGB') before EXIF orientation; both in hex.")
    print('struct Picture {\n  const char* name;\n  int64_t height, width;\n  const char* file;\n  const char* rgb;\n};')
    print('inline constexpr Picture kPictures[] = {')
    for name, data in pictures():
        im = Image.open(io.BytesIO(data)).convert('RGB')
        print(f'  {{"{name}", {im.height}, {im.width},\n{literal(data)},\n{literal(im.tobytes())}}},')
    print('};')


def print_resized():
    print('// pattern(height, width, channels) resized; hash: FNV-1a of the pixels.')
    print('struct Resized {\n  int64_t height, width, channels, to_height, to_width;\n  const char* interpolation;\n  uint64_t hash;\n};')
    print('inline constexpr Resized kResized[] = {')
    names = {'bicubic': Image.BICUBIC, 'bilinear': Image.BILINEAR, 'nearest': Image.NEAREST}
    sizes = [((5, 7), (4, 3)), ((5, 7), (9, 11)), ((5, 7), (8, 7)), ((5, 7), (5, 2)), ((1, 1), (3, 4)), ((6, 6), (1, 1)),
             ((120, 90), (48, 36)), ((75, 133), (64, 113)), ((40, 30), (53, 97)), ((2, 300), (48, 7200))]
    for (h, w), (oh, ow) in sizes:
        for c in (1, 3):
            for name, method in names.items():
                a = pattern(h, w, c)
                im = Image.fromarray(a[..., 0] if c == 1 else a).resize((ow, oh), method)
                print(f'  {{{h}, {w}, {c}, {oh}, {ow}, "{name}", {fnv1a(im.tobytes())}ull}},')
    print('};\n')
    a = np.asarray(Image.fromarray(pattern(5, 7, 3)).resize((3, 4), Image.BICUBIC))
    print('// pattern(5, 7, 3) as 3 wide, 4 high, bicubic.')
    print(f'inline constexpr uint8_t kBicubic[] = {{{", ".join(map(str, a.reshape(-1)))}}};')


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, contents in ('pictures.hpp', print_pictures), ('resized.hpp', print_resized):
        with open(pathlib.Path(sys.argv[1]) / name, 'w') as out, contextlib.redirect_stdout(out):
            print(f'// Made by make_fixtures.py with Pillow {PIL.__version__}: do not edit.')
            print('#pragma once\n\n#include <cstdint>\n\nnamespace qtool::fixtures {\n')
            contents()
            print('\n}  // namespace qtool::fixtures')


if __name__ == '__main__':
    main()
