# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test needs: mocks, wrapped runs, events. Standard library only."""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import servers

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"


def clean_env():
    """The caller's environment without anything that would steer us."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith("KT_") and "proxy" not in k.lower()}
    for name in ("LD_PRELOAD", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
                 "JAVA_TOOL_OPTIONS", "MISTRAL_API_KEY", "OPENAI_API_KEY"):
        keep.pop(name, None)
    return keep


def wait_for(condition, seconds=20.0, what="condition"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"timed out after {seconds} s waiting for {what}")


def dead_port():
    """A loopback port on which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def read_jsonl(path):
    try:
        return [json.loads(line) for line in pathlib.Path(path).read_text().split("\n") if line]
    except FileNotFoundError:
        return []


def compiled(build, name, source, command, env=None):
    """A program of tests/clients, `{out}` of `command`, built once per state of its sources; several tests may ask at a time."""
    folder = pathlib.Path(build).resolve() / "tests" / "clients"
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / name
    with open(folder / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = [source, *source.parent.glob(f"{source.stem}_*.c")]
        if not out.exists() or out.stat().st_mtime < max(s.stat().st_mtime for s in sources):
            own = {"GOCACHE": str(folder / "gocache"), "GO111MODULE": "off", "GOFLAGS": "", "HOME": str(folder), **(env or {})}
            part = folder / f".{name}.part"
            argv = [word.replace("{out}", str(part)).replace("{source}", str(source)) for word in command]
            r = subprocess.run(argv, env={**os.environ, **own}, capture_output=True, text=True, errors="replace")
            if r.returncode != 0:
                raise AssertionError(f"{' '.join(argv)}: {r.stderr}")
            if out.is_dir():
                shutil.rmtree(out)
            part.rename(out)
    return str(out)


class Mock:
    """One `kt mock`, on a free port, gone with the test."""

    def __init__(self, lab, name, args=(), tls=True, origin=None):
        self.name, self.tls = name, tls
        self.record = lab.tmp / f"{name}.record.jsonl"
        self.ca = lab.tmp / f"{name}.ca.pem"
        port_file = lab.tmp / f"{name}.port"
        cmd = [str(lab.kt), "mock", "--port-file", str(port_file), "--record", str(self.record), *args]
        if tls:
            cmd += ["--tls", "--ca-out", str(self.ca)]
        if origin:
            cmd += ["--listen", f"127.0.0.1:{443 if tls else 80}", "--name", origin]
        self.log = open(lab.tmp / f"{name}.log", "w+")
        self.proc = subprocess.Popen(cmd, env=clean_env(), stdout=self.log, stderr=subprocess.STDOUT)
        wait_for(lambda: self._ready(port_file), what=f"mock {name}")
        self.port = int(port_file.read_text())
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/v1"

    def _ready(self, port_file):
        if self.proc.poll() is not None:
            self.log.seek(0)
            raise AssertionError(f"mock {self.name} ended with {self.proc.returncode}: {self.log.read()}")
        return port_file.exists() and port_file.read_text().strip()

    def requests(self):
        return read_jsonl(self.record)

    def stop(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.log.close()


class H2Front:
    """nginx as `origin` on port 443, with HTTP/2, in front of a plain mock."""

    def __init__(self, lab, mock, origin, gzip=False):
        self.ca, cert, key = servers.make_ca(lab.tmp, "front", origin)
        conf, tmp = lab.tmp / "nginx.conf", lab.tmp
        paths = " ".join(f"{kind}_temp_path {tmp};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf.write_text(f"""user root root; worker_processes 1; daemon off; pid {tmp}/nginx.pid; error_log {tmp}/nginx.log;
events {{}}
http {{ access_log off; {paths}
  gzip {"on" if gzip else "off"}; gzip_types application/json text/event-stream; gzip_min_length 1; gzip_proxied any;
  server {{ listen 127.0.0.1:443 ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};
    location / {{ proxy_pass http://127.0.0.1:{mock.port}; proxy_http_version 1.1; proxy_buffering off; proxy_set_header Host $host; }} }} }}
""")
        self.proc = subprocess.Popen(["/usr/sbin/nginx", "-c", str(conf), "-e", str(tmp / "nginx.log")], env=clean_env(),
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self._ready(tmp), what="nginx")

    def _ready(self, tmp):
        if self.proc.poll() is not None:
            raise AssertionError(f"nginx ended: {(tmp / 'nginx.log').read_text()}")
        try:
            socket.create_connection(("127.0.0.1", 443), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.proc.terminate()
        self.proc.wait(10)


class Lab:
    """A folder, the built binaries, and everything a test starts. Use as a context manager."""

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.kt = self.build / "bin" / "kt"
        self.libkt = self.build / "lib" / "libkt.so"
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="ktlab-"))
        self.state = self.tmp / "state"
        self.runtime = self.tmp / "run"
        self.runtime.mkdir(mode=0o700)
        self.mocks = {}
        self.fronts = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for server in [*self.fronts, *self.mocks.values()]:
            server.stop()
        if kind is None or os.environ.get("KT_TEST_KEEP") != "1":
            subprocess.run(["chmod", "-R", "u+rwX", str(self.tmp)], check=False)
            shutil.rmtree(self.tmp, ignore_errors=True)
        else:
            print(f"kept: {self.tmp}", flush=True)

    def mock(self, name, args=(), tls=True, origin=None):
        self.mocks[name] = Mock(self, name, args, tls, origin)
        return self.mocks[name]

    def h2_front(self, name, origin, gzip=False):
        self.fronts.append(H2Front(self, self.mocks[name], origin, gzip))
        return self.fronts[-1]

    def config(self, text, name="policy-config.yaml"):
        """At once, as an editor writes it: a program that runs may be reading the one before."""
        path = self.tmp / name
        new = path.with_name(name + ".new")
        new.write_text(text)
        new.replace(path)
        return path

    def env(self, extra=None):
        env = clean_env()
        env["XDG_RUNTIME_DIR"] = str(self.runtime)
        env["HOME"] = str(self.tmp)
        env["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=0"
        env.update(extra or {})
        return env

    def wrapped(self, via, config, command, env=None, options=(), trace=None):
        """The argv and environment of `command` under `kt wrap` ("wrap"), bare LD_PRELOAD ("preload") or alone ("none")."""
        env = self.env(env)
        if trace:
            env["KT_TRACE"] = trace
        if via == "wrap":
            argv = [str(self.kt), "wrap", "--state-dir", str(self.state)]
            for path in config if isinstance(config, list) else [config] if config else []:
                argv += ["--policy-config", str(path)]
            return argv + list(options) + ["--"] + list(command), env
        if via == "preload":
            env["LD_PRELOAD"] = str(self.libkt)
            env["KT_STATE_DIR"] = str(self.state)
            if config:
                env["KT_POLICY_CONFIG"] = str(config)
        return list(command), env

    def run(self, via, config, command, env=None, options=(), trace=None, timeout=60, cwd=None):
        argv, env = self.wrapped(via, config, command, env, options, trace)
        return subprocess.run(argv, env=env, cwd=cwd or self.tmp, capture_output=True, text=True, timeout=timeout,
                              errors="replace")

    def events(self, state=None):
        out = []
        folder = (state or self.state) / "audit"
        for path in sorted(folder.glob("*.jsonl")):
            if path.name == "checkpoints.jsonl" or path.name.startswith("torn-"):
                continue
            out += read_jsonl(path)
        return sorted(out, key=lambda e: e["seq"])

    def verify(self):
        return subprocess.run([str(self.kt), "events", "verify", "--state-dir", str(self.state)], capture_output=True, text=True)


def dig(value, path):
    """dig(event, "attempts.0.outcome"); KeyError-free: None where the path does not exist."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value
