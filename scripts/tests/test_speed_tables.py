"""Tests of scripts/speed_tables.py and of the parts of scripts/results that fill docs/benchmarks.md."""

import contextlib
import io
import json
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

from loading import load_script

results = load_script("results")
import speed_tables  # noqa: E402  (results puts scripts/ on the path)


def measured(**figures):
    """Each figure with a least and a most around it."""
    row = {}
    for name, value in figures.items():
        row |= {name: value, name + "_min": value * 0.9, name + "_max": value * 1.1}
    return row


def contestant(key, part="text", ms=2.0, offline=1.25, streaming=1.0, **more):
    return {"part": part, "contestant": key, "name": "the " + key, "passes_per_token": 1.02, "rows_per_token": 2.5, **more,
            **measured(ms_per_token=ms, tokens_per_second=1000 / ms, times_offline=offline, times_streaming=streaming)}  # fmt: skip


def sessions(n, tokens_per_second):
    return {"sessions": n, "bytes_per_session": 4096, **measured(
        tokens_per_second=tokens_per_second, words_per_second=tokens_per_second / 2, p50_commit_ms=3.0, p99_commit_ms=9.0,
        passes_per_token=1.1, rows_per_pass=2.0)}  # fmt: skip


class Stream(unittest.TestCase):
    BENCHED = speed_tables.BENCHED[0]

    def test_a_line_has_its_own_figures_and_texts_only_where_they_are_compared(self):
        rows = [contestant("offline", ms=1.6), contestant("no_fork", offline=1.5, lines=100, same_texts=99)]
        lines = speed_tables.contest_table(rows).splitlines()
        self.assertEqual(len({line.count("|") for line in lines}), 1)
        self.assertEqual(lines[2], "| the offline | 1.60 | 1.44 - 1.76 | 1.25 | 1.00 | 625 | 1.02 | 2.50 |  |")
        self.assertTrue(lines[3].endswith("| 99/100 |"))

    def test_lengths_are_in_the_order_of_the_run_and_each_ratio_is_of_its_own_length(self):
        rows = []
        for words, ratio in ((200, 9.0), (30, 3.0)):
            for key in ("offline", "streaming", "reference", "reencode", "reencode_prefix", "interleaved"):
                streaming = ratio if key == "reencode" else 1.5
                rows.append(contestant(key, "length", streaming=streaming, offline=1.3, words=words))
        lines = speed_tables.lengths_table(rows).splitlines()
        self.assertEqual(lines[2], "| 200 | 2.00 | 1.30 | 1.50 | 9.00 | 1.50 | 1.50 |")
        self.assertEqual(lines[3], "| 30 | 2.00 | 1.30 | 1.50 | 3.00 | 1.50 | 1.50 |")

    def test_parts_that_were_not_run_leave_nothing_behind(self):
        section = speed_tables.stream_section(self.BENCHED, "Machine: m.", "run this", [contestant("offline")])
        self.assertIn("    run this\n", section)
        self.assertNotIn("Two targets", section)
        self.assertNotIn("length", section)

    def test_the_cost_of_two_targets_is_said_with_its_spread(self):
        cost = {"part": "cost_of_two_targets", "to": "de", "second": "fr", **measured(times_one=1.4)}
        section = speed_tables.stream_section(self.BENCHED, "Machine: m.", "run this", [contestant("offline"), cost])
        self.assertIn("Two targets of one source (`de`, `fr`) cost 1.40 (1.26 - 1.54) of one.", section)


class Sessions(unittest.TestCase):
    def test_ratios_are_to_one_session_and_to_libllama(self):
        lines = speed_tables.sessions_table([sessions(1, 100), sessions(16, 450)], [50, 60]).splitlines()
        self.assertEqual(
            lines[3], "| 16 | 450 | 405 - 495 | 4.50 | 60 | 7.50 | 225 | 3.0 | 9.0 | 1.10 | 2.0 | 4 |"
        )

    def test_without_one_session_there_is_no_ratio_to_it(self):
        line = speed_tables.sessions_table([sessions(16, 450)], [60]).splitlines()[2]
        self.assertIn("| 405 - 495 |  | 60 | 7.50 |", line)


class Commands(unittest.TestCase):
    def test_flags_stand_alone_and_options_have_their_values(self):
        self.assertEqual(speed_tables.command_words({"--a": "1", "--flag": None}), ["--a", "1", "--flag"])

    def test_generation_is_measured_with_the_lengths_of_streaming_and_nothing_else(self):
        for benched in speed_tables.BENCHED:
            options = benched.generation()
            self.assertEqual(options["--only"], "generation")
            self.assertFalse(set(options) & {"--lengths", "--length-words", "--length-rounds", "--second"})
            self.assertEqual("--dictate" in options, "--dictate" in benched.stream)


class Page(unittest.TestCase):
    def run_part(self, part, limit, outputs):
        """The blocks, the commands that were run, and the names of the files left."""
        commands = []

        def run(command, **_):
            commands.append([str(word) for word in command])
            return outputs[Path(command[0]).name]

        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "bench").mkdir()
            (folder / "bench" / "bench_stream_speed").touch()
            args = types.SimpleNamespace(program=folder / "tandem", threads=2, limit=limit, data=folder, work=folder,
                                         models=["default"])  # fmt: skip
            with mock.patch.multiple(
                results, run=run, unpack=lambda *_: folder / "en", RESULTS=folder, machine_line=lambda: "Machine: m.",
            ), contextlib.redirect_stdout(io.StringIO()):  # fmt: skip
                (blocks,) = results.measured_blocks(part, args)
            files = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
        return blocks, commands, files

    STREAM = json.dumps(contestant("generation", ms=10.0)) + "\n"
    SESSIONS = json.dumps(sessions(1, 150)) + "\n"

    def test_sessions_are_set_against_libllama_on_the_same_file_and_threads(self):
        outputs = {"bench_stream_speed": self.STREAM, "tandem": self.SESSIONS}
        blocks, commands, files = self.run_part("sessions", 0, outputs)
        self.assertEqual(len(commands), 2 * len(speed_tables.BENCHED[0].sessions["--n"].split(",")))
        for peer, own in zip(commands[::2], commands[1::2]):
            for option in ("--model", "--threads"):
                self.assertEqual(peer[peer.index(option) + 1], own[own.index(option) + 1])
        block = blocks["sessions-default"]
        self.assertTrue(block.startswith("### The default model\n\nMachine: m.\n\n"))
        self.assertIn("| 1 | 150 | 135 - 165 | 1.00 | 100 | 1.50 |", block)
        self.assertEqual(set(files), {"sessions-default.txt", "sessions-default.jsonl"})
        self.assertEqual(len(files["sessions-default.jsonl"].splitlines()), len(commands))

    def test_a_part_of_a_run_is_no_result(self):
        outputs = {"bench_stream_speed": self.STREAM, "tandem": self.SESSIONS}
        for part in ("sessions", "stream-speed"):
            blocks, commands, files = self.run_part(part, 5, outputs)
            self.assertEqual((blocks, files), ({}, {}))
            for command in commands:  # no option twice: the program would refuse it
                names = [word for word in command if word.startswith("--")]
                self.assertEqual(len(names), len(set(names)))

    def test_lines_of_many_sessions_are_held_against_those_of_one(self):
        runs = []

        def run(command, **_):
            words = [str(word) for word in command]
            if words[1] == "evaluate":
                option = lambda name: words[words.index(name) + 1]
                runs.append((option("--sessions"), option("--threads")))
                log = Path(option("--output")) / "k3" / "instances.log"
                log.parent.mkdir(parents=True, exist_ok=True)
                lines = ["a", "b" if option("--sessions") == "1" else "c"]
                log.write_text("".join(json.dumps({"prediction": line}) + "\n" for line in lines))
            return json.dumps({"bleu": 30.25})

        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            args = types.SimpleNamespace(program=folder / "tandem", threads=2, limit=0, data=folder, work=folder, models=["m"])
            loaded = speed_tables.Loaded("m", "M", "models/default.gguf", None, (speed_tables.Kind("f16", "f16", {}),), (1, 8))
            with mock.patch.multiple(
                results, run=run, unpack=lambda *_: folder / "en", RESULTS=folder, machine_line=lambda: "Machine: m.",
                LOADED=(loaded,),
            ), contextlib.redirect_stdout(io.StringIO()):  # fmt: skip
                (blocks,) = results.measured_blocks("load", args)
        block = blocks["load-m"]
        self.assertEqual(runs, [("1", "2"), ("8", "2")])
        self.assertIn("| f16 | 1 | 30.25 | 2/2 |", block)
        self.assertIn("| f16 | 8 | 30.25 | 1/2 |", block)

    def test_the_page_has_a_place_for_each_block(self):
        names = [f"{part}-{b.key}" for part in ("stream-speed", "sessions", "passes") for b in speed_tables.BENCHED]
        names += [f"load-{loaded.key}" for loaded in speed_tables.LOADED]
        text = "".join((results.ROOT / "docs" / page).read_text() for page in ("benchmarks.md", "results.md"))
        for name in names:
            self.assertTrue(results.fill(text, name, "figures of " + name) != text, name)


if __name__ == "__main__":
    unittest.main()
