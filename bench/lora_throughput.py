#!/usr/bin/python3
"""LoRA training beside PyTorch: the same network, batches, precision, rank and optimiser, in turns on one machine.

    bench/lora_throughput.py [--config recipes/gemma-3-270m-en-de-fr.toml] [--steps 10] [--rounds 3] [--threads N]

Each round trains an adapter on the first STEPS batches of the recipe's run: first `tandem train`, then a Gemma 3 decoder
in plain PyTorch (frozen nn.Linear and autocast in the recipe's type, A and B in float32, torch.optim.AdamW) of the
base's own shape on the trainer's batches (dump_batches.cpp). PyTorch's weights are random: the time of a step does not depend on them. Rows
are those of the batches, padding not counted; the first WARM_UP steps are not timed. Printed: rows/s and tokens/s
(labels), medians over the rounds with their range, the ratio, and the peak memory of each process.

Needs what train_throughput.py needs, and the base that the recipe names. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from train_throughput import ROOT, WARM_UP, matmul_of, pad, read_batches, short_recipe, train_ours

TARGETS = ("q", "k", "v", "out", "gate", "up", "down")


def make_decoder(torch, shape, rank, dtype):
    """Gemma 3 over padded batches, its weights frozen, an adapter on every matrix of every layer."""
    nn, functional = torch.nn, torch.nn.functional
    width, heads, kv_heads, head_dim, inner = (shape[name] for name in ("width", "heads", "kv_heads", "head_dim", "inner"))

    class RmsNorm(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(size), requires_grad=False)

        def forward(self, x):
            x = x.float()
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.gain

    class Adapted(nn.Module):
        def __init__(self, n_in, n_out):
            super().__init__()
            self.weight = nn.Parameter((torch.randn(n_out, n_in) * n_in**-0.5).to(dtype), requires_grad=False)
            self.a = nn.Parameter(torch.randn(rank, n_in) * n_in**-0.5)
            self.b = nn.Parameter(torch.zeros(n_out, rank))

        def forward(self, x):
            return functional.linear(x, self.weight) + functional.linear(functional.linear(x, self.a), self.b)

    def rotate(x, cosine, sine):
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cosine - b * sine, a * sine + b * cosine], dim=-1)

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList(RmsNorm(width) for _ in range(4))
            self.q_norm, self.k_norm = RmsNorm(head_dim), RmsNorm(head_dim)
            self.q, self.out = Adapted(width, heads * head_dim), Adapted(heads * head_dim, width)
            self.k, self.v = Adapted(width, kv_heads * head_dim), Adapted(width, kv_heads * head_dim)
            self.gate, self.up, self.down = Adapted(width, inner), Adapted(width, inner), Adapted(inner, width)

        def attend(self, h, turn, mask):
            sequences, places, _ = h.shape
            q, k, v = (f(h).view(sequences, places, -1, head_dim).transpose(1, 2) for f in (self.q, self.k, self.v))
            q, k = rotate(self.q_norm(q), *turn), rotate(self.k_norm(k), *turn)
            k, v = (x.repeat_interleave(heads // kv_heads, dim=1) for x in (k, v))
            mixed = torch.softmax(q @ k.transpose(-1, -2) * head_dim**-0.5 + mask, dim=-1) @ v
            return self.out(mixed.transpose(1, 2).reshape(sequences, places, heads * head_dim))

        def forward(self, x, turn, mask):
            x = x + self.norms[1](self.attend(self.norms[0](x), turn, mask))
            h = self.norms[2](x)
            inner_rows = functional.gelu(self.gate(h), approximate="tanh") * self.up(h)
            return x + self.norms[3](self.down(inner_rows))

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            frozen = lambda rows: nn.Parameter((torch.randn(rows, width) * 0.04).to(dtype), requires_grad=False)
            self.embedding, self.head = frozen(shape["vocabulary"]), frozen(shape["classes"])
            self.layers, self.norm = nn.ModuleList(Layer() for _ in range(shape["layers"])), RmsNorm(width)
            self.register_buffer("frequencies", 10000.0 ** (-torch.arange(head_dim // 2) / (head_dim // 2)))

        def forward(self, batch):
            angles = batch["positions"].unsqueeze(-1) * self.frequencies
            turn = angles.cos().unsqueeze(1), angles.sin().unsqueeze(1)
            x = functional.embedding(batch["tokens"], self.embedding).float() * width**0.5
            for layer in self.layers:
                x = layer(x, turn, batch["mask"])
            return functional.linear(self.norm(x.flatten(0, 1)[batch["label_places"]]), self.head)

    return Decoder()


def train_torch(torch, batches, shape, recipe):
    """Seconds of each step, and the losses: they say that it learns."""
    torch.manual_seed(1)
    is_bfloat16 = matmul_of(recipe) == "bf16"
    model = make_decoder(torch, shape, recipe["lora"]["rank"], torch.bfloat16 if is_bfloat16 else torch.float32)
    adapters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(adapters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)
    seconds, losses = [], []
    for batch in batches:
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_bfloat16):
            loss = torch.nn.functional.cross_entropy(model(batch), batch["labels"] % shape["classes"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adapters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    return seconds, losses


def shape_of(program, base, adapter):
    """Numbers of the base's network, from the program's own account of it."""
    inspect = lambda path: json.loads(subprocess.check_output([program, "inspect", path, "--json"]))
    network = inspect(base)["network"]
    return {"width": network["width"], "heads": network["heads"], "kv_heads": network["kv_heads"],
            "head_dim": network["head_dim"], "inner": network["ff_width"], "layers": network["layers"],
            "vocabulary": network["vocabulary"], "classes": inspect(adapter)["stream"]["kept_ids"]}  # fmt: skip


def report(ours, theirs, memory):
    """A line each: medians of rows/s and tokens/s with the range of the first, the ratio, and the peak memory."""
    lines = [f"{'':<14} {'rows/s':>8} {'(min - max)':>14} {'tokens/s':>9} {'vs PyTorch':>11} {'peak memory':>12}"]
    base = statistics.median(rows for rows, _ in theirs)
    for name, rates, peak in (("tandem train", ours, memory[0]), ("PyTorch", theirs, memory[1])):
        rows = [rate for rate, _ in rates]
        middle = statistics.median(rows)
        spread = f"({min(rows):.0f} - {max(rows):.0f})"
        tokens = statistics.median(rate for _, rate in rates)
        lines.append(f"{name:<14} {middle:>8.0f} {spread:>14} {tokens:>9.0f} {middle / base:>11.2f} {peak:>8.1f} GiB")
    return "\n".join(lines)


def gib(who):
    return resource.getrusage(who).ru_maxrss / (1 << 20)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "recipes/gemma-3-270m-en-de-fr.toml")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/tandem")
    parser.add_argument("--work", type=Path, default=ROOT / "build/lora-throughput")
    parser.add_argument("--steps", type=int, default=10, help="a multiple of %d above it (default: 10)" % WARM_UP)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    if args.steps <= WARM_UP or args.steps % WARM_UP:
        parser.error(f"--steps: expected a multiple of {WARM_UP} above it, got {args.steps}")
    try:
        import torch
    except ImportError:
        sys.exit("lora_throughput: expected PyTorch: apt-get install python3-torch, and /usr/bin/python3")
    torch.set_num_threads(args.threads)

    recipe = tomllib.loads(args.config.read_text())
    folder, work = args.config.resolve().parent, args.work.resolve()
    recipe["base"]["model"] = str((folder / recipe["base"]["model"]).resolve())
    (work / "run").mkdir(parents=True, exist_ok=True)
    (work / "short.toml").write_text(short_recipe(recipe, folder, work, args.steps))
    ours, theirs, batches, ours_peak = [], [], None, 0.0
    for round_ in range(args.rounds):
        log = train_ours(args, work)
        ours_peak = ours_peak or gib(resource.RUSAGE_CHILDREN)  # before any other child has run
        if batches is None:
            dump = args.program.resolve().parent / "bench" / "bench_dump_batches"
            subprocess.run([dump, "--config", work / "short.toml", "--batches", str(args.steps),
                            "--output", work / "batches.bin"], check=True)  # fmt: skip
            raw = read_batches(work / "batches.bin")
            n_rows, n_labels = (sum(len(batch[name]) for batch in raw[WARM_UP:]) for name in ("tokens", "labels"))
            batches = [pad(torch, batch) for batch in raw]
            shape = shape_of(args.program, recipe["base"]["model"], work / "model.gguf")
        spent = log[args.steps] - log[WARM_UP]
        ours.append((n_rows / spent, n_labels / spent))
        seconds, losses = train_torch(torch, batches, shape, recipe)
        spent = sum(seconds[WARM_UP:])
        theirs.append((n_rows / spent, n_labels / spent))
        print(f"round {round_ + 1}: {ours[-1][0]:.0f} and {theirs[-1][0]:.0f} rows/s; PyTorch's loss {losses[0]:.2f} -> "
              f"{losses[-1]:.2f}", file=sys.stderr, flush=True)  # fmt: skip
    print(f"PyTorch {torch.__version__}, {args.threads} threads, {args.rounds} rounds of {args.steps} steps, {n_rows} rows "
          f"timed, rank {recipe['lora']['rank']}, {shape['classes']} of {shape['vocabulary']} pieces kept, "
          f"products in {matmul_of(recipe)}")  # fmt: skip
    print(report(ours, theirs, (ours_peak, gib(resource.RUSAGE_SELF))))


if __name__ == "__main__":
    main()
