"""Tests of bench/train_throughput.py, without PyTorch: run with `python3 -m unittest discover scripts/tests`."""

import struct
import tempfile
import tomllib
import unittest
from array import array
from pathlib import Path

from loading import load_script

bench = load_script("../bench/train_throughput.py")


class Recipe(unittest.TestCase):
    def setUp(self):
        text = (Path(bench.ROOT) / "recipes/default-en-de-fr.toml").read_text()
        self.recipe = tomllib.loads(text)
        self.short = tomllib.loads(bench.short_recipe(self.recipe, Path("/r"), Path("/w"), 30))

    def test_toml_says_what_was_read(self):
        text = "".join(f"{name} = {bench.to_toml(section)}\n" for name, section in self.recipe.items())
        self.assertEqual(tomllib.loads(text), self.recipe)

    def test_short_run_keeps_network_vocabulary_and_batches(self):
        for section in ("model", "vocabulary", "prompt", "streaming"):
            self.assertEqual(self.short.get(section), self.recipe.get(section))
        self.assertEqual(self.short["optimiser"]["matmul"], bench.matmul_of(self.recipe))
        for key in ("rows_per_batch", "seed"):
            self.assertEqual(self.short["optimiser"].get(key), self.recipe["optimiser"].get(key))
        self.assertEqual(self.short["data"]["set_weights"], self.recipe["data"]["set_weights"])

    def test_products_are_what_the_recipe_says_or_what_the_machine_has(self):
        self.assertEqual(bench.matmul_of({"optimiser": {"matmul": "bf16"}}), "bf16")
        self.assertIn(bench.matmul_of({"optimiser": {}}), ("bf16", "f32"))
        self.assertIn(self.short["optimiser"]["matmul"], ("bf16", "f32"))

    def test_short_run_is_short_uses_adamw_and_touches_nothing_of_the_real_one(self):
        self.assertEqual(self.short["optimiser"]["total_steps"], 30)
        self.assertEqual(self.short["optimiser"]["kind"], "adamw")
        self.assertTrue(self.short["output"]["checkpoint_dir"].startswith("/w"))
        self.assertNotIn("dev", self.short["data"])
        for file in self.short["data"]["train"]:
            self.assertTrue(all(Path(file[key]).is_absolute() for key in file if key in ("tsv", "source", "target")))


class Batches(unittest.TestCase):
    def test_reads_what_the_dump_writes(self):
        def one(sequences, places, tokens, labels):
            n, m = len(tokens), len(labels)
            whole = tokens + list(range(n)) + [2 * i for i in range(n)] + [0] * m + labels
            return (struct.pack("4i", sequences, places, n, m)
                    + array("i", whole).tobytes()
                    + array("f", [0.0] * (sequences * places * places)).tobytes())  # fmt: skip

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "batches.bin"
            path.write_bytes(one(1, 2, [7, 8], [9]) + one(2, 3, [1, 2, 3, 4], [5, 6]))
            first, second = bench.read_batches(path)
        self.assertEqual((list(first["tokens"]), list(first["labels"]), len(first["mask"])), ([7, 8], [9], 4))
        self.assertEqual(
            (second["sequences"], second["places"], list(second["doubled_position"])), (2, 3, [0, 2, 4, 6])
        )
        self.assertEqual(list(second["labels"]), [5, 6])


class Report(unittest.TestCase):
    def test_ratio_is_of_medians(self):
        lines = bench.report([300.0, 100.0, 200.0], [400.0, 100.0, 90.0]).splitlines()
        self.assertIn("200", lines[1])
        self.assertIn("(100 - 300)", lines[1])
        self.assertTrue(lines[1].endswith("2.00"))
        self.assertTrue(lines[2].endswith("1.00"))


if __name__ == "__main__":
    unittest.main()
