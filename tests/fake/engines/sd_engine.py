"""What fake_sd_server.py and fake_sd_cli.py have in common: flags, model files, output with its bars and phases. Lines are
those of stable-diffusion.cpp 97d2990 (August 2026). SPDX-License-Identifier: MIT"""

import json
import os
import pathlib
import sys
import time

import faults
import sd_made

VERSION = "stable-diffusion.cpp version unknown, commit unknown"
SAMPLERS = ["euler", "euler_a", "heun", "dpm2", "dpm++2s_a", "dpm++2m", "dpm++2mv2", "ipndm", "ipndm_v", "lcm", "ddim_trailing",
            "tcd", "res_multistep", "res_2s", "er_sde", "euler_cfg_pp", "euler_a_cfg_pp", "euler_ge", "dpm++2m_sde",
            "dpm++2m_sde_bt", "lms"]
CONTEXT = {"-m": "model", "--model": "model", "--diffusion-model": "diffusion_model", "--vae": "vae", "--tae": "tae", "--llm": "llm",
           "--llm_vision": "llm_vision", "--clip_l": "clip_l", "--clip_g": "clip_g", "--t5xxl": "t5xxl",
           "--lora-model-dir": "loras", "--max-vram": "max_vram", "--model-args": "model_args", "--threads": "threads"}
SWITCHES = {"--offload-to-cpu": "offload", "--eager-load": "eager", "--diffusion-fa": "fa", "--disable-image-metadata": "bare"}
MULTIPLE = 8  # of the tiny Z-Image
FILES = ("model", "diffusion_model", "vae", "tae", "llm", "llm_vision", "clip_l", "clip_g", "t5xxl")


def say(level, place, text):
    print(f"[{level:<5}] {place} - {text}", file=sys.stderr if level == "ERROR" else sys.stdout, flush=True)


def old_build():
    """Of before spring 2026, when zero_cond_t was a flag of its own."""
    return bool(faults.DIR) and (faults.DIR / "old_build").exists()


def usage_error(text):
    print(VERSION + "\nUsage: sd [options]\n\nContext Options:")
    if old_build():
        print("  --qwen-image-zero-cond-t                 enable zero_cond_t for qwen image")
    else:
        print("  --model-args                             extra model args, key=value list. Supports chroma_use_dit_mask,")
        print("                                           qwen_image_zero_cond_t")
    print("  --offload-to-cpu                         place the weights in RAM to save VRAM")
    if text:
        say("ERROR", "common.cpp:325 ", text)
    sys.exit(1 if text else 0)


def arguments(argv, values):
    args, rest = {"ref": []}, list(argv)
    if rest and rest[0] == "--version":
        print(VERSION)
        sys.exit(0)
    if "-h" in rest or "--help" in rest:
        faults.diary("help")
        time.sleep(faults.number("help_s"))
        usage_error("")
    while rest:
        flag = rest.pop(0)
        if flag == ("--model-args" if old_build() else "--qwen-image-zero-cond-t"):
            usage_error(f"error: unknown argument: {flag}")
        elif flag == "--qwen-image-zero-cond-t":
            args["zero"] = True
        elif flag in SWITCHES:
            args[SWITCHES[flag]] = True
        elif values.get(flag) == "ref" and rest:
            args["ref"].append(rest.pop(0))
        elif flag in values and rest:
            args[values[flag]] = rest.pop(0)
        else:
            usage_error(f"error: unknown argument: {flag}")
    return args


def good_model(path):
    try:
        with open(path, "rb") as f:
            head = f.read(9)
    except OSError:
        return False
    return head.startswith(b"GGUF") or head[8:] == b"{"


class Model:
    """What is loaded. Its name says which one it is; one with "video" in it makes films, others pictures."""

    def __init__(self, args, program):
        self.args = args
        self.path = args.get("diffusion_model") or args.get("model") or ""
        self.name = pathlib.Path(self.path).stem
        self.video = "video" in self.name
        for name in FILES:
            path = args.get(name)
            if path:
                say("INFO", "stable-diffusion.cpp:720 ", f"loading {name.replace('_', ' ')} from '{path}'")
            if path and not good_model(path):
                say("WARN", "model_loader.cpp:254 ", f"file {path} not found")
                say("ERROR", "stable-diffusion.cpp:905 ", "get sd version from file failed: ''")
                say("INFO" if program == "cli" else "ERROR", "main.cpp:910 ", "new_sd_ctx_t failed")
                sys.exit(1)
        if not self.path:
            say("ERROR", "stable-diffusion.cpp:905 ", "get sd version from file failed: ''")
            sys.exit(1)
        say("INFO", "stable-diffusion.cpp:908 ", "Version: Z-Image ")

    def load(self):
        """Returns False when it never shall be ready."""
        weights(65, 597, "42.15MB/s")
        ready = faults.load()
        weights(597, 597, "75.51MB/s")
        return ready


def bar(step, of, rate, mark):
    done = 50 * step // of
    line = mark * done
    if mark == "=" and done < 50:
        line = (line + ">")[:50]
    sys.stdout.write(f"\r  |{line:<50}| {step}/{of} - {rate}\x1b[K" + ("\n" if step == of else ""))
    sys.stdout.flush()


def weights(step, of, rate):
    bar(step, of, rate, "#")


def asked(model, request):
    """Goes into the picture, so that one for somebody else is seen."""
    return json.dumps({"model": model.name, **request}, sort_keys=True).encode()


def generate(model, request):
    """request: width, height, steps, prompt, format, frames, fps, …; the bytes of a picture or a film."""
    width, height = (sd_made.aligned(request[k], MULTIPLE) for k in ("width", "height"))
    begin = time.monotonic()
    if (width, height) != (request["width"], request["height"]):
        say("WARN", "stable-diffusion.cpp:4154", f"align generation request up {request['width']}x{request['height']} to "
            f"{width}x{height} (multiple={MULTIPLE})")
    what = f"generate_{'video' if model.video else 'image'}"
    say("INFO", "stable-diffusion.cpp:5628", f"{what} {width}x{height}")
    say("INFO", "stable-diffusion.cpp:5296", "get_learned_condition completed, taking 0.26s")
    say("INFO", "stable-diffusion.cpp:5679", f"generating image: 1/1 - seed {request['seed']}")
    for step in range(1, request["steps"] + 1):
        time.sleep(faults.number("step_s", 0.002))
        bar(step, request["steps"], "7.84it/s", "=")
    say("INFO", "stable-diffusion.cpp:5711", "sampling completed, taking 0.28s")
    say("INFO", "stable-diffusion.cpp:5321", "decoding 1 latents")
    if faults.strikes("failed"):
        say("ERROR", "ggml_extend.hpp:1579", "vae: failed to allocate the compute buffer")
        return None
    say("INFO", "stable-diffusion.cpp:5391", "decode_first_stage completed, taking 0.49s")
    say("INFO", "stable-diffusion.cpp:5861", f"{what} completed in {time.monotonic() - begin:.2f}s")
    text = asked(model, request)
    if model.video:
        frames = (request["frames"] - 1) // 4 * 4 + 1
        return sd_made.avi(width, height, frames, request["fps"], text)
    return sd_made.picture(request["format"], width, height, text)


def lora_path(folder, name):
    """A LoRA of the folder (a link counts as the file it leads to), or None."""
    path = pathlib.Path(folder or "/nonexistent", name)
    return path if os.sep not in name and path.resolve().is_file() else None
