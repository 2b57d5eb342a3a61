"""Tables of docs/benchmarks.md from what bench_stream_speed --json and tandem bench sessions --json print.

Text in, text out: scripts/results runs the programs and fills the page. Every measured figure NAME comes with NAME_min
and NAME_max, its least and most over the rounds.
"""

from dataclasses import dataclass


# Reading 200 words again for each of them takes such models a quarter of an hour.
SHORT = {"--lengths": "10,30,100", "--length-words": "100", "--length-rounds": "1"}


@dataclass(frozen=True)
class Benched:
    """A model of the page, and options by name (None: a flag) beyond model, adapter, language and threads."""

    key: str  # names it in file names, the page's markers and --models
    title: str
    model: str
    adapter: str | None
    stream: dict  # of bench_stream_speed
    sessions: dict  # of tandem bench sessions

    def options(self):
        return {"--model": self.model, **({"--adapter": self.adapter} if self.adapter else {})}

    def generation(self):
        """Options of bench_stream_speed for libllama's plain generation: no second language, no other lengths."""
        return {name: value for name, value in self.stream.items() if name not in ("--second", *SHORT)} | {"--only": "generation"}


BENCHED = (
    Benched("default", "The default model", "models/default.gguf", None,
            {"--second": "fr", "--lengths": "10,30,100,200"}, {"--n": "1,2,4,8,16,32,64,128", "--seconds": "4"}),
    Benched("smollm2", "SmolLM2-135M-Instruct, stock", "models/download/SmolLM2-135M-Instruct.Q4_1.gguf", None,
            {"--lines": "10", "--rounds": "3", "--dictate": None, **SHORT}, {"--n": "1,4,16,64", "--rounds": "2"}),
    Benched("gemma", "Gemma 3 270M with our adapter", "models/download/gemma-3-270m-q4_k_m.gguf",
            "models/gemma-3-270m-stream.lora.gguf",
            {"--lines": "20", "--rounds": "3", "--second": "fr", **SHORT}, {"--n": "1,2,4,8,16,32,64"}),
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What a model is run as: its weights rewritten (None: as the file has them), and options of `tandem evaluate`."""

    name: str
    weights: str | None
    options: dict


@dataclass(frozen=True)
class Loaded:
    key: str
    title: str
    model: str
    adapter: str | None
    kinds: tuple
    sessions: tuple  # at a time, the first of them being the one to compare with


LOADED = (
    Loaded("default", "The default model", "models/default.gguf", None,
           (Kind("f32, cache f32", "f32", {"--cache": "f32"}), Kind("f16", "f16", {}),
            Kind("q8_0, as shipped", None, {}), Kind("q8_0, `--wide never`", None, {"--wide": "never"})),
           (1, 8, 32, 128)),
    Loaded("gemma", "Gemma 3 270M with our adapter", "models/download/gemma-3-270m-q4_k_m.gguf",
           "models/gemma-3-270m-stream.lora.gguf", (Kind("q4_k_m, as shipped", None, {}),), (1, 16, 64)),
)  # fmt: skip


def load_table(rows):
    """rows: (kind, sessions, BLEU, lines as one session writes them, lines)"""
    head = ["weights", "sessions", "BLEU", "as one session writes it"]
    return table(head, [[kind, str(n), f"{bleu:.2f}", f"{same}/{of}"] for kind, n, bleu, same, of in rows])


def command_words(options):
    """As a command line has them."""
    return [word for name, value in options.items() for word in ((name,) if value is None else (name, value))]


def table(head, rows, n_text_columns=1):
    """A Markdown table; columns after the first `n_text_columns` are figures, set to the right."""
    rule = ["---"] * n_text_columns + ["---:"] * (len(head) - n_text_columns)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def spread(row, name, digits):
    """Least and most over the rounds."""
    return f"{row[name + '_min']:.{digits}f} - {row[name + '_max']:.{digits}f}"


def part(rows, name):
    return [row for row in rows if row["part"] == name]


def contest_table(rows):
    head = ["", "ms/token", "least - most", "/ offline", "/ streaming", "tokens/s", "passes/token", "rows/token",
            "same text"]  # fmt: skip
    lines = []
    for row in rows:
        same = f"{row['same_texts']}/{row['lines']}" if "lines" in row else ""
        lines.append([
            row["name"], f"{row['ms_per_token']:.2f}", spread(row, "ms_per_token", 2), f"{row['times_offline']:.2f}",
            f"{row['times_streaming']:.2f}", f"{row['tokens_per_second']:.0f}", f"{row['passes_per_token']:.2f}",
            f"{row['rows_per_token']:.2f}", same])  # fmt: skip
    return table(head, lines)


LENGTHS = (
    ("streaming / offline", "streaming", "offline"),
    ("reference loop / streaming", "reference", "streaming"),
    ("all re-encoded / streaming", "reencode", "streaming"),
    ("prefix reused / streaming", "reencode_prefix", "streaming"),
    ("interleaved / streaming", "interleaved", "streaming"),
)


def lengths_table(rows):
    """A line per length of the source: what streaming takes, and the ratios that grow with it."""
    lines = []
    for n_words in dict.fromkeys(row["words"] for row in rows):
        of = {row["contestant"]: row for row in rows if row["words"] == n_words}
        ratios = [f"{of[contestant]['times_' + yardstick]:.2f}" for _, contestant, yardstick in LENGTHS]
        lines.append([str(n_words), f"{of['streaming']['ms_per_token']:.2f}", *ratios])
    return table(["words", "streaming, ms/token", *(name for name, _, _ in LENGTHS)], lines, 0)


def targets_line(rows):
    (cost,) = rows
    return (
        f"Two targets of one source (`{cost['to']}`, `{cost['second']}`) cost {cost['times_one']:.2f} "
        f"({spread(cost, 'times_one', 2)}) of one."
    )


def stream_section(benched, machine, command, rows):
    parts = [f"### {benched.title}", machine, f"    {command}", contest_table(part(rows, "text"))]
    if part(rows, "cost_of_two_targets"):
        parts.append(targets_line(part(rows, "cost_of_two_targets")))
    if part(rows, "length"):
        parts += ["By the source's length:", lengths_table(part(rows, "length"))]
    return "\n\n".join(parts)


def sessions_table(rows, generation):
    """`generation`: libllama's tokens per second on the same file with as many threads, measured before each row."""
    head = ["sessions", "tokens/s", "least - most", "/ one session", "libllama", "/ libllama", "words/s", "p50 ms",
            "p99 ms", "passes/token", "rows/pass", "KiB/session"]  # fmt: skip
    one = next((row["tokens_per_second"] for row in rows if row["sessions"] == 1), None)
    lines = []
    for row, peer in zip(rows, generation, strict=True):
        rate = row["tokens_per_second"]
        lines.append([
            str(row["sessions"]), f"{rate:.0f}", spread(row, "tokens_per_second", 0), f"{rate / one:.2f}" if one else "",
            f"{peer:.0f}", f"{rate / peer:.2f}", f"{row['words_per_second']:.0f}", f"{row['p50_commit_ms']:.1f}",
            f"{row['p99_commit_ms']:.1f}", f"{row['passes_per_token']:.2f}", f"{row['rows_per_pass']:.1f}",
            f"{row['bytes_per_session'] / 1024:.0f}"])  # fmt: skip
    return table(head, lines, 0)


def sessions_section(benched, machine, commands, rows, peers):
    """`peers`: bench_stream_speed's objects of libllama's generation, one measured before each of `rows`."""
    return "\n\n".join([
        f"### {benched.title}", machine, "\n".join(f"    {command}" for command in commands),
        sessions_table(rows, [peer["tokens_per_second"] for peer in peers])])  # fmt: skip
