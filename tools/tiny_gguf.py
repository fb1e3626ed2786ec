#!/usr/bin/env python3
"""Writes a language model of 2 MB that says one sentence: for trying a llama-server out without a download.

It is of the llama architecture with one layer that does nothing: each token's embedding is one-hot, so the output matrix is
a table of which token follows which. usage: tiny_gguf.py OUT.gguf. SPDX-License-Identifier: MIT"""

import array
import pathlib
import struct
import sys

SENTENCE = "Hello from a tiny scripted model."
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
UNKNOWN, CONTROL, NORMAL, BYTE = 2, 3, 1, 6
TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
HEADS, FEED_FORWARD, ALIGN = 4, 32, 32


def vocabulary():
    """(text, type, score) of each token, and the ids of the sentence's."""
    words = SENTENCE[:-1].replace(" ", " \u2581").split(" ") + ["."]
    tokens = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0)]
    tokens += [(f"<0x{i:02X}>", BYTE, 0.0) for i in range(256)]
    tokens += [("<|im_start|>", CONTROL, 0.0), ("<|im_end|>", CONTROL, 0.0)]
    first = len(tokens)
    tokens += [(w, NORMAL, -1.0 - i) for i, w in enumerate(words)] + [("\u2581", NORMAL, -100.0)]
    return tokens, list(range(first, first + len(words)))


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def value(kind, v):
    if kind == STRING:
        return text(v)
    return struct.pack({U32: "<I", F32: "<f", BOOL: "<?", I32: "<i"}[kind], v)


def entry(key, kind, v, of=None):
    head = text(key) + struct.pack("<I", kind)
    if kind != ARRAY:
        return head + value(kind, v)
    return head + struct.pack("<IQ", of, len(v)) + b"".join(value(of, x) for x in v)


def entries(tokens, width):
    ids = {t: i for i, (t, _, _) in enumerate(tokens)}
    return [
        entry("general.architecture", STRING, "llama"), entry("general.name", STRING, "tiny-scripted"),
        entry("general.file_type", U32, 0), entry("llama.block_count", U32, 1), entry("llama.context_length", U32, 4096),
        entry("llama.embedding_length", U32, width), entry("llama.feed_forward_length", U32, FEED_FORWARD),
        entry("llama.attention.head_count", U32, HEADS), entry("llama.attention.head_count_kv", U32, HEADS),
        entry("llama.rope.dimension_count", U32, width // HEADS),
        entry("llama.attention.layer_norm_rms_epsilon", F32, 1e-5), entry("llama.vocab_size", U32, len(tokens)),
        entry("tokenizer.ggml.model", STRING, "llama"),
        entry("tokenizer.ggml.tokens", ARRAY, [t for t, _, _ in tokens], STRING),
        entry("tokenizer.ggml.scores", ARRAY, [s for _, _, s in tokens], F32),
        entry("tokenizer.ggml.token_type", ARRAY, [k for _, k, _ in tokens], I32),
        entry("tokenizer.ggml.bos_token_id", U32, 1), entry("tokenizer.ggml.eos_token_id", U32, ids["<|im_end|>"]),
        entry("tokenizer.ggml.unknown_token_id", U32, 0), entry("tokenizer.ggml.add_bos_token", BOOL, False),
        entry("tokenizer.ggml.add_space_prefix", BOOL, False), entry("tokenizer.chat_template", STRING, TEMPLATE),
    ]


def floats(n, fill=0.0):
    return array.array("f", [fill]) * n


def tensors(tokens, sentence, width):
    """(name, shape, values); a shape's first number is the length of a row."""
    ids = {t: i for i, (t, _, _) in enumerate(tokens)}
    chain = [ids["<0x0A>"], *sentence, ids["<|im_end|>"]]
    after = dict(zip(chain, chain[1:]))
    embed, output = floats(len(tokens) * width), floats(len(tokens) * width)
    for now in range(len(tokens)):
        embed[now * width + now] = 1.0
        output[after.get(now, sentence[0]) * width + now] = 2.0
    square, wide = (width, width), (width, FEED_FORWARD)
    rows = [("token_embd.weight", (width, len(tokens)), embed), ("output_norm.weight", (width,), floats(width, 1.0)),
            ("output.weight", (width, len(tokens)), output)]
    for name, shape in [("attn_norm", (width,)), ("ffn_norm", (width,)), ("attn_q", square), ("attn_k", square),
                        ("attn_v", square), ("attn_output", square), ("ffn_gate", wide), ("ffn_up", wide),
                        ("ffn_down", wide[::-1])]:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        rows.append((f"blk.0.{name}.weight", shape, floats(count, 1.0 if len(shape) == 1 else 0.0)))
    return rows


def padding(n):
    return bytes(-n % ALIGN)


def write(path):
    tokens, sentence = vocabulary()
    width = -(-len(tokens) // ALIGN) * ALIGN
    keys, rows = entries(tokens, width), tensors(tokens, sentence, width)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(rows), len(keys)) + b"".join(keys)
    data = b""
    for name, shape, values in rows:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        raw = values.tobytes()
        data += raw + padding(len(raw))
    pathlib.Path(path).write_bytes(head + padding(len(head)) + data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(sys.argv[1])
