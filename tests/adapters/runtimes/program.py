"""A model that knows nothing of Loopline: it answers twice the first input, in the standard library's HTTP server."""

import http.server
import json
import os
import socketserver
import subprocess
import sys
import time
from pathlib import Path


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.say(200, {"ready": True})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        values = asked["inputs"][0]["data"]
        Path(os.environ["LOOPLINE_MODEL_DIR"], "asked.json").write_text(json.dumps(asked))
        if 666 in values:
            os._exit(3)
        if not all(isinstance(value, int) for value in values):
            return self.say(400, {"error": "no numbers"})
        if min(values) < 0:
            return self.say(400, {"error": "negative hours"})
        data = [2 * value for value in values]
        return self.say(200, {"outputs": [{"name": "late", "shape": [len(data)], "datatype": "FP64", "data": data}]})

    def say(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def address_string(self):
        return "-"

    def log_message(self, *_):
        pass


class OnSocket(socketserver.UnixStreamServer):
    pass


if __name__ == "__main__":
    if "never" in sys.argv:
        time.sleep(600)
    if "ends" in sys.argv:
        sys.exit(4)
    child = subprocess.Popen(["sleep", "600"])
    Path(os.environ["LOOPLINE_MODEL_DIR"], "pids.json").write_text(json.dumps([os.getpid(), child.pid]))
    place = os.environ.get("LOOPLINE_SOCKET")
    server = (
        OnSocket(place, Answers)
        if place
        else http.server.HTTPServer(("127.0.0.1", int(os.environ["LOOPLINE_PORT"])), Answers)
    )
    server.serve_forever()
