"""docs/openapi.json against the real answers of every route, and against the route table of the source.

SPDX-License-Identifier: MIT"""

import json
import pathlib
import re
import unittest

import schema
from studio import PREFIX, Studio, Worker, capabilities, until, upload

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = json.loads((ROOT / "docs/openapi.json").read_text())
METHODS = {"get", "post", "put", "delete", "patch"}


def operations():
    return {(m.upper(), path): op for path, item in SPEC["paths"].items() for m, op in item.items() if m in METHODS}


class Checked:
    """Calls a route of the spec and checks the answer against it."""

    def __init__(self, test, studio):
        self.test, self.s, self.seen = test, studio, {}

    def check(self, method, template, status, kind, data):
        op = operations()[(method, template)]
        self.test.assertIn(str(status), op["responses"], f"{method} {template} answered {status}: {data[:300]}")
        content = op["responses"][str(status)]["content"]
        self.seen.setdefault((method, template), set()).add(status)
        if "*/*" in content:
            return None
        self.test.assertTrue(kind.startswith("application/json"), (template, status, kind))
        answer = json.loads(data)
        found = schema.errors(answer, content["application/json"]["schema"], SPEC, f"{method} {template} {status}")
        self.test.assertEqual(found, [])
        return answer

    def __call__(self, method, template, status, body=None, query="", token=None, **params):
        path = template
        for name, value in params.items():
            path = path.replace("{%s}" % name, value)
        self.test.assertNotIn("{", path)
        got, kind, data = self.s.raw(method, path + query, body, token)
        self.test.assertEqual(got, status, (method, path, data[:300]))
        return self.check(method, template, got, kind, data)


class OpenApi(unittest.TestCase):
    def test_the_spec_and_the_route_table_are_the_same(self):
        source = (ROOT / "studio/api/routes.c").read_text()
        rows = re.findall(r'\{"([A-Z]+)",\s*(P )?"([^"]+)",\s*(OPEN|ADMIN),', source)
        table = {(m, (PREFIX if p else "") + path): access for m, p, path, access in rows}
        self.assertGreater(len(table), 15)
        self.assertEqual(set(table), set(operations()))
        for key, access in table.items():
            needs_admin = {"admin": []} in operations()[key].get("security", [])
            self.assertEqual(needs_admin, access == "ADMIN", key)

    def test_the_spec_is_whole(self):
        self.assertTrue(SPEC["openapi"].startswith("3.1"))
        text = json.dumps(SPEC)
        for ref in re.findall(r'"\$ref": "([^"]+)"', text):
            target = SPEC
            for part in ref.removeprefix("#/").split("/"):
                target = target[part]
        for (method, path), op in operations().items():
            declared = {p["name"] for p in SPEC["paths"][path].get("parameters", [])}
            self.assertEqual(declared, set(re.findall(r"\{(\w+)\}", path)), path)
            self.assertTrue(op["summary"])

    def test_a_failing_storage_is_described(self):
        """Every route but the health checks needs the storage."""
        for (method, path), op in operations().items():
            if not path.endswith("/healthz"):
                self.assertTrue({"500", "503"} & set(op["responses"]), (method, path))

    def test_the_checker_finds_what_is_wrong(self):
        s = SPEC["components"]["schemas"]
        error = {"error": "e", "message": "m"}
        self.assertEqual(schema.errors(error, s["Error"], SPEC), [])
        for bad in ({}, {**error, "more": 1}, {**error, "error": 5}, [], None):
            self.assertTrue(schema.errors(bad, s["Error"], SPEC))
        self.assertTrue(schema.errors({"status": "sick", "version": "1"}, s["Health"], SPEC))

    def test_every_route_answers_as_described(self):
        with Studio() as studio:
            call = Checked(self, studio)
            self.system(call)
            self.admission(call)
            w, job, image = self.workers(call)
            self.jobs(call, w, job, image)
            self.models(call)
            self.unauthorized(call)
            call("DELETE", PREFIX + "/workers/{workerId}", 200, workerId=w.id)
            call("DELETE", PREFIX + "/workers/{workerId}", 404, workerId=w.id)
            missing = {key for key in operations() if not any(s < 300 for s in call.seen.get(key, set()))}
            self.assertEqual(missing, set(), "routes that no test saw succeed")

    def system(self, call):
        call("GET", "/healthz", 200, token="")
        call("GET", PREFIX + "/healthz", 200, token="")

    def admission(self, call):
        s, register = call.s, PREFIX + "/workers/register-request"
        call("POST", register, 400, {"installId": 5}, token="")
        request, secret, _ = s.ask()
        body = {"installId": "6ba7b810-9dad-41d1-80b4-00c04fd430c8", "registrationSecretHash": "0" * 64, "capabilities": capabilities()}
        other = call("POST", register, 200, body, token="")["requestId"]
        poll = PREFIX + "/workers/register-requests/{requestId}"
        call("GET", poll, 200, token=secret, requestId=request)
        call("GET", poll, 401, token="x", requestId=request)
        call("GET", poll, 404, token="x", requestId="rr-x")
        self.assertEqual(len(call("GET", PREFIX + "/workers/pending", 200)["requests"]), 2)
        approve, reject = PREFIX + "/workers/pending/{requestId}/approve", PREFIX + "/workers/pending/{requestId}/reject"
        call("POST", reject, 400, {}, requestId=other)
        call("POST", reject, 404, {"reason": "r"}, requestId="rr-x")
        call("POST", reject, 200, {"reason": "r"}, requestId=other)
        call("POST", reject, 409, {"reason": "r"}, requestId=other)
        call("POST", approve, 404, {}, requestId="rr-x")
        call("POST", approve, 200, {}, requestId=request)
        call("POST", approve, 409, {}, requestId=request)
        self.credentials = call("GET", poll, 200, token=secret, requestId=request)

    def workers(self, call):
        s = call.s
        call("GET", PREFIX + "/workers", 200)
        w = Worker(s, (self.credentials["workerId"], self.credentials["authToken"]), features=["progress", "cancel"])
        submit = PREFIX + "/jobs"
        messages = [{"role": "user", "content": "c"}]
        job = call("POST", submit, 201, {"model": "synthetic-llm", "task": {"messages": messages}})["id"]
        claim = w.accept()
        s.until_state(job, "claimed")
        w.send("progress", jobId=job, stage="running", fraction=0.5, detail="half")
        until("progress shows", lambda: "progress" in s.job(job))
        call("GET", PREFIX + "/jobs/{jobId}", 200, jobId=job)
        [worker] = call("GET", PREFIX + "/workers", 200)["workers"]
        self.assertEqual(worker["status"]["currentJob"], job)
        w.send("logBatch", entries=[{"ts": "2026-05-25T12:00:00.000Z", "level": "info", "category": "ws", "message": "m", "jobId": job}])
        logs = PREFIX + "/workers/{workerId}/logs"
        until("the log arrives", lambda: s.get(f"/workers/{w.id}/logs")["entries"])
        call("GET", logs, 200, workerId=w.id)
        call("GET", logs, 400, query="?limit=x", workerId=w.id)
        call("GET", logs, 404, workerId="wk-none")
        w.complete(claim, {"text": "t"})
        image = call("POST", submit, 201, {"model": "synthetic-image", "task": {"prompt": "p"}, "gameId": "g"})["id"]
        w.accept()
        s.until_state(image, "claimed")
        path = PREFIX + "/workers/{workerId}/jobs/{jobId}/complete"
        for token, job_id in ((w.token, image), (w.token, image), ("x", image), (w.token, "job-x"), (w.token, "job-x/y")):
            if "/" not in job_id:
                status, answer = upload(s, w.id, token, job_id, [b"data"], 4)
                call.check("POST", path, status, "application/json", json.dumps(answer))
        status, answer = upload(s, w.id, w.token, image, [b"other"], 5)
        self.assertEqual(status, 409)
        call.check("POST", path, status, "application/json", json.dumps(answer))
        call("POST", path, 415, {}, token=w.token, workerId=w.id, jobId=image)
        return w, job, image

    def jobs(self, call, w, job, image):
        one, result, retry = (PREFIX + "/jobs/{jobId}" + t for t in ("", "/result", "/retry"))
        for body in ({}, {"model": "nothing", "task": {}}, {"model": "synthetic-image", "task": {"kind": "llm"}}):
            call("POST", PREFIX + "/jobs", 400, body)
        page = call("GET", PREFIX + "/jobs", 200, query="?limit=1")
        call("GET", PREFIX + "/jobs", 200, query=f"?cursor={page['nextCursor']}&state=done&kind=llm&workerId={w.id}")
        call("GET", PREFIX + "/jobs", 400, query="?state=lost")
        for done in (job, image):
            call("GET", one, 200, jobId=done)
            call("GET", result, 200, jobId=done)
        call("GET", one, 404, jobId="job-x")
        call("GET", result, 404, jobId="job-x")
        call("POST", retry, 409, {}, jobId=job)
        call("POST", retry, 404, {}, jobId="job-x")
        w.beat(autoEnabled=False)
        until("it is paused", lambda: not call.s.get("/workers")["workers"][0]["status"]["capabilities"]["autoEnabled"])
        waiting = call.s.submit()
        call("GET", result, 409, jobId=waiting)
        self.assertEqual(call("DELETE", one, 200, jobId=waiting)["state"], "failed")
        call("GET", one, 200, jobId=waiting)
        call("GET", result, 409, jobId=waiting)
        self.assertEqual(call("POST", retry, 200, {}, jobId=waiting)["state"], "queued")
        call("DELETE", one, 200, jobId=waiting)
        self.assertEqual(call("DELETE", one, 200, jobId=waiting)["deleted"], True)
        call("DELETE", one, 404, jobId=waiting)

    def models(self, call):
        one = PREFIX + "/models/{modelId}"
        ids = [m["id"] for m in call("GET", PREFIX + "/models", 200)["models"]]
        self.assertEqual(sorted(ids), ["espeak-en", "pocketsphinx-en", "synthetic-image", "synthetic-llm", "synthetic-stt", "synthetic-tts", "synthetic-video"])
        call("GET", one, 200, modelId="espeak-en")
        call("GET", one, 404, modelId="nothing")
        model = {"kind": "image", "vramGbEstimate": 6, "defaults": {"steps": 4},
                 "modelSource": {"engine": "sd-cpp", "files": [{"role": "model", "url": "https://example.org/m.gguf", "filename": "m.gguf"}]}}
        call("PUT", one, 400, {**model, "kind": "smell"}, modelId="mine")
        call("PUT", one, 200, model, modelId="mine")
        self.assertEqual(call("PUT", one, 200, {**model, "enabled": False}, modelId="mine")["enabled"], False)
        call("POST", PREFIX + "/jobs", 400, {"model": "mine", "task": {"prompt": "p"}})
        self.assertFalse(call("GET", one, 200, modelId="mine")["enabled"])
        call("DELETE", one, 200, modelId="mine")
        call("DELETE", one, 404, modelId="mine")

    def unauthorized(self, call):
        for (method, path), op in operations().items():
            if {"admin": []} in op["security"]:
                params = {name: "x" for name in re.findall(r"\{(\w+)\}", path)}
                call(method, path, 401, {} if method in ("POST", "PUT") else None, token="wrong", **params)


if __name__ == "__main__":
    unittest.main()
