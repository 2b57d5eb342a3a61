"""Tests of scripts/train-default with a stand-in program: run with `python3 -m unittest discover scripts/tests`."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "train-default"

# Writes down how it was called; "trains" by writing the model file, "quantises" by copying. A training can be cut.
PROGRAM = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
case "$1" in
  train) [ -f "$here/cut" ] && { rm "$here/cut"; exit 1; }; mkdir -p "$here/out"; echo w >"$here/out/model.gguf" ;;
  quantize) cp "$2" "$3" ;;
esac
"""

RECIPE = """# train = "not this"
[data]
train = [{ tsv = "text/train.tsv" }]
dev = [{ tsv = "text/dev.tsv" }]
[output]
model_path = "out/model.gguf"  # from this folder
"""


class TrainDefault(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "recipe.toml").write_text(RECIPE)
        (self.folder / "program").write_text(PROGRAM)
        (self.folder / "program").chmod(0o755)

    def call(self, *more):
        f = self.folder
        options = [
            "--data",
            f / "data",
            "--recipe",
            f / "recipe.toml",
            "--program",
            f / "program",
            "--output",
            f / "model" / "q8.gguf",
        ]
        return subprocess.run([SCRIPT, *options, *more], capture_output=True, text=True)

    def give_text(self):
        (self.folder / "text").mkdir()
        for name in ("train.tsv", "dev.tsv"):
            (self.folder / "text" / name).write_text("set\tsource\tde\tfr\n")

    def test_trains_with_the_recipe_and_quantises_what_it_names(self):
        self.give_text()
        done = self.call()
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = (self.folder / "calls").read_text().splitlines()
        self.assertEqual(calls[0], f"train --config {self.folder}/recipe.toml --resume")
        self.assertTrue(calls[1].startswith(f"quantize {self.folder}/out/model.gguf "))
        self.assertTrue(calls[1].endswith("--type q8_0"))
        self.assertEqual([p.name for p in (self.folder / "model").iterdir()], ["q8.gguf"])

    def test_a_stopped_training_leaves_no_model_and_the_same_command_goes_on(self):
        self.give_text()
        (self.folder / "cut").touch()
        self.assertNotEqual(self.call().returncode, 0)
        self.assertFalse((self.folder / "model").exists())
        self.assertEqual(self.call().returncode, 0)
        self.assertTrue((self.folder / "model" / "q8.gguf").exists())

    def test_without_text_it_says_what_it_expected(self):
        done = self.call()
        self.assertEqual(done.returncode, 1)
        self.assertIn("data/text with the public sets", done.stderr)
        self.assertFalse((self.folder / "calls").exists())

    def make_tree(self):
        """A checkout with stand-ins for the scripts that it calls and for the recipes; the former write down their options."""
        root = self.folder / "tree"
        for name in ("scripts", "recipes", "text-of-tests/text"):
            (root / name).mkdir(parents=True)
        shutil.copy(SCRIPT, root / "scripts")
        for name, does in (("prepare-data", 'echo "$*" >>prepared\nmkdir -p "$4" && touch "$4/train.tsv" "$4/dev.tsv"'),
                           ("fetch-model", 'echo fetched; echo "/models/$1.gguf"'),
                           ("distil-text", 'echo "$*" >>distilled')):  # fmt: skip
            (root / "scripts" / name).write_text(f"#!/bin/sh\n{does}\n")
            (root / "scripts" / name).chmod(0o755)
        for name, text in (("en-de-fr", "text"), ("brief", "brief"), ("taught", "brief")):
            recipe = RECIPE.replace("text/", f"../{text}/").replace("out/", f"{self.folder}/out/")
            if name == "taught":
                recipe = recipe.replace('train.tsv" }]', 'train.tsv" }, { tsv = "../brief/taught.tsv" }]')
            (root / f"recipes/default-{name}.toml").write_text(recipe)
        return root

    def call_tree(self, root, *more):
        command = [root / "scripts/train-default", "--data", root / "text-of-tests", "--program", self.folder / "program"]
        done = subprocess.run([*command, *more], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((root / "models/default.gguf").exists())
        return [call.split() for call in (self.folder / "calls").read_text().splitlines()]

    def test_without_a_recipe_it_makes_all_stages_from_text_of_their_own(self):
        root = self.make_tree()
        calls = self.call_tree(root)
        self.assertEqual([call[0] for call in calls], ["train"] * 3 + ["quantize"])
        self.assertEqual(
            [Path(call[2]).name for call in calls[:3]],
            ["default-en-de-fr.toml", "default-brief.toml", "default-taught.toml"],
        )
        plain, brief = (root / "prepared").read_text().splitlines()
        self.assertNotIn("--most-target-words", plain)
        self.assertIn("brief.part --most-target-words iwslt17=1 ", brief)
        distilled = (root / "distilled").read_text()
        self.assertIn(f"--text {root}/text/train.tsv --sets iwslt17,", distilled)
        self.assertIn("--model /models/gemma-3-270m.gguf --adapter models/gemma-3-270m-stream.lora.gguf", distilled)
        self.assertIn(f"--output {root}/brief/taught.tsv", distilled)

    def test_without_a_teacher_there_are_two_stages(self):
        root = self.make_tree()
        calls = self.call_tree(root, "--without-teacher")
        self.assertEqual([call[0] for call in calls], ["train", "train", "quantize"])
        self.assertFalse((root / "distilled").exists())

    def test_usage(self):
        self.assertEqual(self.call("--speed").returncode, 2)
        self.assertEqual(subprocess.run([SCRIPT], capture_output=True).returncode, 2)


if __name__ == "__main__":
    unittest.main()
