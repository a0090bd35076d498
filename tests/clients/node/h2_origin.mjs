// SPDX-License-Identifier: Apache-2.0
// An HTTP/2 provider that says on standard output what becomes of each stream: node h2_origin.mjs CERT KEY.
// The first line is the port, then "open VERSION" and "closed RST-CODE". It streams without end; asked for
// "STATUS of N bytes" or "burst of N bytes" it gives a whole answer of that size, or a stream that begins so
// and pauses before its end, in one write.
import fs from 'node:fs';
import http2 from 'node:http2';

const [cert, key] = process.argv.slice(2).map((path) => fs.readFileSync(path));
const server = http2.createSecureServer({ cert, key, allowHTTP1: true });
const piece = (content, finish = null) =>
  `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;

server.on('request', (request, response) => {
  console.log(`open ${request.httpVersion}`);
  let timer;
  response.on('error', () => {});
  response.stream?.on('close', () => {
    clearInterval(timer);
    console.log(`closed ${response.stream.rstCode}`);
  });
  let body = '';
  request.on('data', (data) => (body += data));
  request.on('end', () => {
    const [, what, size] = body.match(/(burst|\d+) of (\d+) bytes/) ?? [];
    if (what > 0) {
      const choice = { index: 0, message: { role: 'assistant', content: 'w'.repeat(size) }, finish_reason: 'stop' };
      response.writeHead(what, { 'content-type': 'application/json', 'x-a': 'y'.repeat(500), 'x-b': 'y'.repeat(500) });
      response.end(JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [choice] }));
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (what) {
      const one = piece('word ');
      response.flushHeaders();
      setTimeout(() => response.write(one.repeat(Math.ceil(size / one.length))), 20);
      setTimeout(() => response.end(piece('', 'stop') + 'data: [DONE]\n\n'), 800);
      return;
    }
    let words = body.includes('name it') ? 100 : Infinity; // before the name
    timer = setInterval(() => response.write(piece(words-- === 0 ? 'the name is Quartzfinch, ' : 'more words ')), 5);
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
