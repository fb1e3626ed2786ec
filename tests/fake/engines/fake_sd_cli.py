#!/usr/bin/env python3
"""Plays sd-cli (stable-diffusion.cpp 97d2990, August 2026) from captures of the real one: it loads the model, makes one
picture or film, writes it, and ends with 0 even when it could not write it.

What is in the picture, the faults and the diary: as with fake_sd_server.py; the diary has a line `request PID JSON` too, and
`garbage` and `huge` are what the file holds. Standard library only. SPDX-License-Identifier: MIT"""

import json
import pathlib
import re
import signal
import sys

import faults
import sd_engine
import sd_made

VALUES = {**sd_engine.CONTEXT, "-M": "mode", "--mode": "mode", "-p": "prompt", "--prompt": "prompt", "-n": "negative",
          "--negative-prompt": "negative", "-i": "init", "--init-img": "init", "--mask": "mask", "-r": "ref", "--ref-image": "ref",
          "-o": "output", "--output": "output", "-W": "width", "-H": "height", "--steps": "steps", "--cfg-scale": "cfg",
          "-s": "seed", "--seed": "seed", "--strength": "strength", "--flow-shift": "flow", "--sampling-method": "sampler",
          "--video-frames": "frames", "--fps": "fps"}


def pictures(args):
    found = []
    for key, path, colors in [("init_image", args.get("init"), 3), ("mask_image", args.get("mask"), 1)] + \
            [("ref_images", path, 3) for path in args["ref"]]:
        if path:
            data = pathlib.Path(path).read_bytes() if pathlib.Path(path).exists() else b""
            if sd_made.colors(data) < colors:
                sd_engine.say("ERROR", "media_io.cpp:538 ", f"load image from '{path}' failed")
                sys.exit(1)
            found.append(key)
    return sorted(set(found))


def loras(args):
    """Tags of the prompt, which are taken out of it."""
    found = []
    for name, strength in re.findall(r"<lora:([^:>]+):([^>]+)>", args.get("prompt", "")):
        if sd_engine.lora_path(args.get("loras"), name):
            found.append([name, float(strength)])
    if args.get("loras"):
        args["prompt"] = re.sub(r"<lora:([^:>]+):([^>]+)>", "", args.get("prompt", ""))
    return found


def main():
    args = sd_engine.arguments(sys.argv[1:], VALUES)
    faults.begin("sd-cli")
    if args.get("sampler", "euler") not in sd_engine.SAMPLERS:
        sd_engine.say("ERROR", "common.cpp:1258", f"error: invalid sample method {args['sampler']}")
        sys.exit(1)
    request = {"pictures": pictures(args), "loras": loras(args), "prompt": args.get("prompt", ""), "negative": args.get("negative", ""),
               "width": int(args.get("width", 512)), "height": int(args.get("height", 512)), "steps": int(args.get("steps", 20)),
               "seed": int(args.get("seed", 42)), "strength": float(args.get("strength", 0.75)), "cfg": float(args.get("cfg", 7)),
               "sampler": args.get("sampler", "default"), "flow_shift": float(args["flow"]) if "flow" in args else None,
               "frames": int(args.get("frames", 1)), "fps": int(args.get("fps", 16)), "metadata": not args.get("bare"),
               "format": pathlib.Path(args["output"]).suffix[1:]}
    faults.diary("request", json.dumps(request))
    model = sd_engine.Model(args, "cli")
    if not model.load():
        signal.pause()
    if model.video != (args.get("mode") == "vid_gen"):
        print("model/diffusion/z_image.hpp:584: GGML_ASSERT(x->ne[3] == 1) failed", file=sys.stderr, flush=True)
        sys.exit(134)
    instead = faults.job(request["prompt"])
    made = sd_engine.generate(model, request)
    if made is None:
        sd_engine.say("ERROR", "main.cpp:800 ", "generate failed")
        sys.exit(1)
    try:
        pathlib.Path(args["output"]).write_bytes(made if instead is None else instead)
    except OSError:
        pass
    sd_engine.say("INFO", "main.cpp:490 ", f"save result image 0 to '{args['output']}' (success)")
    sd_engine.say("INFO", "main.cpp:562 ", "1/1 images saved")
    faults.diary("end")


if __name__ == "__main__":
    main()
