# SPDX-License-Identifier: Apache-2.0
"""A `kt gateway run` of a test, and a small provider that answers with what the request asks for."""
import http.client
import http.server
import json
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading

from ktlib import wait_for

CONFIG = """
pack: {{name: gateway, version: {version}, enabled: true}}
policies: {{chain: [prompt-injection, pii-detector, safety-filter, audit-logger]}}
policy:
  prompt-injection: {{threshold: 0.8, action: block}}
  pii-detector: {{action: redact}}
  safety-filter: {{mode: strict, action: block}}
  audit-logger: {{retention_days: 365, immutable: true}}
{top}
providers:
  retry: {{max_attempts: 1}}
  targets:
    - {{id: up, provider: mistral, model: mistral-large-latest, base_url: "{url}", secret_key_ref: {{env: MISTRAL_API_KEY}}}}
"""
KEY = {"MISTRAL_API_KEY": "target-key-0001"}
CHAT = {"model": "mistral-large-latest", "messages": [{"role": "user", "content": "hello"}]}


class Provider:
    """Answers chat completions: tool calls where there are tools, JSON in JSON mode, else text; embeddings too. `gate`, where set,
    is waited for before each answer; `seen` holds the requests' bodies and headers."""

    def __init__(self):
        self.seen, self.gate, self.closed = [], None, 0
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                provider.seen.append({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
                if provider.gate:
                    provider.gate.wait(30)
                try:
                    provider.answer(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    provider.closed += 1

            def log_message(self, *args):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}/v1"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    @staticmethod
    def message(body):
        if body.get("tools"):
            call = {"id": "abcdefghi", "type": "function", "function": {"name": body["tools"][0]["function"]["name"], "arguments": '{"city": "Paris"}'}}
            return {"role": "assistant", "content": "", "tool_calls": [call]}, "tool_calls"
        text = '{"answer": 42}' if body.get("response_format", {}).get("type") == "json_object" else "The release is on Thursday."
        return {"role": "assistant", "content": text}, "stop"

    def answer(self, to, body):
        usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
        head = {"id": "c1", "created": 1, "model": body["model"]}
        if to.path.endswith("/embeddings"):
            vector = "AACAPgAAAD8=" if body.get("encoding_format") == "base64" else [0.25, 0.5]
            data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(len(body["input"]))]
            return self.send(to, {**head, "object": "list", "data": data, "usage": usage})
        message, finish = self.message(body)
        if not body.get("stream"):
            return self.send(to, {**head, "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage})
        to.send_response(200)
        to.send_header("Content-Type", "text/event-stream")
        to.send_header("Connection", "close")
        to.end_headers()
        pieces = [{"role": "assistant", "content": ""}, {"content": "The release "}, {"content": "is on Thursday."}]
        for i, delta in enumerate(pieces):
            last = i == len(pieces) - 1
            chunk = {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": "stop" if last else None}]}
            to.wfile.write(b"data: " + json.dumps(chunk | ({"usage": usage} if last else {})).encode() + b"\n\n")
            to.wfile.flush()
        to.wfile.write(b"data: [DONE]\n\n")
        to.close_connection = True

    @staticmethod
    def send(to, value):
        payload = json.dumps(value).encode()
        to.send_response(200)
        to.send_header("Content-Type", "application/json")
        to.send_header("Content-Length", str(len(payload)))
        to.end_headers()
        to.wfile.write(payload)

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()


class Gateway:
    """Started and listening; ends with the test. `answer(...)` makes a call on a fresh connection."""

    def __init__(self, lab, config, options=(), env=None, name="gateway"):
        self.lab, self.tls = lab, "--tls-cert" in options
        self.stderr_path = lab.tmp / f"{name}.stderr"
        port_file = lab.tmp / f"{name}.port"
        argv = [str(lab.kt), "gateway", "run", "--listen", "127.0.0.1:0", "--policy-config", str(config), "--state-dir", str(lab.state),
                "--port-file", str(port_file), *options]
        self.err = open(self.stderr_path, "w")
        self.proc = subprocess.Popen(argv, env=lab.env(KEY | (env or {})), stdout=subprocess.PIPE, stderr=self.err, text=True, cwd=lab.tmp)
        try:
            wait_for(lambda: self._ready(port_file), what="gateway")
        except AssertionError:
            self.stop()
            raise
        self.port = int(port_file.read_text())
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _ready(self, port_file):
        if self.proc.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.proc.returncode}: {self.stderr()}")
        return port_file.exists()

    def stderr(self):
        return self.stderr_path.read_text()

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.proc.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def connect(self, timeout=20):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def answer(self, method="GET", path="/healthz", body=None, headers=None, cafile=None):
        """(status, headers, body text)"""
        if self.tls:
            c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=ssl.create_default_context(cafile=cafile))
        else:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        data = json.dumps(body) if isinstance(body, dict) else body
        try:
            c.request(method, path, data, {"Content-Type": "application/json", **(headers or {})} if data else headers or {})
            r = c.getresponse()
            return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read().decode()
        finally:
            c.close()

    def chat(self, body=None, headers=None, cafile=None):
        return self.answer("POST", "/v1/chat/completions", body or CHAT, headers, cafile)

    def metric(self, line_start, headers=None):
        text = self.answer("GET", "/metrics", headers=headers)[2]
        values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(line_start)]
        return sum(values)

    def signal(self, sig):
        self.proc.send_signal(sig)

    def stop(self, seconds=20):
        """The exit status."""
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(seconds)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.proc.stdout.close()
        self.err.close()
        return self.proc.returncode
