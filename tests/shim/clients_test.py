# SPDX-License-Identifier: Apache-2.0
"""Real clients, unmodified, no DNS."""
import os
import shutil

from kt_harness import PYTHON, ShimTest, main

URL = "https://api.openai.com/v1/chat/completions"


class Clients(ShimTest):
    def lanes(self):
        bad = [e for e in self.events() if e.startswith(("mixed", "report"))]
        self.assertEqual(bad, [], self.events())
        return [e.split()[2] for e in self.events() if e.startswith("answer")]

    def needs(self, module):
        p = self.run_program(PYTHON, "-c", "import " + module, status=None, LD_PRELOAD=None)
        if p.returncode != 0:
            self.skipTest(module + " is not installed")

    def test_curl(self):
        p = self.run_program("/usr/bin/curl", "-sS", URL, "-d", "{}", URL, "-d", "{}")
        self.assertEqual(p.stdout.count('"origin":"api.openai.com","port":443'), 2)
        self.assertEqual(self.lanes(), ["handoff"] * 2)

    def test_curl_without_handoff(self):
        self.run_program("/usr/bin/curl", "-sS", URL, "-d", "{}", KT_TRACE="no-handoff")
        self.assertEqual(self.lanes(), ["tls"])

    def test_curl_plain_http(self):
        p = self.run_program("/usr/bin/curl", "-sS", "http://api.openai.com/x")
        self.assertIn('"lane":"plain"', p.stdout)

    def test_curl_large_body(self):
        body = os.path.join(self.dir, "body")
        with open(body, "wb") as f:
            f.write(b"x" * 700000)
        p = self.run_program("/usr/bin/curl", "-sS", URL, "-H", "Expect:", "--data-binary", "@" + body)
        got = int(p.stdout.split('"got":')[1].rstrip("}"))
        self.assertGreater(got, 700000)
        self.assertEqual(self.lanes(), ["handoff"])

    def test_urllib_and_http_client(self):
        self.python("import urllib.request as u; print(u.urlopen(%r, b'{}').read())" % URL)
        self.assertEqual(self.lanes(), ["handoff"])

    def test_requests_session(self):
        self.needs("requests")
        code = ("import requests; s=requests.Session()\n"
                "for i in range(3): r=s.post(%r, json={'i':i}); assert r.json()['origin']=='api.openai.com', r.text\n") % URL
        self.python(code)
        self.assertEqual(self.lanes(), ["handoff"] * 3)
        self.assertEqual(sum(e.startswith("adopt") for e in self.events()), 1, "one connection, kept alive")

    def test_requests_threads(self):
        self.needs("requests")
        code = ("import requests, concurrent.futures as c\n"
                "with c.ThreadPoolExecutor(16) as p: print(sum(p.map(lambda i: requests.post(%r, json={'i':i}).status_code==200, range(48))))"
                ) % URL
        self.assertEqual(self.python(code).stdout, "48\n")
        self.assertEqual(len(self.lanes()), 48)

    def test_httpx_sync_and_async(self):
        self.needs("httpx")
        self.python("import httpx; assert httpx.post(%r, json={}).json()['port']==443" % URL)
        code = ("import httpx, asyncio\n"
                "async def main():\n"
                "  async with httpx.AsyncClient() as c:\n"
                "    r = await asyncio.gather(*[c.post(%r, json={'i': i}) for i in range(10)])\n"
                "    assert all(x.json()['origin']=='api.openai.com' for x in r)\n"
                "asyncio.run(main())") % URL
        self.python(code)
        self.assertEqual(self.lanes(), ["handoff"] * 11)

    def test_aiohttp_20_concurrent(self):
        self.needs("aiohttp")
        code = ("import aiohttp, asyncio\n"
                "async def one(s, i):\n"
                "  async with s.post(%r, json={'i': i}) as r: return (await r.json())['origin']\n"
                "async def main():\n"
                "  async with aiohttp.ClientSession() as s:\n"
                "    print(set(await asyncio.gather(*[one(s, i) for i in range(20)])))\n"
                "asyncio.run(main())") % URL
        for env in ({}, {"KT_TRACE": "no-handoff"}):
            self.assertEqual(self.python(code, **env).stdout, "{'api.openai.com'}\n")
        self.assertEqual(self.lanes(), ["handoff"] * 20 + ["tls"] * 20)

    def test_requests_verify_of_other_hosts_is_untouched(self):
        self.needs("requests")
        port, crt = self.foreign_server()
        code = ("import requests; s=requests.Session(); s.verify=%r\n"
                "print(s.get('https://localhost:%d/').json()['origin'], s.post(%r, json={}).json()['origin'])\n"
                "s.verify=True\n"
                "try: s.get('https://127.0.0.1:%d/'); print('bad')\n"
                "except requests.exceptions.SSLError: print('verified')\n") % (crt, port, URL, port)
        self.assertEqual(self.python(code).stdout, "foreign api.openai.com\nverified\n")

    def test_multiprocessing_fork(self):
        code = ("import multiprocessing as m, urllib.request as u\n"
                "def f(i): return u.urlopen(%r, b'{}').status\n"
                "if __name__ == '__main__':\n"
                "  print(f(0))\n"
                "  with m.get_context('fork').Pool(4) as p: print(p.map(f, range(8)))\n"
                "  print(f(1))\n") % URL
        self.assertEqual(self.python(code).stdout, "200\n%s\n200\n" % ([200] * 8))
        self.assertEqual(len(self.lanes()), 10)

    def test_perl_and_node(self):
        if shutil.which("node"):
            p = self.run_program("node", "-e", "fetch(%r, {method:'POST', body:'{}'}).then(r=>r.json()).then(j=>console.log(j.origin))" % URL)
            self.assertEqual(p.stdout, "api.openai.com\n")
        p = self.run_program("/usr/bin/perl", "-MIO::Socket::SSL", "-e", "1", status=None, LD_PRELOAD=None)
        if p.returncode == 0:
            code = ("use IO::Socket::SSL; my $s = IO::Socket::SSL->new(PeerAddr=>'api.openai.com:443') or die $SSL_ERROR;"
                    "print $s \"GET / HTTP/1.1\\r\\n\\r\\n\"; sysread $s, my $b, 4096; print $b =~ /origin/ ? 'ok' : 'bad';")
            self.assertEqual(self.run_program("/usr/bin/perl", "-e", code).stdout, "ok")


if __name__ == "__main__":
    main()
