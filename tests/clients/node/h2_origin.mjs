// SPDX-License-Identifier: Apache-2.0
// An HTTP/2 provider that streams without end and says on standard output what becomes of each stream:
// node h2_origin.mjs CERT KEY. The first line is the port, then "open VERSION" and "closed RST-CODE".
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
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let words = body.includes('name it') ? 100 : Infinity; // before the name
    timer = setInterval(() => response.write(piece(words-- === 0 ? 'the name is Quartzfinch, ' : 'more words ')), 5);
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
