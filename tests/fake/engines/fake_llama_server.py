#!/usr/bin/env python3
"""Plays llama-server (llama.cpp, August 2026) from captures of the real one: 503 while loading, the API key, streams with
pings, usage, JSON schema, reasoning, tool calls, a prompt that is too long, SIGTERM.

The answer says what it was for: "MODEL says: LAST MESSAGE" for a model file MODEL.gguf, a token a word; so a mixed-up model
or prompt is seen. A model file must begin with GGUF. Faults and the diary: faults.py; every chat request is a line
`request PID JSON` of the diary, a stream whose reader went away a line `dropped PID`. Of its own it reads

    old                 its --help is of a build without --api-key-file (and --version says so)
    token_s, prompt_s   (numbers) seconds a token takes; seconds that reading the prompt takes
    tokens, word        (numbers) words an answer has besides; bytes of each

A message that begins with [tool] is answered with a tool call; [think] puts thoughts into the text, as builds of 2025 do.
Standard library only. SPDX-License-Identifier: MIT"""

import http.server
import json
import os
import pathlib
import signal
import socketserver
import sys
import threading
import time

import faults

VALUES = {"-m": "model", "--model": "model", "--host": "host", "--port": "port", "-c": "ctx", "--ctx-size": "ctx", "-np": "parallel",
          "-ngl": "ngl", "--alias": "alias", "--api-key-file": "key_file", "--cache-ram": "cache_ram",
          "--sse-ping-interval": "ping", "--mmproj": "mmproj", "--lora": "lora"}
FLAGS = {"--no-ui": "no_ui", "--offline": "offline", "--jinja": "jinja", "--no-context-shift": "no_shift"}

HELP = """----- common params -----

-h,    --help, --usage                  print usage and exit
--version                               show version and build info
-c,    --ctx-size N                     size of the prompt context (default: 0, 0 = loaded from model)
                                        (env: LLAMA_ARG_CTX_SIZE)
--context-shift, --no-context-shift     whether to use context shift on infinite text generation (default: disabled)
-cram, --cache-ram N                    set the maximum cache size in MiB (default: 8192, -1 - no limit, 0 - disable)
-ngl,  --gpu-layers, --n-gpu-layers N   max. number of layers to store in VRAM, either an exact number, 'auto', or 'all'
--offline                               Offline mode: forces use of cache, prevents network access
-m,    --model FNAME                    model path to load
--lora FNAME                            path to LoRA adapter

----- example-specific params -----

-np,   --parallel N                     number of server slots (default: -1, -1 = auto)
-mm,   --mmproj FILE                    path to a multimodal projector file
-a,    --alias STRING                   set model name aliases, comma-separated
--host HOST                             ip address to listen, or bind to an UNIX socket
--port PORT                             port to listen (default: 8080)
--ui, --no-ui                           whether to enable the Web UI (default: enabled)
--sse-ping-interval N                   server SSE ping interval in seconds (-1 = disabled, default: 30)
--jinja, --no-jinja                     whether to use jinja template engine for chat (default: enabled)
--api-key-file FNAME                    path to file containing API keys (default: none)
"""


def arguments(argv):
    args = {"host": "127.0.0.1", "port": "8080", "ctx": "4096", "ping": "30", "lora": []}
    rest = list(argv)
    while rest:
        flag = rest.pop(0)
        if flag in FLAGS:
            args[FLAGS[flag]] = True
        elif flag in VALUES and rest:
            if flag == "--lora":
                args["lora"].append(rest.pop(0))
            else:
                args[VALUES[flag]] = rest.pop(0)
        else:
            faults.say(f"error: invalid argument: {flag}")
            sys.exit(1)
    return args


def load_failed(path):
    for line in (f"cmn  common_init_: failed to load model '{path}'", f"srv    load_model: failed to load model, '{path}'",
                 "srv  llama_server: exiting due to model loading error"):
        faults.say(f"0.00.007.191 E {line}")
    sys.exit(1)


class Engine:
    """The loaded model and its one slot."""

    def __init__(self, args):
        self.args, self.ready = args, False
        self.slot = threading.Lock()
        self.name = pathlib.Path(args["model"]).stem
        self.alias = args.get("alias", args["model"])
        self.ctx, self.ping = int(args["ctx"]), int(args["ping"])
        self.keys = pathlib.Path(args["key_file"]).read_text().split() if "key_file" in args else []

    def load(self):
        if faults.load():
            self.ready = True
            faults.say("0.00.020.373 I srv  llama_server: model loaded")


def tokens_of(messages):
    """A token a byte and some for the template, as the tiny model has it."""
    return 19 + sum(len(m["content"].encode()) for m in messages)


def instance(schema, words):
    """Something that fits a JSON schema."""
    kind = schema.get("type")
    if kind == "object":
        return {k: instance(v, words) for k, v in schema.get("properties", {}).items()}
    return {"boolean": True, "integer": 7, "number": 1.5, "array": [], "null": None}.get(kind, words)


class Reply:
    """What the model makes of a request: pieces of thought, of text, tool calls, and how it ends."""

    def __init__(self, engine, body):
        last = body["messages"][-1]["content"]
        text = f"{engine.name} says: {last}"
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
        kwargs = body.get("chat_template_kwargs", {})
        if schema is not None:
            text = json.dumps(instance(schema, text))
        if last.startswith("[think]"):
            text = f"<think>\ntags about {last}\n</think>\n\n{text}"
        if faults.number("tokens"):
            text += (" " + "w" * int(faults.number("word", 4))) * int(faults.number("tokens"))
        words = text.split(" ")
        self.text = [words[0]] + [" " + w for w in words[1:]]
        self.thoughts = ["thinking", " of ", last] if kwargs.get("enable_thinking") else []
        self.finish = "stop"
        self.calls = []
        if last.startswith("[tool]"):
            self.text, self.finish = [], "tool_calls"
            call = {"index": 0, "id": "call-1", "type": "function", "function": {"name": "look_up", "arguments": ""}}
            self.calls = [call, {"index": 0, "function": {"arguments": '{"what": '}}, {"index": 0, "function": {"arguments": '"x"}'}}]
        self.cut(body)

    def cut(self, body):
        limit = body.get("max_tokens", -1)
        if 0 <= limit < len(self.text):
            self.text, self.finish = self.text[:limit], "length"
        for stop in body.get("stop", []):
            whole = "".join(self.text)
            if stop in whole:
                self.text, self.finish = [whole[:whole.index(stop)]], "stop"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "llama.cpp", ""

    def log_message(self, *args):
        pass

    def version_string(self):
        return "llama.cpp"

    def answer(self, status, value):
        data = json.dumps(value, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        if status >= 400:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, code, kind, message, **more):
        self.answer(code, {"error": {"code": code, "message": message, "type": kind, **more}})

    def route(self):
        engine = self.server.engine
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not engine.ready:
            return self.refuse(503, "unavailable_error", "Loading model")
        if self.path in ("/health", "/v1/health"):
            return self.answer(200, {"status": "ok"})
        if engine.keys and self.headers.get("Authorization", "").removeprefix("Bearer ") not in engine.keys:
            return self.refuse(401, "authentication_error", "Invalid API Key")
        routes = {("POST", "/v1/chat/completions"): self.chat, ("POST", "/tokenize"): self.tokenize, ("GET", "/props"): self.props}
        if (self.command, self.path) not in routes:
            return self.refuse(404, "not_found_error", "File Not Found")
        try:
            return routes[self.command, self.path](json.loads(body or b"{}"))
        except ValueError as error:
            return self.refuse(500, "server_error", f"[json.exception.parse_error.101] {error}")

    do_GET = do_POST = route

    def tokenize(self, body):
        self.answer(200, {"tokens": list(body["content"].encode())})

    def props(self, body):
        engine = self.server.engine
        self.answer(200, {"default_generation_settings": {"n_ctx": engine.ctx}, "total_slots": 1, "model_alias": engine.alias,
                          "model_path": engine.args["model"], "build_info": "b0-unknown"})

    # -- chat --
    def chat(self, body):
        engine = self.server.engine
        faults.diary("request", json.dumps(body))
        prompt = tokens_of(body["messages"])
        if prompt >= engine.ctx:
            text = f"request ({prompt} tokens) exceeds the available context size ({engine.ctx} tokens), try increasing it"
            return self.refuse(400, "exceed_context_size_error", text, n_prompt_tokens=prompt, n_ctx=engine.ctx)
        if not isinstance(body.get("chat_template_kwargs", {}).get("enable_thinking", True), bool):
            return self.refuse(400, "invalid_request_error", 'invalid type for "enable_thinking" (expected boolean, got string)')
        with engine.slot:
            try:
                self.stream(engine, body, prompt) if body.get("stream") else self.whole(engine, body, prompt)
            except (BrokenPipeError, ConnectionResetError):
                faults.diary("dropped")
                self.close_connection = True

    def usage(self, prompt, made):
        return {"completion_tokens": made, "prompt_tokens": prompt, "total_tokens": prompt + made,
                "prompt_tokens_details": {"cached_tokens": 0}}

    def whole(self, engine, body, prompt):
        instead = faults.job(body["messages"][-1]["content"])
        reply = Reply(engine, body)
        message = {"role": "assistant", "content": "".join(reply.text)}
        if instead is not None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(instead)))
            self.end_headers()
            return self.wfile.write(instead)
        return self.answer(200, {"choices": [{"finish_reason": reply.finish, "index": 0, "message": message}], "created": int(time.time()),
                                 "model": engine.alias, "object": "chat.completion", "usage": self.usage(prompt, len(reply.text)),
                                 "id": "chatcmpl-fake"})

    def chunk(self, data):
        with self.writing:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def event(self, engine, delta=None, finish=None, **more):
        choices = [] if delta is None else [{"finish_reason": finish, "index": 0, "delta": delta}]
        value = {"choices": choices, "created": int(time.time()), "id": "chatcmpl-fake", "model": engine.alias,
                 "system_fingerprint": "b0-unknown", "object": "chat.completion.chunk", **more}
        self.chunk(b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n")

    def pings(self, engine, over):
        """As the real one: from a thread that knows nothing of how the computing goes."""
        while not over.wait(engine.ping):
            try:
                self.chunk(b":\n\n")
            except OSError:
                return

    def stream(self, engine, body, prompt):
        self.writing = threading.Lock()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        over = threading.Event()
        threading.Thread(target=self.pings, args=(engine, over), daemon=True).start()
        try:
            instead = faults.job(body["messages"][-1]["content"])
            if instead is not None:
                self.chunk(instead)
            else:
                self.speak(engine, body, prompt)
        finally:
            over.set()
        self.chunk(b"")

    def speak(self, engine, body, prompt):
        reply = Reply(engine, body)
        steps = 4
        for i in range(steps + 1 if faults.number("prompt_s") else 0):
            if body.get("return_progress"):
                progress = {"total": prompt, "cache": 0, "processed": prompt * i // steps, "time_ms": 1}
                self.event(engine, {"role": "assistant", "content": None}, prompt_progress=progress)
            time.sleep(faults.number("prompt_s") / steps)
        self.event(engine, {"role": "assistant", "content": None})
        pieces = [("reasoning_content", t) for t in reply.thoughts] + [("content", t) for t in reply.text]
        pieces += [("tool_calls", [c]) for c in reply.calls]
        for key, piece in pieces:
            self.event(engine, {key: piece})
            time.sleep(faults.number("token_s"))
        self.event(engine, {}, reply.finish)
        if body.get("stream_options", {}).get("include_usage"):
            self.event(engine, usage=self.usage(prompt, len(pieces)), timings={"predicted_n": len(pieces), "predicted_per_second": 50.0})
        self.chunk(b"data: [DONE]\n\n")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def end(*_):
    faults.say("0.36.351.533 I srv    operator(): operator(): cleaning up before exit...")
    faults.diary("end")
    os._exit(0)


def main():
    old = bool(faults.DIR and (faults.DIR / "old").exists())
    if sys.argv[1:] == ["--version"]:
        faults.say("version: 1700 (0123abc)" if old else "version: 0.2.0-dev (build 0, commit unknown)")
        faults.say("built with GNU 12.2.0 for Linux x86_64")
        return
    if sys.argv[1:] == ["--help"]:
        print("".join(line for line in HELP.splitlines(True) if not (old and "--api-key-file" in line)))
        return
    signal.signal(signal.SIGTERM, end)
    faults.begin("llama-server")
    args = arguments(sys.argv[1:])
    try:
        with open(args["model"], "rb") as f:
            if f.read(4) != b"GGUF":
                load_failed(args["model"])
    except OSError:
        load_failed(args["model"])
    server = Server((args["host"], int(args["port"])), Handler)
    server.engine = Engine(args)
    threading.Thread(target=server.engine.load, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
