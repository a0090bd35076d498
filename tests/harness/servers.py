# SPDX-License-Identifier: Apache-2.0
"""Small servers for the far side of a test: a plain HTTPS server of its own CA, a CONNECT proxy."""
import http.server
import pathlib
import socket
import ssl
import subprocess
import threading


def make_ca(folder, name, host="localhost"):
    """A CA and a certificate for `host` and 127.0.0.1, by openssl(1). Returns (ca.pem, cert.pem, key.pem)."""
    d = pathlib.Path(folder)
    ca_key, ca, key, csr, cert, ext = (d / f"{name}.{s}" for s in ("ca.key", "ca.pem", "key", "csr", "pem", "ext"))

    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", f"/CN={name} CA")
    openssl("req", "-new", *curve, "-keyout", key, "-out", csr, "-subj", f"/CN={host}")
    ext.write_text(f"subjectAltName=DNS:{host},IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", csr, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", ext, "-out", cert)
    return ca, cert, key


class HttpsServer:
    """Answers every GET with `text`, on a free loopback port."""

    def __init__(self, cert, key, text="plain https"):
        payload = text.encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True)
        self.port = self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.httpd.shutdown()
        self.httpd.server_close()


class ConnectProxy:
    """An HTTP CONNECT proxy that leads every tunnel to one loopback port and counts them."""

    def __init__(self, to_port):
        self.to_port, self.tunnels = to_port, 0
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = conn.recv(4096)
            if not piece:
                return
            head += piece
        self.tunnels += 1
        far = socket.create_connection(("127.0.0.1", self.to_port))
        conn.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=self._pump, args=(far, conn), daemon=True).start()
        self._pump(conn, far)

    @staticmethod
    def _pump(a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()
