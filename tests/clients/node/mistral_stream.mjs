// SPDX-License-Identifier: Apache-2.0
// A streamed answer as the SDK gives it, whatever comes of it. KT_TEST_BASE = ask there instead of at Mistral.
import {Mistral} from '@mistralai/mistralai';

const serverURL = (process.env.KT_TEST_BASE ?? 'http://api.mistral.ai/v1').replace(/\/v1$/, '');
const client = new Mistral({apiKey: 'sk-program-key-0001', serverURL, timeoutMs: 30000, retryConfig: {strategy: 'none'}});
const out = {text: '', calls: []};
try {
  const request = {model: 'mistral-small-latest', messages: [{role: 'user', content: process.env.KT_TEST_PROMPT}]};
  for await (const {data} of await client.chat.stream(request)) {
    const choice = data.choices[0];
    out.text += choice?.delta?.content ?? '';
    out.calls.push(...(choice?.delta?.toolCalls ?? []));
    out.finish = choice?.finishReason ?? out.finish;
    out.usage = data.usage ?? out.usage;
  }
} catch (e) {
  Object.assign(out, {error: e.constructor.name, status: e.statusCode, message: e.message.replace(/Raw.*$/s, '')});
}
console.log(JSON.stringify(out));
