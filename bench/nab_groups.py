#!/usr/bin/env python3
"""nab_groups.py - a detector's NAB score with the threshold chosen without the group that is scored.

usage: nab_groups.py NAB_SCORE.py RESULTS_DIR WINDOWS.json

For every group of files (a folder of RESULTS_DIR) the threshold is the best one on all other groups; the raw values of the
left-out groups are added up. Beside it the best threshold on all, which is what the benchmark itself publishes. The scorer
is the one given: its functions load, sweep, at_threshold and its table PROFILES.
"""
import importlib.util
import json
import sys


def load_scorer(path):
    spec = importlib.util.spec_from_file_location("nab_score", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(per, names):
    return [row for name in names for row in per[name]]


def best_threshold(scorer, rows, profile):
    return max(scorer.sweep(rows, profile), key=lambda x: x[1])[0]


def percent(raw, windows, hit, miss):
    base = -miss * windows
    return 100.0 * (raw - base) / (hit * windows - base)


def main():
    scorer = load_scorer(sys.argv[1])
    with open(sys.argv[3]) as f:
        windows = json.load(f)
    per = scorer.load(sys.argv[2], windows)
    groups = sorted({name.split("/")[0] for name in per})
    print("%-22s %9s %15s" % ("profile", "best thr", "leave group out"))
    shares = {}
    for profile, (hit, _, miss) in scorer.PROFILES.items():
        every = rows_of(per, per)
        raw, _, _, _, count = scorer.at_threshold(every, profile, best_threshold(scorer, every, profile))
        best = percent(raw, count, hit, miss)
        total = 0.0
        for group in groups:
            others = rows_of(per, [n for n in per if not n.startswith(group + "/")])
            own = rows_of(per, [n for n in per if n.startswith(group + "/")])
            raw, tp, fp, caught, wins = scorer.at_threshold(own, profile, best_threshold(scorer, others, profile))
            total += raw
            shares[group, profile] = (percent(raw, wins, hit, miss) if wins else raw, caught, wins, fp)
        print("%-22s %9.1f %15.1f" % (profile, best, percent(total, count, hit, miss)))
    print("\n%-22s %9s %9s %12s   (standard, left out; without windows: raw)" % ("group", "score", "windows", "false rows"))
    for group in groups:
        score, caught, wins, fp = shares[group, "standard"]
        print("%-22s %9.1f %9s %12d" % (group, score, "%d/%d" % (caught, wins), fp))


if __name__ == "__main__":
    main()
