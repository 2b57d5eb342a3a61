#!/usr/bin/env python3
"""Writes a small BPE vocabulary as libllama reads it: SentencePiece-style with byte fallback, or byte-level.

    ./make_vocab_fixture.py sentences.txt fixture.gguf
    ./make_vocab_fixture.py sentences.txt fixture-bytes.gguf --byte-level

Merges are learnt from the sentences within words only, so that no piece straddles a space. Standard library only;
the same input gives the same bytes.
"""

import collections
import re
import struct
import sys

MARK = "\u2581"
N_MERGES = 400
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5


def merge_word(word, pair):
    out = []
    for symbol in word:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return tuple(out)


def learn_merges(words):
    """Pairs in the order learnt, from words as tuples of symbols with their counts: byte-pair encoding by plain
    counting; ties go to the smaller pair, so that runs agree."""
    merges = []
    while len(merges) < N_MERGES:
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged = collections.Counter()
        for word, count in words.items():
            merged[merge_word(word, best)] += count
        words = merged
    return merges


def byte_symbols():
    """GPT-2's letter for each byte: itself where it is printable Latin-1, else one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {byte: chr(byte) for byte in printable}
    symbols.update({byte: chr(0x100 + i) for i, byte in enumerate(others)})
    return symbols


def build_byte_level(text):
    """Pieces without scores, and the merges that make them."""
    symbols = byte_symbols()
    words = collections.Counter()
    for line in text.splitlines():
        for i, word in enumerate(line.split()):
            # Runs of letters, of digits and of other signs are merged apart, as GPT-2's pattern cuts them.
            for part in re.findall(r" ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+", " " * (i > 0) + word):
                words[tuple(symbols[byte] for byte in part.encode())] += 1
    merges = learn_merges(words)
    pieces = [("<|endoftext|>", 0.0, CONTROL), ("<to:de>", 0.0, CONTROL), ("<to:fr>", 0.0, CONTROL)]
    pieces += [(symbols[byte], 0.0, NORMAL) for byte in range(256)]
    pieces += [(piece, 0.0, NORMAL) for piece in dict.fromkeys("".join(pair) for pair in merges)]
    return pieces, [" ".join(pair) for pair in merges]


def build_pieces(text):
    pieces = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    pieces += [("<to:de>", 0.0, CONTROL), ("<to:fr>", 0.0, CONTROL), ("<spare>", 0.0, UNUSED)]
    pieces += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    words = collections.Counter(tuple(MARK + word) for word in text.split())
    merges = list(dict.fromkeys("".join(pair) for pair in learn_merges(words)))
    pieces += [(piece, -float(rank + 1), NORMAL) for rank, piece in enumerate(merges)]
    counts = collections.Counter(text.replace("\n", " ").replace(" ", MARK))
    # Rare characters have no piece, so that some text is spelt in bytes.
    kept = sorted(c for c, n in counts.items() if n >= 3 or c in "你好日")
    rank = len(merges) + 1
    pieces += [(c, -float(rank + i), NORMAL) for i, c in enumerate(kept)]
    # With these, merging plain text meets the name of the end token.
    pieces += [("</", -1.0, NORMAL), ("s>", -1.0, NORMAL)]
    return pieces


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def array(kind, items):
    pack = {STRING: string, F32: lambda x: struct.pack("<f", x), I32: lambda x: struct.pack("<i", x)}[kind]
    return struct.pack("<IQ", kind, len(items)) + b"".join(pack(item) for item in items)


def number(value):
    return struct.pack("<I", value)


def write_gguf(path, pieces, tokenizer):
    pairs = [
        ("general.architecture", STRING, string("llama")),
        ("general.name", STRING, string("Tandem test vocabulary")),
        ("llama.context_length", U32, number(64)),
        ("llama.embedding_length", U32, number(16)),
        ("llama.block_count", U32, number(1)),
        ("llama.feed_forward_length", U32, number(16)),
        ("llama.attention.head_count", U32, number(2)),
        ("llama.attention.layer_norm_rms_epsilon", F32, struct.pack("<f", 1e-5)),
        ("tokenizer.ggml.tokens", ARRAY, array(STRING, [p[0] for p in pieces])),
        ("tokenizer.ggml.token_type", ARRAY, array(I32, [p[2] for p in pieces])),
    ] + tokenizer
    with open(path, "wb") as out:
        out.write(struct.pack("<IIQQ", 0x46554747, 3, 0, len(pairs)))
        for key, kind, value in pairs:
            out.write(string(key) + struct.pack("<I", kind) + value)


def main():
    with open(sys.argv[1], encoding="utf-8") as sentences:
        text = sentences.read()
    if "--byte-level" in sys.argv:
        pieces, merges = build_byte_level(text)
        tokenizer = [
            ("tokenizer.ggml.model", STRING, string("gpt2")),
            ("tokenizer.ggml.pre", STRING, string("gpt-2")),
            ("tokenizer.ggml.merges", ARRAY, array(STRING, merges)),
            ("tokenizer.ggml.bos_token_id", U32, number(0)),
            ("tokenizer.ggml.eos_token_id", U32, number(0)),
        ]
    else:
        pieces = build_pieces(text)
        tokenizer = [
            ("tokenizer.ggml.model", STRING, string("llama")),
            ("tokenizer.ggml.scores", ARRAY, array(F32, [p[1] for p in pieces])),
            ("tokenizer.ggml.unknown_token_id", U32, number(0)),
            ("tokenizer.ggml.bos_token_id", U32, number(1)),
            ("tokenizer.ggml.eos_token_id", U32, number(2)),
            ("tokenizer.ggml.add_space_prefix", BOOL, b"\x01"),
        ]
    write_gguf(sys.argv[2], pieces, tokenizer)


if __name__ == "__main__":
    main()
