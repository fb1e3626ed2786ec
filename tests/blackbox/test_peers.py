"""The scripted studio against its own client: what the other tests stand on.

SPDX-License-Identifier: MIT"""

import http.client
import json
import struct
import unittest

from peers import BINARY, CLOSE, PING, PONG, PREFIX, SUBPROTOCOL, TEXT, Studio, WebSocket, llm, parse_multipart, until


class Peers(unittest.TestCase):
    def connect(self, studio):
        client = WebSocket.connect("127.0.0.1", studio.port, f"{PREFIX}/workers/wk-1/connect",
                                   [("Authorization", "Bearer t"), ("Sec-WebSocket-Protocol", SUBPROTOCOL)])
        self.addCleanup(client.hang_up)
        return client

    def test_a_session(self):
        with Studio() as studio:
            client = self.connect(studio)
            session = studio.accept()
            self.assertEqual(studio.connects[0].token, "t")
            client.frame(TEXT, b'{"type": "he', fin=False)
            client.frame(PING, b"in between")
            client.frame(0, b'llo"}')
            session.welcome(features=["resume"])
            self.assertEqual(client.read_message(), (PONG, b"in between"))
            kind, data = client.read_message()
            self.assertEqual(kind, TEXT)
            self.assertEqual(json.loads(data)["features"], ["resume"])
            client.frame(TEXT, b'{"type": "heartbeat"}')
            self.assertEqual(json.loads(client.read_message()[1]), {"type": "heartbeatAck"})
            session.fragments({"type": "offer", "claim": llm("j", "x" * 200000)}, 1000)
            self.assertEqual(json.loads(client.read_message()[1])["claim"]["jobId"], "j")
            client.frame(CLOSE, struct.pack("!H", 1000) + b"session ended")
            self.assertEqual(session.wait_end(), 1000)
            self.assertEqual(session.close_reason, "session ended")

    def test_deadlines(self):
        with Studio() as studio:
            self.connect(studio)
            session = studio.accept()
            with self.assertRaisesRegex(AssertionError, "not within"):
                session.expect("hello", within=0.05)
            with self.assertRaisesRegex(AssertionError, "no further socket"):
                studio.accept(within=0.05)
            with self.assertRaisesRegex(AssertionError, "did not happen"):
                until("never", lambda: False, within=0.02)

    def test_ends(self):
        with Studio() as studio:
            client = self.connect(studio)
            session = studio.accept()
            session.close(4003, "duplicate")
            self.assertEqual(client.read_message(), (CLOSE, struct.pack("!H", 4003) + b"duplicate"))
            client.hang_up()
            client = self.connect(studio)
            session = studio.accept()
            session.abort()
            with self.assertRaises((EOFError, OSError)):
                client.read_message()
            client = self.connect(studio)
            session = studio.accept()
            client.frame(BINARY, b"x")
            with self.assertRaisesRegex(AssertionError, "opcode 2"):
                session.expect("hello")

    def test_refusals(self):
        with Studio() as studio:
            studio.on_connect = [401]
            with self.assertRaisesRegex(ConnectionRefusedError, "401"):
                self.connect(studio)
            self.connect(studio)
            studio.accept()

    def test_registration_and_uploads(self):
        with Studio() as studio:
            conn = http.client.HTTPConnection("127.0.0.1", studio.port)
            studio.on_poll = [(503, None), lambda r: (200, {"status": "approved", "workerId": r.secret})]
            conn.request("POST", f"{PREFIX}/workers/register-request", json.dumps({"installId": "i"}))
            self.assertEqual(json.loads(conn.getresponse().read()), {"requestId": "rr-1", "status": "pending"})
            self.assertEqual(studio.next_register().body, {"installId": "i"})
            for want in (503, 200, 200):
                conn.request("GET", f"{PREFIX}/workers/register-requests/rr-1", headers={"Authorization": "Bearer s"})
                reply = conn.getresponse()
                reply.read()
                self.assertEqual(reply.status, want)
                self.assertEqual(studio.next_poll().secret, "s")
            body = (b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\np\r\n--b\r\nContent-Disposition: form-data; name="ext"\r\n\r\n'
                    b'png\r\n--b\r\nContent-Disposition: form-data; name="image"; filename="j.png"\r\nContent-Type: image/png\r\n\r\n\r\n\x00--\r\n--b--\r\n')
            studio.on_upload = [500]
            for want in (500, 200):
                conn.request("POST", f"{PREFIX}/workers/wk-1/jobs/j/complete", body, {"Content-Type": "multipart/form-data; boundary=b"})
                reply = conn.getresponse()
                reply.read()
                self.assertEqual(reply.status, want)
                upload = studio.next_upload()
                self.assertEqual((upload.job_id, upload.prompt, upload.ext, upload.filename, upload.content_type, upload.data),
                                 ("j", "p", "png", "j.png", "image/png", b"\r\n\x00--"))
            self.assertEqual(parse_multipart("x; boundary=b", body)[1], ["prompt", "ext", "image"])
            conn.close()


if __name__ == "__main__":
    unittest.main()
