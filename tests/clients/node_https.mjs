// SPDX-License-Identifier: Apache-2.0
// node node_https.mjs main|worker|child: node:https in the main thread, in a worker thread, or in a child process.
import {fork} from 'node:child_process';
import https from 'node:https';
import {fileURLToPath} from 'node:url';
import {isMainThread, parentPort, Worker} from 'node:worker_threads';

const url = process.env.KT_TEST_URL ?? 'https://api.openai.com/v1/chat/completions';
const prompt = process.env.KT_TEST_PROMPT ?? 'Write to alice.jones@example.org, card 4111 1111 1111 1111.';
const calls = Number(process.env.KT_TEST_CALLS ?? '1');
const agent = new https.Agent({keepAlive: true});

function call() {
  const body = JSON.stringify({model: 'gpt-4o', messages: [{role: 'user', content: prompt}], store: false, max_completion_tokens: 64});
  const headers = {authorization: 'Bearer sk-program-key-0001', 'content-type': 'application/json', 'content-length': Buffer.byteLength(body)};
  return new Promise((resolve, reject) => {
    const request = https.request(url, {method: 'POST', headers, agent}, (response) => {
      let text = '';
      response.on('data', (piece) => (text += piece));
      response.on('end', () => resolve({status: response.statusCode, retry: response.headers['x-should-retry'] ?? null, body: JSON.parse(text)}));
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function work() {
  let result;
  for (let i = 0; i < calls; i++) result = await call();
  agent.destroy();
  return result;
}

const file = fileURLToPath(import.meta.url);
const print = (result) => console.log(JSON.stringify(result));
if (!isMainThread) parentPort.postMessage(await work());
else if (process.argv[2] === 'worker') new Worker(file).on('message', print);
else if (process.argv[2] === 'child') fork(file, ['main'], {stdio: ['ignore', 'inherit', 'inherit', 'ipc']});
else print(await work());
