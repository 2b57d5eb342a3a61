"""Tests of scripts/results: run with `python3 -m unittest discover scripts/tests`."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from loading import load_script

results = load_script("results")


def row(name="multi30k", to="de", k="3", bleu="30.000", ratio="1.000", model="abc", al="3.000"):
    return {"set": name, "to": to, "k": k, "sentences": "1000", "bleu": bleu, "al": al, "laal": "3.100",
            "length_ratio": ratio, "passes_per_token": "1.400", "words_per_second": "99.000", "model": model}  # fmt: skip


class Rows(unittest.TestCase):
    def test_takes_the_contract_of_evaluate(self):
        summary = {
            "model": "m",
            "to": "fr",
            "policy": "wait-k",
            "k": "inf",
            "sentences": 7,
            "bleu": 41.98765,
            "al": None,
            "laal": 2,
            "length_ratio": 0.98,
            "passes_per_token": 1.25,
            "rows_twice": 0,
            "words_per_second": 81.5,
        }
        got = results.row_of(results.SETS[1], summary, "abc")
        self.assertEqual(list(got), list(results.COLUMNS))
        self.assertEqual(got["bleu"], "41.988")
        self.assertEqual((got["k"], got["sentences"], got["al"]), ("inf", "7", ""))

    def test_new_rows_replace_those_of_their_set_and_keep_the_others(self):
        old = [row(k="1"), row(k="3", bleu="1.000"), row(name="newstest2016")]
        got = results.merge(old, [row(k="3", bleu="2.000")])
        self.assertEqual([(r["set"], r["k"], r["bleu"]) for r in got],
                         [("multi30k", "3", "2.000"), ("newstest2016", "3", "30.000")])  # fmt: skip

    def test_rows_of_another_model_go(self):
        got = results.merge([row(to="fr", model="old")], [row(model="new")])
        self.assertEqual([r["to"] for r in got], ["de"])

    def test_order_is_that_of_sets_and_ks(self):
        got = results.merge([], [row(to="fr", k="inf"), row(to="fr", k="1"), row(k="7")])
        self.assertEqual([(r["to"], r["k"]) for r in got], [("de", "7"), ("fr", "1"), ("fr", "inf")])


class Machine(unittest.TestCase):
    def test_says_the_widest_of_the_instructions_that_kernels_are_chosen_by(self):
        lscpu = "Architecture: x86_64\nModel name:  AMD EPYC\nFlags:  fpu fma avx2 avx512f avx512_vnni\n"
        self.assertEqual(results.processor(lscpu), "AMD EPYC with AVX-512 VNNI")
        self.assertEqual(results.processor(lscpu.replace("avx512_vnni", "")), "AMD EPYC with AVX2")
        self.assertEqual(results.processor("Model name: Abacus\n"), "Abacus")


class Shortfalls(unittest.TestCase):
    def test_exactly_the_least_is_enough_and_a_little_less_is_not(self):
        self.assertEqual(results.shortfalls([row(bleu="32.000")]), [])
        self.assertEqual(results.shortfalls([row(bleu="31.900")]),
                         ["multi30k en-de k=3: BLEU 31.9, at least 32 wanted"])  # fmt: skip

    def test_each_k_and_language_has_its_own_least(self):
        self.assertEqual(results.shortfalls([row(to="fr", k="7", bleu="52.000")]), [])
        self.assertEqual(len(results.shortfalls([row(to="fr", k="7", bleu="51.900")])), 1)
        self.assertEqual(results.shortfalls([row(k="1", bleu="18.000")]), [])

    def test_lengths_are_held_to_the_range_that_is_wanted(self):
        got = results.shortfalls([row(bleu="32.000", ratio="1.150"), row(bleu="32.000", ratio="0.880")])
        self.assertEqual(len(got), 2)
        self.assertEqual(results.shortfalls([row(name="tst2016", bleu="1.000", ratio="1.100")]), [])
        self.assertEqual(len(results.shortfalls([row(name="tst2016", bleu="1.000", ratio="1.101")])), 1)

    def test_each_system_has_its_own_least(self):
        gemma = results.SYSTEMS["gemma"]
        rows = [row(k="7", bleu="35.900"), row(name="tst2015", k="7", bleu="21.000")]
        self.assertEqual(results.shortfalls(rows, gemma), ["multi30k en-de k=7: BLEU 35.9, at least 36 wanted"])

    def test_a_page_says_all_that_falls_short_or_that_nothing_does(self):
        page = results.shortfalls_page([row(k="1", bleu="12.000"), row(k="3", bleu="26.000")])
        self.assertEqual(page.count("\n- ") + page.startswith("- "), 2)
        self.assertEqual(results.shortfalls_page([row(bleu="32.000")]), "Every figure is what was wanted of it.")


class Parity(unittest.TestCase):
    def test_has_a_row_per_type_and_a_column_per_family_and_no_variant_of_one(self):
        def test(family, kind, most, mean, variant="0"):
            return {"family": family, "type": kind, "is_variant": variant, "max_abs": most, "mean_abs": mean}

        tests = [test("llama", "f32", "2.1e-06", "4e-07"), test("gemma3", "f32", "0.0123", "0"),
                 test("gemma3_without_window", "f32", "1", "1", "1"), test("llama", "q4_k", "0.04", "0.003"),
                 {"name": "FirstPartIsComputed"}]  # fmt: skip
        lines = results.parity_table({"testsuites": [{"testsuite": tests}]}).splitlines()
        self.assertEqual(lines[0], "| type | llama | gemma3 |")
        self.assertEqual(lines[2], "| f32 | 2e-6 / 4e-7 | 1e-2 / 0 |")
        self.assertIn("| q4_k | 4e-2 / 3e-3 |  |", lines)


class Kept(unittest.TestCase):
    def test_is_the_share_of_the_whole_sentence(self):
        got = results.kept_page([row(k="7", bleu="29.000"), row(k="inf", bleu="30.000"), row(to="fr", k="7")])
        self.assertIn("to German: 96.7%", got)
        self.assertNotIn("French", got)


class Offline(unittest.TestCase):
    def test_whole_sentences_stand_beside_each_other_and_half_a_point_may_be_lost(self):
        batch = [row(k="inf", bleu="30.500"), row(to="fr", k="inf", bleu="30.510"), row(name="tst2015", k="inf")]
        lines = results.offline_table([row(k="7"), row(k="inf"), row(to="fr", k="inf")], batch).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertIn("| German | 30.50 | 30.00 | -0.50 | yes |", lines[2])
        self.assertIn("| French | 30.51 | 30.00 | -0.51 | no |", lines[3])


class Measured(unittest.TestCase):
    def test_tables_made_anew_keep_the_machine_that_measured(self):
        args = lambda sets: results.parse_arguments(["--data", "d", "--sets", sets, "--threads", "3"])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "quality.txt"
            with self.assertRaises(SystemExit):
                results.measured_on(args("none"), path)
            path.write_text("Machine: old.\n1\n")
            self.assertEqual(results.measured_on(args("none"), path), ("Machine: old.", 1))
            machine, n_threads = results.measured_on(args("multi30k.de"), path)
            self.assertEqual((n_threads, path.read_text()), (3, f"{machine}\n3\n"))
            self.assertNotEqual(machine, "Machine: old.")


class Markdown(unittest.TestCase):
    TEXT = "before\n<!-- quality -->\nold\nold\n<!-- /quality -->\nbetween\n<!-- speed -->\n<!-- /speed -->\nafter\n"

    def test_only_what_stands_between_the_markers_changes(self):
        got = results.fill(self.TEXT, "quality", "new\\1\n")
        self.assertEqual(got, self.TEXT.replace("old\nold\n", "new\\1\n"))

    def test_empty_blocks_can_be_filled_and_filling_twice_is_filling_once(self):
        once = results.fill(self.TEXT, "speed", "fast")
        self.assertIn("<!-- speed -->\nfast\n<!-- /speed -->", once)
        self.assertEqual(results.fill(once, "speed", "fast"), once)

    def test_text_without_the_markers_stays(self):
        self.assertEqual(results.fill(self.TEXT, "summary", "new"), self.TEXT)

    def test_summary_has_a_line_per_set_and_holes_where_a_k_is_missing(self):
        lines = results.summary_table(
            [row(k="1", bleu="13.260", al="1.240"), row(to="fr", k="inf", al="")]
        ).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertIn("to German | 13.3 (1.2) |  |", lines[2])
        self.assertTrue(lines[3].endswith("|  | 30.0 (-) |"))

    def test_every_line_of_a_table_has_as_many_cells(self):
        rows = [row(k=k) for k in results.KS] + [row(name="newstest2016")]
        counts = {line.count("|") for line in results.full_table(rows, results.SYSTEMS["default"]).splitlines()}
        self.assertEqual(len(counts), 1)

    def test_training_speaks_of_the_last_line(self):
        log = [{"step": "200", "seconds": "60.0", "loss": "7", "de_k1": "6.5", "fr_kinf": "6.0"},
               {"step": "400", "seconds": "7200.0", "loss": "5", "de_k1": "4.25", "fr_kinf": "3.75"}]  # fmt: skip
        page = results.training_page(log)
        self.assertIn("400 steps in 2.0 hours", page)
        self.assertIn("| German | 1 | 4.250 |", page)
        self.assertIn("| French | inf | 3.750 |", page)


class CommandLine(unittest.TestCase):
    def test_unknown_sets_and_parts_are_refused(self):
        for bad in (["--sets", "multi30k.it"], ["--parts", "beauty"], ["--models", "gemini"]):
            with self.subTest(bad), self.assertRaises(SystemExit) as caught, contextlib.redirect_stderr(io.StringIO()):
                results.parse_arguments(["--data", "x", *bad])
            self.assertEqual(caught.exception.code, 2)

    def test_no_set_at_all_means_the_tables_alone(self):
        args = results.parse_arguments(["--data", "d", "--system", "gemma", "--sets", "none"])
        self.assertEqual((args.sets, args.parts), ([], "quality"))

    def test_other_systems_have_no_figures_of_speed(self):
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
            results.parse_arguments(["--data", "d", "--system", "gemma", "--parts", "speed"])

    def test_sets_are_picked_by_name_and_language(self):
        args = results.parse_arguments(["--data", "x", "--sets", "tst2016.fr,multi30k.de"])
        self.assertEqual([s.key for s in args.sets], ["multi30k.de", "tst2016.fr"])


if __name__ == "__main__":
    unittest.main()
