"""Reads the logs of a training with the libraries whose forms they have.

    python3 tests/oracle/logs.py [VERNIER]

Tunes a small model with `--log tensorboard`, then compares the scalars that TensorBoard reads, and the entries that the
Transformers library reads from trainer_state.json, with metrics.jsonl.  Exits 1 where they differ.  A library that is not here
(`pip install tensorboard transformers torch`) is skipped, and the script says so and ends with 0.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

VERNIER = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/vernier")
SMALL = "layers=1,dim=32,heads=2,hidden=64,vocab=400,length=64,steps=5"
faults = 0


def check(good, text):
    global faults
    faults += not good
    print(("ok: " if good else "DIFFERS: ") + text)


def lines_of(directory):
    with open(f"{directory}/metrics.jsonl") as log:
        return [json.loads(line) for line in log]


def numbers(line):
    return {k: v for k, v in line.items() if k not in ("phase", "step", "job")}


def compare_events(lines, directory):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(directory, size_guidance={"scalars": 0})
    events.Reload()
    phase = {"tuning": "train", "validation": "eval"}
    want = {}
    for line in lines:
        for name, value in numbers(line).items():
            tag = f"{phase.get(line['phase'], line['phase'])}/{'learning_rate' if name == 'lr' else name}"
            want.setdefault(tag, []).append((line["step"], value))
    check(sorted(events.Tags()["scalars"]) == sorted(want), f"TensorBoard reads {len(want)} tags from {directory}")
    for tag, points in want.items():
        got = [(e.step, e.value) for e in events.Scalars(tag)]
        same = len(got) == len(points) and all(
            a[0] == b[0] and math.isclose(a[1], b[1], rel_tol=1e-6, abs_tol=1e-30) for a, b in zip(got, points))
        check(same, f"{tag}: {len(points)} points")


def compare_state(lines, path):
    from transformers import TrainerState

    state = TrainerState.load_from_json(path)
    kept = [line for line in lines if line["phase"] in ("tuning", "validation")]
    check(len(state.log_history) == len(kept), f"TrainerState has {len(kept)} entries")
    for entry, line in zip(state.log_history, kept):
        for name, value in numbers(line).items():
            key = f"eval_{name}" if line["phase"] == "validation" else "learning_rate" if name == "lr" else name
            if entry[key] != value or entry["step"] != line["step"]:
                check(False, f"step {line['step']}: {key} is {entry.get(key)}, logged as {value}")
    best = [line for line in kept if line["phase"] == "validation" and line["step"] == state.best_global_step]
    check(best and state.best_metric == best[0]["f1"], f"the best metric is that of step {state.best_global_step}")


with tempfile.TemporaryDirectory() as top:
    run = [VERNIER, "tune", "--task", "jit", "--train", f"{top}/c.jsonl", "--encoder", SMALL, "--epochs", "2", "--quiet"]
    subprocess.run([VERNIER, "data", "make", "changes", "--n", "240", "--quiet", "--out", f"{top}/c.jsonl"], check=True)
    subprocess.run(run + ["--out", f"{top}/run", "--log", "tensorboard"], check=True, stdout=subprocess.DEVNULL)
    logged = lines_of(f"{top}/run")
    for compare, path in ((compare_events, f"{top}/run/tensorboard"), (compare_state, f"{top}/run/trainer_state.json")):
        try:
            compare(logged, path)
        except ImportError as e:
            print(f"skipped: {e.name} is not here")
sys.exit(faults > 0)
