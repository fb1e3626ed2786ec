#!/usr/bin/env python3
"""Plays piper (the C++ program of rhasspy/piper, or with a file `python` in FAKE_ENGINE_DIR the one of piper1-gpl): a WAV
whose length follows the text and --length_scale and whose tone follows --speaker, the voice's .onnx.json beside it, what
either prints. Faults and the diary: faults.py; every text is a line `job PID TEXT` of the diary.
Standard library only. SPDX-License-Identifier: MIT"""

import json
import math
import pathlib
import struct
import sys
import time
import traceback
import wave

import faults

VALUES = {"--model": "model", "-m": "model", "--output_file": "output", "-f": "output", "--speaker": "speaker", "-s": "speaker",
          "--length_scale": "scale", "--config": "config", "-c": "config"}
PYTHON = bool(faults.DIR and (faults.DIR / "python").exists())
SECONDS_A_WORD = 0.3


def arguments(argv):
    args, rest = {}, list(argv)
    while rest:
        flag = rest.pop(0)
        if flag not in VALUES or not rest:
            faults.say(f"piper: error: unrecognized arguments: {flag}")
            sys.exit(2)
        args[VALUES[flag]] = rest.pop(0)
    return args


def log(text):
    faults.say(f"INFO:piper:{text}" if PYTHON else f"[2026-11-24 12:00:00.000] [piper] [info] {text}")


def voice_of(model):
    """The description of the voice; a missing one is as fatal as a missing voice."""
    with open(model, "rb") as f:
        if not f.read(4):
            raise ValueError(f"Unable to load {model}")
    return json.loads(pathlib.Path(model + ".json").read_text())


def tone(rate, seconds, speaker):
    hertz = 200 + 100 * speaker
    return b"".join(struct.pack("<h", int(8000 * math.sin(2 * math.pi * hertz * i / rate))) for i in range(int(rate * seconds)))


def speak(args):
    voice = voice_of(args["model"])
    log("Loaded voice in 0.01 second(s)")
    text = sys.stdin.read()
    instead = faults.job(text.strip()[:60])
    time.sleep(faults.number("work_s"))
    if instead is not None:
        pathlib.Path(args["output"]).write_bytes(instead)
        return
    scale = float(args.get("scale", voice.get("inference", {}).get("length_scale", 1)))
    rate = voice["audio"]["sample_rate"]
    with wave.open(args["output"], "wb") as w:
        w.setparams((1, 2, rate, 0, "NONE", ""))
        w.writeframes(tone(rate, len(text.split()) * SECONDS_A_WORD * scale, int(args.get("speaker", 0))))
    log("Real-time factor: 0.01 (infer=0.01 sec, audio=1.00 sec)")
    if not PYTHON:
        print(args["output"])


def main():
    if sys.argv[1:] == ["--version"]:
        print("1.2.0")
        return
    faults.begin("piper")
    try:
        speak(arguments(sys.argv[1:]))
    except (OSError, ValueError) as error:
        if PYTHON:
            traceback.print_exc()
        else:
            faults.say(f"terminate called after throwing an instance of 'std::runtime_error'\n  what():  error: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
