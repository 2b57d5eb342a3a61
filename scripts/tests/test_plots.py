"""Tests of scripts/plot-*: run with `python3 -m unittest discover scripts/tests`."""

import unittest
import xml.etree.ElementTree as ElementTree

from loading import load_script

quality = load_script("plot-quality")
stream = load_script("plot-stream")
training = load_script("plot-training")


def read(index, word, to="de", line=1):
    return {"event": "read", "line": line, "to": to, "index": index, "text": word, "delay": index + 1}


def commit(index, word, delay, to="de", line=1):
    return {"event": "commit", "line": line, "to": to, "index": index, "text": word, "delay": delay}


# k = 1, three source words, the end read as a unit of its own, a target of four words.
EVENTS = [read(0, "A"), commit(0, "Ein", 1), read(1, "young"), commit(1, " junges", 2), read(2, "girl"), read(3, ""),
          commit(2, " Mäd<chen", 3), commit(3, " da.", 3), read(0, "Other", line=2),
          commit(0, "Anders", 1, line=2)]  # fmt: skip


class Sentence(unittest.TestCase):
    def test_takes_the_words_of_its_line_and_leaves_the_end_out(self):
        source, targets = stream.sentence_of(EVENTS, 1)
        self.assertEqual(source, ["A", "young", "girl"])
        self.assertEqual(targets, {"de": [("Ein", 1), ("junges", 2), ("Mäd<chen", 3), ("da.", 3)]})

    def test_a_source_that_two_targets_read_stands_once(self):
        events = EVENTS + [read(0, "A", "fr"), commit(0, "Une", 1, "fr")]
        source, targets = stream.sentence_of(events, 1)
        self.assertEqual(source, ["A", "young", "girl"])
        self.assertEqual(list(targets), ["de", "fr"])

    def test_a_line_that_is_not_there_is_an_error(self):
        with self.assertRaises(ValueError):
            stream.sentence_of(EVENTS, 3)


class Layout(unittest.TestCase):
    def setUp(self):
        source = "A young girl in a red coat".split()
        targets = {
            "de": [("Ein", 3), ("außerordentliches", 4), ("zwei", 6), ("drei", 7), ("vier", 7)],
            "fr": [("x", 2)],
        }
        self.source, self.rows = stream.lay_out(source, targets)

    def test_no_boxes_of_a_row_overlap(self):
        for row in (self.source, *self.rows.values()):
            for one, next_one in zip(row, row[1:]):
                self.assertGreater(next_one.left, one.right)

    def test_a_word_stands_right_of_what_it_could_use_and_left_of_what_came_later(self):
        for row in self.rows.values():
            for box in row:
                self.assertGreater(box.left, self.source[box.seen - 1].left)
                if box.seen < len(self.source):
                    self.assertLess(box.left, self.source[box.seen].left)

    def test_picture_is_well_formed_and_has_every_word_and_link(self):
        source, targets = stream.sentence_of(EVENTS, 1)
        root = ElementTree.fromstring(stream.draw(source, targets, "A & B"))
        texts = ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("text")]
        for text in [*source, *(word for word, _ in targets["de"]), "A & B"]:
            self.assertIn(text, texts)
        links = [node for node in root.iter() if node.tag.endswith("path") and " C" in node.get("d")]
        self.assertEqual(len(links), 4)


class Quality(unittest.TestCase):
    ROWS = [{"set": "multi30k", "to": to, "k": k, "bleu": bleu, "al": al}
            for to, k, bleu, al in [("de", "inf", "30", "12"), ("de", "1", "13", "1.2"), ("de", "3", "25", ""),
                                    ("fr", "1", "14", "1.3")]]  # fmt: skip

    def test_points_are_in_order_of_k_and_those_without_a_lag_are_left_out(self):
        series = quality.series_of(self.ROWS)
        self.assertEqual([point[2] for point in series["multi30k", "de"]], ["1", "inf"])

    def test_of_points_close_together_the_highest_is_labelled(self):
        self.assertEqual(quality.labelled(quality.series_of(self.ROWS)), {(1.3, 14.0), (12.0, 30.0)})

    def test_program_holds_data_and_names(self):
        program = quality.program_of(quality.series_of(self.ROWS))
        self.assertIn('12.000 30.000 "∞"', program)
        self.assertIn('title "captions, French"', program)


class Training(unittest.TestCase):
    def test_curves_are_the_loss_and_the_outer_ks(self):
        rows = [{"step": "200", "seconds": "9", "loss": "5.5", "de_k1": "6", "de_k3": "5", "de_kinf": "4"}]
        curves = training.curves_of(rows)
        self.assertEqual([curve[0] for curve in curves],
                         ["training text, all k", "held out, German, k = 1", "held out, German, k = ∞"])  # fmt: skip
        self.assertEqual(curves[2][3], [(200, 4.0)])


if __name__ == "__main__":
    unittest.main()
