"""How long a translation may be for its source, in words: what scripts/prepare-data and scripts/distil-text leave out."""

import argparse
import math


def name_and_ratio(text):
    """("iwslt17", 1.05) of iwslt17=1.05, for argparse."""
    name, _, number = text.partition("=")
    try:
        ratio = float(number)
    except ValueError:
        ratio = math.nan
    if not name or not 0 < ratio < math.inf:
        raise argparse.ArgumentTypeError(f"expected NAME=RATIO with a ratio above 0, such as 1.05, got {text!r}")
    return name, ratio


def is_long(source, target, ratio):
    """More than `ratio` words for each of the source's."""
    return len(target.split()) > ratio * len(source.split())
