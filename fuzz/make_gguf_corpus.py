#!/usr/bin/env python3
"""Writes corpus/gguf: the smallest whole model file, and what becomes of it when a writer errs.

    ./make_gguf_corpus.py corpus/gguf

Standard library only; the same bytes every time.
"""

import pathlib
import struct
import sys

U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
F32_TENSOR = 0
ALIGNMENT = 32
WIDTH = 4


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, content):
    if kind == STRING:
        return string(content)
    if kind == ARRAY:
        element, items = content
        return struct.pack("<IQ", element, len(items)) + b"".join(value(element, item) for item in items)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q"}[kind], content)


def metadata():
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + ["\u2581", "\u2581a"]
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * 2
    return {
        "general.architecture": (STRING, "llama"),
        "llama.block_count": (U32, 1),
        "llama.context_length": (U32, 64),
        "llama.embedding_length": (U32, WIDTH),
        "llama.feed_forward_length": (U32, WIDTH),
        "llama.attention.head_count": (U32, 2),
        "llama.attention.head_count_kv": (U32, 1),
        "llama.rope.dimension_count": (U32, 2),
        "llama.rope.freq_base": (F32, 10000.0),
        "llama.attention.layer_norm_rms_epsilon": (F32, 1e-5),
        "tokenizer.ggml.model": (STRING, "llama"),
        "tokenizer.ggml.tokens": (ARRAY, (STRING, pieces)),
        "tokenizer.ggml.scores": (ARRAY, (F32, [0.0] * len(pieces))),
        "tokenizer.ggml.token_type": (ARRAY, (I32, types)),
        "tokenizer.ggml.unknown_token_id": (U32, 0),
        "tokenizer.ggml.bos_token_id": (U32, 1),
        "tokenizer.ggml.eos_token_id": (U32, 2),
        "tandem.version": (U32, 1),
        "tandem.paradigm": (STRING, "group"),
        "tandem.phi": (F32, 0.5),
        "tandem.end_marker": (STRING, "any"),
        "tandem.policy.wait_k": (ARRAY, (STRING, ["1", "inf"])),
        "tandem.template.source_prefix": (STRING, "<s>"),
        "tandem.template.source_suffix": (STRING, "</s>"),
        "tandem.template.end": (STRING, "</s>"),
        "tandem.languages.source": (ARRAY, (STRING, ["en"])),
        "tandem.languages.target": (ARRAY, (STRING, ["de"])),
        "tandem.template.target_prefix": (ARRAY, (STRING, ["<s>"])),
        "tandem.vocab.kept": (ARRAY, (I32, [2, 259])),
        "tandem.training.summary": (STRING, ""),
        "tandem.training.data_licences": (ARRAY, (STRING, [])),
    }


def shapes(n_vocab):
    layer = {name: (WIDTH, WIDTH) for name in ("attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down")}
    layer |= {"attn_norm": (WIDTH,), "ffn_norm": (WIDTH,), "attn_k": (WIDTH, WIDTH // 2), "attn_v": (WIDTH, WIDTH // 2)}
    tensors = {"token_embd.weight": (WIDTH, n_vocab), "output_norm.weight": (WIDTH,)}
    return tensors | {f"blk.0.{name}.weight": shape for name, shape in layer.items()}


def model(keys):
    tensors = shapes(len(metadata()["tokenizer.ggml.tokens"][1][1]))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for key, (kind, content) in keys.items():
        head += string(key) + struct.pack("<I", kind) + value(kind, content)
    offset = 0
    for name, shape in tensors.items():
        head += string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", F32_TENSOR, offset)
        size = 4
        for extent in shape:
            size *= extent
        offset += -(-size // ALIGNMENT) * ALIGNMENT
    head += b"\0" * (-len(head) % ALIGNMENT)
    return head + struct.pack("<f", 0.5) * (offset // 4)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    sound = model(metadata())
    stock = {key: content for key, content in metadata().items() if not key.startswith("tandem.")}
    cases = {
        "sound": sound,
        "stock": model(stock),
        "empty": b"",
        "header-only": sound[:24],
        "cut-in-tokens": sound[:1500],
        "cut-in-weights": sound[:-40],
        "many-keys": sound[:16] + struct.pack("<Q", 2**61) + sound[24:],
        "many-tensors": sound[:8] + struct.pack("<Q", 2**61) + sound[16:],
        "odd-heads": model(metadata() | {"llama.attention.head_count": (U32, 3)}),
        "no-epsilon": model(metadata() | {"llama.attention.layer_norm_rms_epsilon": (F32, float("nan"))}),
        "text-for-number": model(metadata() | {"llama.block_count": (STRING, "1")}),
        "big-alignment": model(metadata() | {"general.alignment": (U32, 2**31)}),
        "kept-beyond": model(metadata() | {"tandem.vocab.kept": (ARRAY, (I32, [2**31 - 1]))}),
    }
    for name, data in cases.items():
        (folder / name).write_bytes(data)


main()
