"""Files that fake_sd_server.py and fake_sd_cli.py make: pictures and films of one grey, of any size, with a text inside that
says what was asked for. Written by hand, so that no library is needed. SPDX-License-Identifier: MIT"""

import struct
import zlib

GREY = 128


def png(width, height, text):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    row = b"\0" + bytes([GREY]) * (3 * width)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"tEXt", b"asked\0" + text) + chunk(b"IDAT", zlib.compress(row * height, 0)) + chunk(b"IEND", b""))


def jpeg(width, height, text):
    """Grey, and every block has no difference to the last: two bits a block, both codes being a single 0."""
    def segment(mark, data):
        return bytes([0xFF, mark]) + struct.pack(">H", len(data) + 2) + data
    huffman = bytes([1] + [0] * 15 + [0])
    blocks = -(-width // 8) * -(-height // 8)
    bits = 2 * blocks
    data = bytearray(-(-bits // 8))
    if bits % 8:
        data[-1] = (1 << (8 - bits % 8)) - 1
    return (b"\xff\xd8" + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + segment(0xFE, text[:60000])
            + segment(0xDB, bytes([0] + [1] * 64)) + segment(0xC0, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0))
            + segment(0xC4, b"\x00" + huffman) + segment(0xC4, b"\x10" + huffman) + segment(0xDA, bytes([1, 1, 0, 0, 63, 0]))
            + bytes(data) + b"\xff\xd9")


def webp(width, height, text):
    """Lossless, with one symbol for each of its five codes: nothing is left to write a pixel."""
    bits, n = 0, 0

    def put(value, count):
        nonlocal bits, n
        bits |= value << n
        n += count
    put(0x2F, 8)
    put(width - 1, 14)
    put(height - 1, 14)
    put(0, 1 + 3)       # no alpha, version 0
    put(0, 1 + 1 + 1)   # no transform, no colour cache, one set of codes
    for symbol in (GREY, GREY, GREY, 255, 0):
        put(1, 1)       # a simple code
        put(0, 1)       # of one symbol
        put(1, 1)       # of 8 bits
        put(symbol, 8)
    def chunk(kind, data):
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    body = (b"WEBP" + chunk(b"VP8X", bytes(4) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3])
            + chunk(b"VP8L", bits.to_bytes(-(-n // 8), "little")) + chunk(b"ASKD", text))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def avi(width, height, frames, fps, text):
    """Motion JPEG, as sd-server writes it."""
    def chunk(kind, data):
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def group(kind, data):
        return chunk(b"LIST", kind + data)
    frame = jpeg(width, height, text)
    header = struct.pack("<14I", 1000000 // fps, 0, 0, 0x10, frames, 0, 1, len(frame), width, height, 0, 0, 0, 0)
    stream = b"vidsMJPG" + struct.pack("<IHHIIIIIIiI4H", 0, 0, 0, 0, 1, fps, 0, frames, len(frame), -1, 0, 0, 0, width, height)
    format_ = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"MJPG", width * height * 3, 0, 0, 0, 0)
    movie = b"".join(chunk(b"00dc", frame) for _ in range(frames))
    step = len(chunk(b"00dc", frame))
    index = b"".join(b"00dc" + struct.pack("<III", 0x10, 4 + i * step, len(frame)) for i in range(frames))
    body = (b"AVI " + group(b"hdrl", chunk(b"avih", header) + group(b"strl", chunk(b"strh", stream) + chunk(b"strf", format_)))
            + group(b"movi", movie) + chunk(b"idx1", index))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def picture(kind, width, height, text):
    return {"png": png, "jpeg": jpeg, "jpg": jpeg, "webp": webp}[kind](width, height, text)


def aligned(n, multiple):
    """As the engine rounds a side up."""
    return -(-n // multiple) * multiple


def colors(data):
    """Channels of a PNG or JPEG, 0 for what stb_image does not read here."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 25:
        return {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(data[25], 0)
    return 3 if data.startswith(b"\xff\xd8\xff") else 0
