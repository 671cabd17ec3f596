"""A web server on the loopback interface that misbehaves on request."""

import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WebServer:
    """Serves ``files`` by their paths; ``ways`` says how a path misbehaves, ``log`` what was asked."""

    def __init__(self, files):
        self.files = files
        self.ways = {}
        self.log = []
        self.count = Counter()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                owner.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request):
        path, wanted = request.path.partition("?")[0], request.headers.get("Range")
        self.log.append((path, wanted))
        self.count[path] += 1
        way = self.ways.get(path)
        if way == "503 first" and self.count[path] < 3:
            return self.error(request, 503)
        if way == "forbidden":
            return self.error(request, 403)
        if path not in self.files:
            return self.error(request, 404)
        body = self.files[path]
        kind = "application/vnd.pypi.simple.v1+json" if path.startswith("/simple") else "application/octet-stream"
        begin = 0
        if wanted and way not in ("no ranges", "truncating without ranges"):
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= len(body):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(body)}")
                request.send_header("Content-Length", "0")
                return request.end_headers()
        request.send_response(206 if begin else 200)
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        if way == "etag":
            request.send_header("ETag", '"one"')
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body) - begin))
        request.end_headers()
        sent = body[begin:]
        try:
            if way == "slow":
                for start in range(0, len(sent), 100_000):
                    request.wfile.write(sent[start : start + 100_000])
                    time.sleep(0.05)
            elif way == "stalls" and self.count[path] == 1:
                request.wfile.write(sent[: min(1_000_000, len(sent) // 2)])
                request.wfile.flush()
                time.sleep(4)
                request.close_connection = True
            elif way in ("truncating", "truncating without ranges") and self.count[path] < 3:
                request.wfile.write(sent[: min(1_000_000, len(sent) // 2)])
                request.close_connection = True
            else:
                request.wfile.write(sent)
        except OSError:
            request.close_connection = True

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def error(self, request, code):
        request.send_response(code)
        request.send_header("Content-Length", "0")
        request.end_headers()
