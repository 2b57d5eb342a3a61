#!/usr/bin/python3
"""Training throughput beside PyTorch: the same network, batches, precision and optimiser, in turns on one machine.

    bench/train_throughput.py [--config recipes/default-en-de-fr.toml] [--steps 30] [--rounds 3] [--threads N]

Each round trains both from scratch on the first STEPS batches of the recipe's run: first `tandem train`, then a decoder
in plain PyTorch (nn.Module, autocast to the recipe's type, torch.optim.AdamW), which gets the trainer's batches from a file
(dump_batches.cpp), laid out beforehand. The trainer's time includes drawing and laying out its batches. Both use AdamW,
whatever the recipe says; PyTorch clips the gradient too. Rows are those of the batches, padding not counted; the
first WARM_UP steps are not timed. Printed: rows/s, medians over the rounds with their range, and the ratio.

Needs a build with -DTANDEM_TRAIN=ON -DTANDEM_BENCH=ON, the training text that the recipe names, and Debian's
python3-torch, which runs on the very libtorch that the trainer is linked to. Nothing else should run meanwhile.
"""

import argparse
import csv
import json
import os
import statistics
import struct
import subprocess
import sys
import time
import tomllib
from array import array
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 5


# The recipe, changed for a short run


def to_toml(value):
    """TOML of a parsed TOML value: sections of plain values, lists and inline tables, as recipes have them."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {to_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def matmul_of(recipe):
    """"bf16" or "f32": the recipe's products, "auto" as the trainer understands it on this machine."""
    asked = recipe["optimiser"].get("matmul", "auto")
    if asked != "auto":
        return asked
    return "bf16" if "avx512_bf16" in Path("/proc/cpuinfo").read_text() else "f32"


def short_recipe(recipe, folder, work, steps):
    """The recipe for `steps` steps with AdamW, logged at WARM_UP and at its end, without validation text."""
    data = {**recipe["data"], "train": [absolute(file, folder) for file in recipe["data"]["train"]]}
    data.pop("dev", None)
    optimiser = {**recipe["optimiser"], "kind": "adamw", "total_steps": steps, "warmup_steps": min(steps, 10),
                 "matmul": matmul_of(recipe)}  # fmt: skip
    output = {"model_path": str(work / "model.gguf"), "checkpoint_dir": str(work / "run"),
              "checkpoint_every_seconds": 100000, "validate_every_steps": WARM_UP}  # fmt: skip
    short = {**recipe, "data": data, "optimiser": optimiser, "output": output}
    return "".join(f"{name} = {to_toml(section)}\n" for name, section in short.items())


def absolute(file, folder):
    is_path = {"tsv", "source", "target"}
    return {key: str((folder / value).resolve()) if key in is_path else value for key, value in file.items()}


# Ours


def train_ours(args, work):
    """{step: seconds} of the log of one run."""
    for name in ("checkpoint.bin", "checkpoint.previous.bin", "log.csv"):
        (work / "run" / name).unlink(missing_ok=True)
    command = [args.program, "train", "--config", work / "short.toml", "--threads", str(args.threads)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"train_throughput: tandem train: {done.stderr.strip().splitlines()[-1:]}")
    with open(work / "run" / "log.csv", newline="") as file:
        return {int(row["step"]): float(row["seconds"]) for row in csv.DictReader(file)}


# The batches


def read_batches(path):
    """What dump_batches.cpp wrote: a dict of arrays per batch."""
    batches, bytes_ = [], path.read_bytes()
    at = 0

    def take(kind, count):
        nonlocal at
        values = array(kind, bytes_[at : at + 4 * count])
        at += 4 * count
        return values

    while at < len(bytes_):
        sequences, places, rows, labels = struct.unpack_from("4i", bytes_, at)
        at += 16
        batch = {"sequences": sequences, "places": places}
        for name, count in (("tokens", rows), ("place", rows), ("doubled_position", rows), ("label_rows", labels),
                            ("labels", labels)):  # fmt: skip
            batch[name] = take("i", count)
        batch["mask"] = take("f", sequences * places * places)
        batches.append(batch)
    return batches


# PyTorch's


def make_decoder(torch, shape):
    """LLaMA-type decoder over padded batches [sequences, places], as one writes it in PyTorch."""
    nn, functional = torch.nn, torch.nn.functional

    class RmsNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(shape["width"]))

        def forward(self, x):
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.gain

    def rotate(x, cosine, sine):  # [sequences, heads, places, head_dim], halves of a head turned against each other
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cosine - b * sine, a * sine + b * cosine], dim=-1)

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            width, kv = shape["width"], shape["n_kv_heads"] * shape["width"] // shape["n_heads"]
            self.attention_norm, self.ffn_norm = RmsNorm(), RmsNorm()
            self.qkv = nn.Linear(width, width + 2 * kv, bias=False)
            self.attention_out = nn.Linear(width, width, bias=False)
            self.gate_up = nn.Linear(width, 2 * shape["ff_width"], bias=False)
            self.down = nn.Linear(shape["ff_width"], width, bias=False)
            self.kv = kv

        def attend(self, h, cosine, sine, mask):
            sequences, places, width = h.shape
            head_dim = width // shape["n_heads"]
            q, k, v = self.qkv(h).split([width, self.kv, self.kv], dim=-1)
            q, k, v = (x.view(sequences, places, -1, head_dim).transpose(1, 2) for x in (q, k, v))
            q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
            if self.kv != width:
                k, v = (x.repeat_interleave(width // self.kv, dim=1) for x in (k, v))
            scores = q @ k.transpose(-1, -2) * head_dim**-0.5 + mask
            mixed = torch.softmax(scores, dim=-1) @ v
            return self.attention_out(mixed.transpose(1, 2).reshape(sequences, places, width))

        def forward(self, x, cosine, sine, mask):
            x = x + self.attend(self.attention_norm(x), cosine, sine, mask)
            gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, dim=-1)
            return x + self.down(functional.silu(gate) * up)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(shape["vocabulary"], shape["width"])
            nn.init.normal_(self.embedding.weight, std=0.04)
            self.layers = nn.ModuleList(Layer() for _ in range(shape["n_layers"]))
            self.norm = RmsNorm()
            half = shape["width"] // shape["n_heads"] // 2
            self.register_buffer("frequencies", shape["rope_base"] ** (-torch.arange(half) / half))

        def forward(self, batch):
            angles = batch["positions"].unsqueeze(-1) * self.frequencies  # [sequences, places, head_dim / 2]
            cosine, sine = angles.cos().unsqueeze(1), angles.sin().unsqueeze(1)
            x = self.embedding(batch["tokens"])
            for layer in self.layers:
                x = layer(x, cosine, sine, batch["mask"])
            labelled = x.flatten(0, 1)[batch["label_places"]]  # only rows that have a label get logits
            return functional.linear(self.norm(labelled), self.embedding.weight)

    return Decoder()


def pad(torch, batch):
    """A batch of the trainer as padded tensors. Padding sees all, so that its softmax is a number; nobody sees it."""
    sequences, places = batch["sequences"], batch["places"]
    place = torch.tensor(batch["place"], dtype=torch.long)
    tokens = torch.zeros(sequences * places, dtype=torch.long)
    positions = torch.zeros(sequences * places)
    tokens[place] = torch.tensor(batch["tokens"], dtype=torch.long)
    positions[place] = torch.tensor(batch["doubled_position"], dtype=torch.float) / 2
    mask = torch.tensor(batch["mask"]).view(sequences, places, places)
    sees_nothing = mask.isinf().all(dim=-1, keepdim=True)
    return {
        "tokens": tokens.view(sequences, places),
        "positions": positions.view(sequences, places),
        "mask": mask.masked_fill(sees_nothing, 0.0).unsqueeze(1),
        "label_places": place[torch.tensor(batch["label_rows"], dtype=torch.long)],
        "labels": torch.tensor(batch["labels"], dtype=torch.long),
    }


def train_torch(torch, batches, shape, recipe):
    """Seconds of each step, and the losses: they say that it learns."""
    optimiser_options = recipe["optimiser"]
    torch.manual_seed(1)
    model = make_decoder(torch, shape)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98),
                                  weight_decay=optimiser_options.get("weight_decay", 0.01))  # fmt: skip
    is_bfloat16 = matmul_of(recipe) == "bf16"
    smoothing = optimiser_options.get("label_smoothing", 0.0)
    seconds, losses = [], []
    for batch in batches:
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_bfloat16):
            logits = model(batch)
            loss = torch.nn.functional.cross_entropy(logits, batch["labels"], label_smoothing=smoothing)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    return seconds, losses


# Both


def shape_of(recipe):
    defaults = {"n_layers": 6, "width": 256, "n_heads": 4, "n_kv_heads": 4, "ff_width": 768, "rope_base": 10000.0}
    shape = {name: recipe["model"].get(name, value) for name, value in defaults.items()}
    return {**shape, "vocabulary": recipe["vocabulary"].get("size", 8000)}


def report(ours, theirs):
    """Lines of the table: medians of rows/s with their range, and the ratio of the medians."""
    lines = [f"{'':<24} {'rows/s':>8} {'(min - max)':>16} {'vs PyTorch':>11}"]
    for name, rates in (("tandem train", ours), ("PyTorch", theirs)):
        ratio = statistics.median(rates) / statistics.median(theirs)
        spread = f"({min(rates):.0f} - {max(rates):.0f})"
        lines.append(f"{name:<24} {statistics.median(rates):>8.0f} {spread:>16} {ratio:>11.2f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "recipes/default-en-de-fr.toml")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/tandem")
    parser.add_argument("--work", type=Path, default=ROOT / "build/train-throughput")
    parser.add_argument(
        "--steps", type=int, default=30, help="of each run, a multiple of %d above it (default: 30)" % WARM_UP
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    if args.steps <= WARM_UP or args.steps % WARM_UP:  # the trainer logs every WARM_UP steps
        parser.error(f"--steps: expected a multiple of {WARM_UP} above it, got {args.steps}")
    try:
        import torch
    except ImportError:
        sys.exit("train_throughput: expected PyTorch: apt-get install python3-torch, and /usr/bin/python3")
    torch.set_num_threads(args.threads)

    recipe = tomllib.loads(args.config.read_text())
    work = args.work.resolve()
    (work / "run").mkdir(parents=True, exist_ok=True)
    (work / "short.toml").write_text(short_recipe(recipe, args.config.resolve().parent, work, args.steps))
    ours, theirs, batches = [], [], None
    for round_ in range(args.rounds):
        log = train_ours(args, work)
        if batches is None:
            dump = args.program.resolve().parent / "bench" / "bench_dump_batches"
            subprocess.run([dump, "--config", work / "short.toml", "--batches", str(args.steps), "--output", work / "batches.bin"], check=True)  # fmt: skip
            raw = read_batches(work / "batches.bin")
            n_rows = sum(len(batch["tokens"]) for batch in raw[WARM_UP:])
            batches = [pad(torch, batch) for batch in raw]
        ours.append(n_rows / (log[args.steps] - log[WARM_UP]))
        seconds, losses = train_torch(torch, batches, shape_of(recipe), recipe)
        theirs.append(n_rows / sum(seconds[WARM_UP:]))
        print(f"round {round_ + 1}: {ours[-1]:.0f} and {theirs[-1]:.0f} rows/s; PyTorch's loss {losses[0]:.2f} -> "
              f"{losses[-1]:.2f}", file=sys.stderr, flush=True)  # fmt: skip
    print(
        f"PyTorch {torch.__version__}, {args.threads} threads, {args.rounds} rounds of {args.steps} steps, "
        f"{n_rows} rows timed"
    )
    print(report(ours, theirs))


if __name__ == "__main__":
    main()
