"""Tests of scripts/distil-text: run with `python3 -m unittest discover scripts/tests`."""

import contextlib
import io
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

from loading import load_script

distil = load_script("distil-text")
SCRIPT = Path(__file__).resolve().parent.parent / "distil-text"

# Stands in for the program: says each source backwards, and nothing of one that is called "mute".
TRANSLATOR = """#!/usr/bin/env python3
import json, pathlib, sys
option = lambda name: sys.argv[sys.argv.index(name) + 1]
if option("--model") == "broken":
    sys.exit("error: broken: expected a model")
folder = pathlib.Path(option("--output")) / "kinf"
folder.mkdir()
sources = open(option("--source")).read().splitlines()
say = lambda text: "" if text == "mute" else option("--to") + " " + text[::-1]
(folder / "instances.log").write_text("".join(json.dumps({"prediction": say(s)}) + "\\n" for s in sources))
"""


class DistilText(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.program, self.text, self.output = (self.root / name for name in ("tandem", "train.tsv", "out/taught.tsv"))
        self.program.write_text(TRANSLATOR)
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)
        self.text.write_text("set\tsource\tde\tfr\ntalks\tone two\teins\t\ntalks\tone two\t\tun\ntalks\tmute\t\t\n"
                             "talks\ta b c d e\t\t\nnews\tno\tnein\t\n")  # fmt: skip

    def run_script(self, *options, model="m.gguf", sets="talks"):
        return subprocess.run([SCRIPT, "--text", self.text, "--sets", sets, "--model", model, "--output", self.output,
                               "--program", self.program, "--most-words", "4", *options],
                              capture_output=True, text=True, check=False)  # fmt: skip

    def test_each_source_of_the_sets_comes_once_with_what_the_model_wrote(self):
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = self.output.read_text().splitlines()
        self.assertEqual(lines, ["set\tsource\tde\tfr", "talks-taught\tone two\tde owt eno\tfr owt eno"])
        self.assertIn("2 of 2 sentences", done.stderr)

    def test_goes_on_after_a_stop_and_does_nothing_twice(self):
        self.assertEqual(self.run_script("--limit", "1").returncode, 0)
        with open(self.output, "a") as file:
            file.write("talks-taught\tone tw")  # what a stop in the middle of writing leaves
        self.assertEqual(self.run_script().returncode, 0)
        self.assertEqual(self.output.read_text().count("one tw"), 1)
        again = self.run_script()
        self.assertEqual((again.returncode, again.stderr), (0, ""))

    def test_a_table_of_other_columns_is_left_alone(self):
        self.assertEqual(self.run_script().returncode, 0)
        done = self.run_script("--to", "it")
        self.assertEqual(done.returncode, 1)
        self.assertIn("expected the columns ['set', 'source', 'it'], the same sources", done.stderr)
        self.assertIn("the same sources", self.run_script(sets="news").stderr)

    def test_a_file_of_somebody_else_is_not_written_over(self):
        self.output.parent.mkdir()
        self.output.write_text("mine\n")
        done = self.run_script()
        self.assertEqual((done.returncode, self.output.read_text()), (1, "mine\n"))
        self.assertIn("both or neither", done.stderr)

    def test_bad_input_is_named(self):
        for options, expected in (({"sets": "chat"}, "expected sets of news, talks, got chat"),
                                  ({"model": "broken"}, "expected a model")):  # fmt: skip
            with self.subTest(expected):
                done = self.run_script(**options)
                self.assertEqual(done.returncode, 1)
                self.assertIn(expected, done.stderr)
        for ratio, expected in (("it=1", "expected languages of de, fr, got it"), ("de=nan", "got 'de=nan'")):
            self.assertIn(expected, self.run_script("--most-target-words", ratio).stderr)
        self.text.write_text("set\tsource\ntalks\n")
        self.assertIn(f"{self.text}:2: expected tab-separated columns", self.run_script().stderr)
        self.text.write_text("source\tde\n")
        self.assertIn(f"{self.text}:1: expected columns set and source first", self.run_script().stderr)

    def test_what_runs_on_is_left_out(self):
        self.assertTrue(distil.is_usable("one two", "eins zwei drei vier fünf sechs"))
        self.assertFalse(distil.is_usable("one two", "eins " * 7))
        self.assertFalse(distil.is_usable("one", ""))
        self.assertTrue(distil.is_usable("one two", "eins zwei drei", 1.5))
        self.assertFalse(distil.is_usable("one two", "eins zwei drei", 1.4))

    def test_what_is_long_in_one_language_is_left_out_there(self):
        self.assertEqual(self.run_script("--most-target-words", "de=1.4").returncode, 0)
        self.assertEqual(self.output.read_text().splitlines()[1], "talks-taught\tone two\t\tfr owt eno")
        self.assertIn("the same sources and ratios", self.run_script().stderr)

    def test_order_is_drawn_from_the_seed(self):
        self.text.write_text("set\tsource\n" + "".join(f"talks\t{n}\n" for n in range(50)))
        order = lambda seed: distil.read_sources(self.text, ["talks"], 45, seed)
        self.assertEqual(order(1), order(1))
        self.assertNotEqual(order(1), order(2))
        self.assertEqual(sorted(order(1)), sorted(order(2)))
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
            distil.read_sources(self.root / "none.tsv", ["talks"], 45, 1)


if __name__ == "__main__":
    unittest.main()
