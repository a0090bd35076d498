// SPDX-License-Identifier: Apache-2.0
// node node_https.mjs main|worker|child: node:https in the main thread, in a worker thread, or in a child process.
import {fork} from 'node:child_process';
import https from 'node:https';
import {fileURLToPath} from 'node:url';
import {isMainThread, parentPort, Worker} from 'node:worker_threads';
import {calls, headers, message, read, url} from './common.mjs';

const agent = new https.Agent({keepAlive: true});

function call(prompt, stream) {
  const body = JSON.stringify(message(prompt, stream));
  return new Promise((resolve, reject) => {
    const request = https.request(url, {method: 'POST', headers: {...headers, 'content-length': Buffer.byteLength(body)}, agent}, (response) => {
      let text = '';
      response.on('data', (piece) => (text += piece));
      response.on('end', () => resolve(read(response.statusCode, response.headers['x-should-retry'] ?? null, text, stream)));
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function work() {
  const result = await calls(call);
  agent.destroy();
  return result;
}

const file = fileURLToPath(import.meta.url);
const print = (result) => console.log(JSON.stringify(result));
if (!isMainThread) parentPort.postMessage(await work());
else if (process.argv[2] === 'worker') new Worker(file).on('message', print);
else if (process.argv[2] === 'child') fork(file, ['main'], {stdio: ['ignore', 'inherit', 'inherit', 'ipc']});
else print(await work());
