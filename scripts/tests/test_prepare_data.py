"""Tests of scripts/prepare-data: run with `python3 -m unittest discover scripts/tests`."""

import hashlib
import importlib.machinery
import importlib.util
import json
import lzma
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "prepare-data"


def load_script():
    loader = importlib.machinery.SourceFileLoader("prepare_data", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("prepare_data", loader))
    sys.modules["prepare_data"] = module  # dataclasses look their module up
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


prep = load_script()


class Typography(unittest.TestCase):
    def check(self, language, cases):
        for given, expected in cases:
            with self.subTest(given):
                self.assertEqual(prep.typography(given, language), expected)

    def test_french(self):
        self.check("fr", [
            ("Ça va\u202f?", "Ça va ?"),
            ("Ça va?!", "Ça va ?!"),
            ("Il a dit «\u00a0oui\u00a0»", "Il a dit « oui »"),
            ('Le mot "chat" est court.', "Le mot « chat » est court."),
            ('"Oui", dit-il, "non', '"Oui", dit-il, "non'),  # runs on in the next line
            ('qu" Axel s’est', "qu'Axel s'est"),
            ("à 12:30, http://x.fr", "à 12:30, http://x.fr"),
            ("(vraiment?) oui", "(vraiment ?) oui"),
        ])  # fmt: skip

    def test_german_and_english(self):
        self.check("de", [("Er rief: „Halt!“", 'Er rief: "Halt!"'), ("»Wer«, fragte er…", '"Wer", fragte er...')])
        self.check("de", [("50\u00a0% – ja", "50 % – ja"), ("\x84Ja\x93", '"Ja"'), ("Häu\u00adser", "Häuser")])
        self.check("en", [("It’s “fine” &amp; dandy", "It's \"fine\" & dandy"), ("a\t b ", "a b")])

    def test_decomposed_letters_are_composed(self):
        self.assertEqual(prep.typography("u\u0308ber", "de"), "über")

    def test_is_stable(self):
        for line in ('« Ah ! », dit-elle : "non".', "Il pleut ; il neige...?"):
            once = prep.typography(line, "fr")
            self.assertEqual(prep.typography(once, "fr"), once)


class Detokenise(unittest.TestCase):
    def test_english(self):
        for given, expected in [
            ("i don 't think it 's bad .", "i don't think it's bad."),
            ('he said , " come in , " and left .', 'he said, "come in," and left.'),
            ('and so it ends . "', 'and so it ends."'),
            ("the farmers ' markets", "the farmers' markets"),
            ('" a \' reverse license . \' " so', '"a \'reverse license.\'" so'),
            ("in the ' 60s , $ 5 or 80 % ( most ) .", "in the '60s, $5 or 80% (most)."),
            ("thanks . -- -- so ...", "thanks. -- so..."),
            ("q & amp ; a , self @-@ made", "q & a, self-made"),
        ]:
            with self.subTest(given):
                self.assertEqual(prep.detokenise(given, "en"), expected)

    def test_german(self):
        self.assertEqual(prep.detokenise("so geht ' s , zu 80 % !", "de"), "so geht's, zu 80 %!")


class Truecasing(unittest.TestCase):
    def setUp(self):
        self.german, self.english = prep.Truecaser("de"), prep.Truecaser("en")
        for line in ("Wir sehen das Leben hier.", "Wir leben gut.", "Dort leben sie.", "Sie sagen, das Labor ist alt.",
                     "Ein Labor, kein Labor.", "Ich sehe Sie."):  # fmt: skip
            self.german.learn(line)
        self.english.learn("Today I met Anna and she is here.")

    def test_neighbours_decide(self):
        self.assertEqual(self.german.restore("das leben. wir leben."), "Das Leben. Wir leben.")

    def test_compounds_and_endings(self):
        self.assertEqual(self.german.unseen("forschungslabor"), "Forschungslabor")
        self.assertEqual(self.german.unseen("beschleunigung"), "Beschleunigung")
        self.assertEqual(self.german.unseen("unendlich"), "unendlich")

    def test_english_tells_polite_form(self):
        self.assertEqual(self.german.restore("ich sehe sie.", "i see you."), "Ich sehe Sie.")
        self.assertEqual(self.german.restore("ich sehe sie.", "i see her."), "Ich sehe sie.")

    def test_name_in_both_texts(self):
        self.assertEqual(self.english.restore("i met botsman.", "ich traf botsman.", self.german), "I met Botsman.")
        self.german.learn("Wir sehen das festival.")
        shared = self.english.restore("i met the festival.", "ich traf das festival.", self.german)
        self.assertEqual(shared, "I met the festival.")  # German knows the word: no name

    def test_capitals_with_small_umlauts(self):
        self.assertEqual(prep.lower_capitals("HaeTTE ZURueCK aeRGER", "de"), "hätte zurück ärger")


class Cleaning(unittest.TestCase):
    def test_faults(self):
        for source, target, language, expected in [
            ("Good morning.", "Guten Morgen.", "de", None),
            ("", "Ja.", "de", "empty"),
            ("Call #NAME# now", "Rufen Sie #NAME# an", "de", "markup"),
            ("3.", "3.", "de", "no_words"),
            ("a " * 121, "b " * 100, "de", "too_long"),
            ("One two three.", "a " * 11, "de", "length_ratio"),
            ("Stop.", "Sie müssen jetzt bitte sofort anhalten.", "de", None),  # short lines may differ more
            ("I want my money back", "I want my money back", "de", "untranslated"),
            ("I want my money back", "the money that you have is mine", "de", "wrong_language"),
            ("You may choose what to eat.", "Du kannst wählen, was du essen möchtest.", "de", None),
        ]:
            with self.subTest(source=source):
                self.assertEqual(prep.fault(source, target, language), expected)


class Decontamination(unittest.TestCase):
    def setUp(self):
        self.held_out = prep.HeldOut()
        self.sentence = "The quick brown fox jumps over the lazy dog near the old river bank."
        self.held_out.add(self.sentence)
        self.held_out.add("Thank you very much indeed.")
        self.held_out.add("Thank you very much.")

    def test_equal_but_for_case_and_punctuation(self):
        self.assertEqual(self.held_out.match("thank you -- VERY much, indeed"), "equal")

    def test_four_words_are_common_property(self):
        self.assertIsNone(self.held_out.match("Thank you very much."))

    def test_one_word_changed_at_the_end(self):
        self.assertEqual(self.held_out.match(self.sentence.replace("bank", "bed")), "near")

    def test_short_lines_need_seven_tenths(self):
        self.held_out.add("we will never know the answer")
        self.assertEqual(self.held_out.match("but we will never know the answer"), "near")  # 4 of 5 trigrams
        self.assertIsNone(self.held_out.match("but we will never know the question"))  # 3 of 6

    def test_inside_a_longer_line(self):
        tail = " and this line goes on with words that nobody has ever held out of anything at all"
        self.assertEqual(self.held_out.match(self.sentence + tail), "near")

    def test_cut_out_of_it(self):
        self.assertEqual(self.held_out.match("fox jumps over the lazy dog near the old"), "near")

    def test_same_words_in_another_order(self):
        self.assertIsNone(self.held_out.match("the old dog near the river bank jumps over the quick lazy brown fox"))

    def test_answers_follow_additions(self):
        self.assertIsNone(self.held_out.match("A sentence that is added later."))
        self.held_out.add("A sentence that is added later.")
        self.assertEqual(self.held_out.match("A sentence that is added later."), "equal")


class Alignment(unittest.TestCase):
    WORDS = [("red", "rot"), ("blue", "blau"), ("green", "grün"), ("house", "haus"), ("tree", "baum"), ("dog", "hund"),
             ("cat", "katze"), ("book", "buch"), ("table", "tisch"), ("water", "wasser"), ("bread", "brot"),
             ("milk", "milch")]  # fmt: skip

    def test_only_the_slipped_stretch_is_found(self):
        dictionary = prep.Dictionary("de", self.WORDS * 3)
        sources = [s for s, _ in self.WORDS] * 3
        targets = [t for _, t in self.WORDS] * 3
        self.assertFalse(any(dictionary.slipped(sources, targets)))
        moved = targets[:12] + [""] + targets[12:23] + targets[24:]  # lines 12 to 23 are one line late
        slipped = dictionary.slipped(sources, moved)
        self.assertTrue(all(slipped[14:22]))
        self.assertFalse(any(slipped[:9] + slipped[28:]))


class Rows(unittest.TestCase):
    def test_targets_of_one_source_share_rows(self):
        pairs = [("Hi.", "de", "Hallo."), ("Go.", "de", "Geh."), ("Hi.", "fr", "Salut."), ("Hi.", "de", "Hi du.")]
        rows = [("Hi.", "Hallo.", "Salut."), ("Hi.", "Hi du.", ""), ("Go.", "Geh.", "")]
        self.assertEqual(list(prep.join_rows(pairs)), rows)

    def test_long_targets_are_blanked_and_counted(self):
        rows = [("talks", "one two three four", "eins zwei drei vier", "un deux trois quatre cinq"),
                ("talks", "one two", "eins zwei drei", ""), ("news", "one", "eins zwei", "")]  # fmt: skip
        counts = {"talks": {language: Counter(out=2, source_words=6, target_words=8) for language in ("de", "fr")}}
        kept = list(prep.without_long_targets(rows, {"talks": 1.0}, counts))
        self.assertEqual(kept, [("talks", "one two three four", "eins zwei drei vier", ""), rows[2]])
        self.assertEqual(counts["talks"]["de"], Counter(out=1, long_target=1, source_words=4, target_words=5))
        self.assertEqual(counts["talks"]["fr"], Counter(out=1, long_target=1, source_words=2, target_words=3))

    def test_no_held_out_split_is_trained_on(self):
        trained = {(entry.name, split) for entry in prep.TRAIN for split in entry.splits}
        held_out = {(name, split) for name, split, _ in prep.HELD_OUT}
        self.assertFalse(trained & held_out)
        self.assertLessEqual({(name, split) for name, split, _, _ in prep.DEV}, held_out)


class WholeRun(unittest.TestCase):
    """The command on a small made-up corpus with every file it names."""

    TRAINING_LINES = {"en": "A small boat lies in the harbour.", "de": "Ein kleines Boot liegt im Hafen.",
                      "fr": "Un petit bateau est dans le port."}  # fmt: skip
    HELD_OUT_LINES = {"en": "Nobody may ever learn from this sentence.", "de": "Aus diesem Satz darf niemand lernen.",
                      "fr": "Personne ne doit apprendre de cette phrase."}  # fmt: skip

    def write(self, root, name, split, language, lines):
        path = root / "text" / name / f"{split}.{language}.xz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress("".join(line + "\n" for line in lines).encode()))

    def corpus(self, root):
        for entry in prep.TRAIN:
            for split in entry.splits:
                for language in ("en", *entry.targets):
                    line, secret = self.TRAINING_LINES[language], self.HELD_OUT_LINES[language]
                    if entry.name == "multi30k":
                        secret = secret.upper()
                    self.write(root, entry.name, split, language, [line, line, secret])
        for name, split, languages in prep.HELD_OUT:
            for language in languages.split():
                self.write(root, name, split, language, [self.HELD_OUT_LINES[language]])

    def run_script(self, *arguments):
        return subprocess.run([SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False)

    def test_run(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            self.corpus(root)
            digests = []
            for output in (root / "one", root / "two"):
                done = self.run_script("--data", root, "--output", output)
                self.assertEqual(done.returncode, 0, done.stderr)
                files = [output / name for name in ("train.tsv", "dev.tsv", "report.json")]
                digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
            self.assertEqual(*digests)
            self.check_output(root / "one")

    def check_output(self, output):
        lines = (output / "train.tsv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(lines[0], "set\tsource\tde\tfr")
        self.assertEqual(lines[1], "\t".join(["multi30k", *(self.TRAINING_LINES[k] for k in ("en", "de", "fr"))]))
        self.assertEqual(sum(line.split("\t")[1] == self.TRAINING_LINES["en"] for line in lines), 1)
        self.assertNotIn("ever learn from this", "\n".join(lines).lower())
        count = json.loads((output / "report.json").read_text())["sets"]["multi30k"]["de"]
        self.assertEqual([count[k] for k in ("in", "out", "duplicate", "held_out_equal_source")], [3, 1, 1, 1])
        dev = (output / "dev.tsv").read_text(encoding="utf-8").splitlines()
        self.assertEqual([row.split("\t")[0] for row in dev], ["set", "multi30k", "iwslt17", "wmt-news"])

    def test_long_targets_of_a_set_are_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            self.corpus(root)
            limit = ("--most-target-words", "multi30k=0.9")  # of 7 words: 6 in German, 7 in French
            done = self.run_script("--data", root, "--output", root / "out", *limit)
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = (root / "out" / "train.tsv").read_text(encoding="utf-8").splitlines()
            self.assertEqual(lines[1].split("\t"), ["multi30k", *(self.TRAINING_LINES[k] for k in ("en", "de")), ""])
            report = json.loads((root / "out" / "report.json").read_text())
            self.assertEqual(report["most_target_words"], {"multi30k": 0.9})
            self.assertEqual(report["sets"]["multi30k"]["fr"]["long_target"], 1)

    def test_bad_limits_are_named(self):
        for limit, expected in (("talks=1", "expected SET=RATIO with a set of bcontrast,"), ("multi30k=x", "above 0"),
                                ("multi30k=0", "above 0"), ("multi30k", "above 0"), ("multi30k=inf", "above 0")):  # fmt: skip
            with self.subTest(limit):
                done = self.run_script("--data", ".", "--output", "out", "--most-target-words", limit)
                self.assertEqual(done.returncode, 2)
                self.assertIn(expected, done.stderr)

    def test_missing_file_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self.run_script("--data", folder, "--output", Path(folder) / "out")
            self.assertEqual(done.returncode, 1)
            self.assertIn("cannot read", done.stderr)
            self.assertIn("val.en.xz", done.stderr)


if __name__ == "__main__":
    unittest.main()
