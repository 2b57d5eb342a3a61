"""Tests of scripts/import-hf with a stand-in converter: run with `python3 -m unittest discover scripts/tests`."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "import-hf"

# In the environment's place: writes the file it is asked for, or fails as the converter does, after beginning it.
CONVERTER = """#!/bin/sh
echo "$*" >"$(dirname "$0")/called"
[ -f "$2/fail" ] && { echo half >"$4"; echo 'Traceback'; echo 'ValueError: no such tensor'; echo; exit 1; }
echo "$6" >"$4"
"""


def safetensors(n_bytes=16):
    header = json.dumps({"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "data_offsets": [0, n_bytes]}})
    return len(header).to_bytes(8, "little") + header.encode() + bytes(n_bytes)


class ImportHf(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        self.environment = self.place / "cache/tandem/converter-0.3.36"
        (self.environment / "bin").mkdir(parents=True)
        (self.environment / "bin/python").write_text(CONVERTER)
        (self.environment / "bin/python").chmod(0o755)
        (self.environment / "whole").touch()
        self.folder = self.place / "a model"
        self.folder.mkdir()
        (self.folder / "config.json").write_text('{"architectures": ["Qwen2ForCausalLM"]}')
        (self.folder / "tokenizer.json").write_text("{}")
        (self.folder / "model.safetensors").write_bytes(safetensors())
        (self.place / "to").mkdir()

    def call(self, *more, out="to/o'ne.gguf"):
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.place / "cache"), "TMPDIR": str(self.place)}
        command = [SCRIPT, self.folder, self.place / out, *more]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def expect_refusal(self, *words, **options):
        done = self.call(**options)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse((self.environment / "bin/called").exists())
        self.assertEqual(list((self.place / "to").iterdir()), [])

    def test_writes_the_file_and_leaves_nothing_else(self):
        done = self.call("q8_0")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([path.name for path in (self.place / "to").iterdir()], ["o'ne.gguf"])
        self.assertEqual((self.place / "to/o'ne.gguf").read_text(), "q8_0\n")
        self.assertEqual(list(self.place.glob("*.log")), [])

    def test_what_the_converter_says_last_is_the_message(self):
        (self.folder / "fail").touch()
        (self.place / "to/o'ne.gguf").write_text("the one before")
        done = self.call()
        self.assertEqual(done.returncode, 1)
        self.assertIn("ValueError: no such tensor", done.stderr.splitlines()[-1])
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual([path.name for path in (self.place / "to").iterdir()], ["o'ne.gguf"])
        self.assertEqual((self.place / "to/o'ne.gguf").read_text(), "the one before")

    def test_no_config(self):
        (self.folder / "config.json").unlink()
        self.expect_refusal("a model", "config.json")

    def test_config_is_no_json(self):
        (self.folder / "config.json").write_text('{"architectures": [')
        self.expect_refusal("config.json: expected JSON")

    def test_architecture_of_no_family_here(self):
        for architectures in (["MambaForCausalLM"], [], None, "LlamaForCausalLM"):
            (self.folder / "config.json").write_text(json.dumps({"architectures": architectures}))
            self.expect_refusal("architectures: expected one of", "Qwen2ForCausalLM", json.dumps(architectures))

    def test_no_tokenizer(self):
        (self.folder / "tokenizer.json").unlink()
        self.expect_refusal("tokenizer.model or tokenizer.json")

    def test_no_weights(self):
        (self.folder / "model.safetensors").unlink()
        self.expect_refusal("expected *.safetensors")

    def test_weights_cut_short(self):
        whole = safetensors()
        for kept in (0, 5, 20, len(whole) - 1):
            (self.folder / "model.safetensors").write_bytes(whole[:kept])
            self.expect_refusal("model.safetensors", f"{kept}")

    def test_header_is_no_table_of_tensors(self):
        for header in (b"[1, 2]", b'{"w": {"shape": 1}}', b'{"w": {"data_offsets": "ab"}}', b"\xff\xfe"):
            (self.folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
            self.expect_refusal("model.safetensors: no safetensors file")

    def test_a_part_that_the_index_names_is_missing(self):
        index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
        (self.folder / "model.safetensors.index.json").write_text(json.dumps(index))
        self.expect_refusal("expected model-00002-of-00002.safetensors")

    def test_output_is_a_folder_or_in_none(self):
        self.expect_refusal("expected the name of a file", out="to")
        self.expect_refusal("found no", out="nowhere/one.gguf")

    def test_usage(self):
        self.assertEqual(self.call("q3_x").returncode, 2)


if __name__ == "__main__":
    unittest.main()
