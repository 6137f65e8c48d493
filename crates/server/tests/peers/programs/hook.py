"""A filter over HTTP: reads the question with Python's own libraries and decides by the subject."""

import base64
import email
import http.server
import json


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/letter" and self.headers["Authorization"] == "Bearer between us", self.headers
        octets = base64.b64decode(asked["header"], validate=True) + base64.b64decode(asked["body"], validate=True)
        assert len(octets) == asked["size"], (len(octets), asked["size"])
        subject = email.message_from_bytes(octets)["Subject"]
        methods = [verdict["method"] for verdict in asked["verdicts"]]
        if subject.startswith("refuse"):
            answer = {"action": "reject", "text": "not this one"}
        elif subject.startswith("later"):
            answer = {"action": "defer", "text": "come again"}
        elif subject.startswith("junk"):
            answer = {"action": "quarantine", "reason": "looks odd"}
        else:
            seen = [asked["peer"]["address"], asked["from"], *asked["to"], subject, "spf" if "spf" in methods else "-"]
            answer = {"action": "accept", "add-headers": [{"name": "X-Hook", "value": " ".join(seen)}]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.HTTPServer(("127.0.0.1", 8025), Hook)
print("ready", flush=True)
server.serve_forever()
