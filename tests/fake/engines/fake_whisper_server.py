#!/usr/bin/env python3
"""Plays whisper-server (whisper.cpp 233fe1f, August 2026) from captures of the real one: the port that opens only after
loading, unknown flags that exit with 0, one request at a time, progress on stderr, verbose_json with tokens for words, an
abort when the connection closes, 500 for a VAD without its model, a language nobody knows, an English-only model.

What it hears: "MODEL heard N.N seconds in CODE" for a model file MODEL.bin, with "translated", "with vad" and "after PROMPT"
where asked; so a mixed-up model or request is seen. A model file begins with
"lmgg" and the size of its vocabulary; 51864 is English only. Faults and the diary: faults.py;
every request is a line `request PID JSON` (its fields) of the diary, an abort a line `dropped PID`. Of its own it reads

    work_s      (a number) seconds a request takes, with ten lines of progress
    deaf        a closed connection is not noticed, as in builds before 2025
    broken      the model can't be loaded
    transcript  (text) what it hears instead; a line is a segment

Standard library only. SPDX-License-Identifier: MIT"""

import http.server
import io
import json
import pathlib
import select
import signal
import socket
import socketserver
import sys
import threading
import time
import wave

import faults

VALUES = {"-m": "model", "--model": "model", "--host": "host", "--port": "port", "-t": "threads", "-l": "language", "--tmp-dir": "tmp",
          "--public": "public", "-vm": "vad_model", "--vad-model": "vad_model"}
FLAGS = {"-pp": "progress", "--print-progress": "progress", "-ng": "no_gpu"}
NAMES = {"en": "english", "de": "german", "fr": "french", "ja": "japanese", "no": "norwegian", "yue": "cantonese"}
MAGIC = b"lmgg"


def arguments(argv):
    args = {"host": "127.0.0.1", "port": "8080", "language": "en", "model": "models/ggml-base.en.bin"}
    rest = list(argv)
    while rest:
        flag = rest.pop(0)
        if flag in FLAGS:
            args[FLAGS[flag]] = True
        elif flag in VALUES and rest:
            args[VALUES[flag]] = rest.pop(0)
        else:
            faults.say(f"error: unknown argument: {flag}")
            faults.say(f"\nusage: {sys.argv[0]} [options]")
            sys.exit(0)
    return args


def check_model(path):
    faults.say(f"whisper_init_from_file_with_params_no_state: loading model from '{path}'")
    try:
        with open(path, "rb") as f:
            magic, vocabulary = f.read(4), int.from_bytes(f.read(4), "little")
        if magic == MAGIC and not faults.strikes("broken"):
            return vocabulary
        faults.say("whisper_model_load: invalid model data (bad magic)")
    except OSError:
        faults.say(f"whisper_init_from_file_with_params_no_state: failed to open '{path}'")
    faults.say("error: failed to initialize whisper context")
    sys.exit(3)


def form_of(content_type, body):
    """name -> bytes of a multipart form."""
    boundary = b"--" + content_type.split("boundary=")[1].strip('"').encode()
    fields = {}
    for part in body.split(boundary)[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        name = head.decode().split('name="')[1].split('"')[0]
        fields[name] = data[:-2]
    return fields


def seconds_of(data):
    with wave.open(io.BytesIO(data)) as w:
        if (w.getframerate(), w.getnchannels(), w.getsampwidth()) != (16000, 1, 2):
            raise wave.Error("the worker sends 16 kHz mono")
        return w.getnframes() / 16000


def tokens_of(text):
    """A long word is two tokens, a mark at its end one of its own."""
    for word in text.split(" ")[1:]:
        mark = word[-1:] if word[-1:] in ".,!?" else ""
        word = " " + word.removesuffix(mark)
        yield from [word[:4], word[4:]] if len(word) > 6 else [word]
        if mark:
            yield mark


class Request:
    def __init__(self, engine, fields, seconds):
        self.engine, self.seconds = engine, seconds
        get = {k: v.decode() for k, v in fields.items() if k != "file"}
        self.get = get
        self.language = get.get("language", engine.args["language"])
        self.translate, self.vad = get.get("translate") == "true", get.get("vad") == "true"
        self.words = get.get("token_timestamps") == "true"
        self.max_len = int(get.get("max_len", "0")) or 60
        if engine.english_only and (self.language != "en" or self.translate):
            faults.say("operator(): WARNING: model is not multilingual, ignoring language and translation options")
            self.language, self.translate = "en", False

    def heard(self):
        if faults.DIR and (faults.DIR / "transcript").exists():
            return [f" {line}" for line in (faults.DIR / "transcript").read_text().splitlines()]
        code = "en" if self.language == "auto" else self.language
        text = f" {self.engine.name} heard {self.seconds:.1f} seconds in {code}"
        text += " translated" if self.translate else ""
        text += " with vad" if self.vad else ""
        text += f" after {self.get['prompt']}" if self.get.get("prompt") else ""
        return [text]

    def segments(self):
        lines = self.heard()
        if self.words:  # token times come with lines of at most max_len characters, cut wherever
            lines = [line[i:i + self.max_len] for line in lines for i in range(0, len(line), self.max_len)]
        each = self.seconds / max(1, len(lines))
        for i, text in enumerate(lines):
            yield {"id": i, "text": text, "start": round(i * each, 2), "end": round((i + 1) * each, 2), **self.tokens(i, text, each),
                   "temperature": 0.0, "avg_logprob": -0.3, "no_speech_prob": 0.01}

    def tokens(self, i, text, each):
        tokens = list(tokens_of(text))
        step = each / max(1, len(tokens))
        words = []
        for j, token in enumerate(tokens):
            word = {"word": token, "probability": 0.9}
            if self.words:
                word |= {"start": round(i * each + j * step, 2), "end": round(i * each + (j + 1) * step, 2), "t_dtw": -1}
            words.append(word)
        return {"tokens": list(range(len(tokens))), "words": words}

    def answer(self):
        segments = list(self.segments())
        code = "en" if self.language == "auto" else self.language
        return {"task": "translate" if self.translate else "transcribe", "language": NAMES.get(code, code), "duration": self.seconds,
                "text": "".join(s["text"] + "\n" for s in segments), "segments": segments}


class Engine:
    def __init__(self, args, vocabulary):
        self.args, self.ready = args, False
        self.lock = threading.Lock()
        self.name = pathlib.Path(args["model"]).stem
        self.english_only = vocabulary == 51864


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def version_string(self):
        return "whisper.cpp"

    def reply(self, status, kind, data):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(data)

    def json(self, status, value):
        self.reply(status, "application/json", json.dumps(value, separators=(",", ":")).encode())

    def do_GET(self):
        if self.path != "/health":
            self.reply(404, "text/plain", f"File Not Found ({self.path})".encode())
        elif self.server.engine.ready:
            self.json(200, {"status": "ok"})
        else:
            self.json(503, {"status": "loading model"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.engine.lock:
            try:
                self.inference(self.server.engine, form_of(self.headers["Content-Type"], body))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    def inference(self, engine, fields):
        if "file" not in fields:
            faults.say("error: no 'file' field in the request")
            return self.reply(400, "text/plain", b"Invalid request")
        try:
            seconds = seconds_of(fields["file"])
        except (wave.Error, EOFError):
            faults.say("error: failed to read audio data")
            return self.reply(400, "text/plain", b"Invalid request")
        request = Request(engine, fields, seconds)
        faults.diary("request", json.dumps(request.get))
        if request.language not in NAMES and request.language != "auto":
            faults.say(f"whisper_lang_id: unknown language '{request.language}'")
            return self.reply(500, "text/plain", b"500 Internal Server Error\nbasic_string: construction from null is not valid")
        if request.vad and "vad_model" not in engine.args:
            faults.say("whisper_vad: failed to initialize VAD context")
            faults.say(f"{sys.argv[0]}: failed to process audio")
            return self.json(500, {"error": "failed to process audio"})
        instead = faults.job(f"{seconds:.1f} s")
        if not self.work(engine):
            faults.diary("dropped")
            faults.say("client disconnected, aborted processing")
            self.close_connection = True
        elif instead is not None:
            self.reply(200, "application/json", instead)
        else:
            self.json(200, request.answer())

    def closed(self):
        if faults.DIR and (faults.DIR / "deaf").exists():
            return False
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def work(self, engine):
        """False when the connection closed meanwhile."""
        begin, total = time.monotonic(), faults.number("work_s")
        for step in range(1, 11):
            while time.monotonic() - begin < total * step / 10:
                if self.closed():
                    return False
                time.sleep(0.01)
            if engine.args.get("progress"):
                faults.say(f"whisper_print_progress_callback: progress = {step * 10:3d}%")
        return True


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def end(*_):
    print("\nCaught signal 15, shutting down gracefully...", flush=True)
    faults.diary("end")
    sys.stdout.flush()
    sys.exit(0)


def main():
    signal.signal(signal.SIGTERM, end)
    faults.begin("whisper-server")
    args = arguments(sys.argv[1:])
    engine = Engine(args, check_model(args["model"]))
    engine.ready = faults.load()
    server = Server((args["host"], int(args["port"])), Handler)
    server.engine = engine
    print(f"\nwhisper server listening at http://{args['host']}:{args['port']}\n", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
