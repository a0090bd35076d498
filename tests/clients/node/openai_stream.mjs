// SPDX-License-Identifier: Apache-2.0
// A streamed answer as the SDK gives it, whatever comes of it. KT_TEST_BASE = ask there instead of at OpenAI.
import OpenAI from 'openai';

const baseURL = process.env.KT_TEST_BASE ?? 'http://api.openai.com/v1';
const client = new OpenAI({apiKey: 'sk-program-key-0001', baseURL, timeout: 30000, maxRetries: 0});
const out = {text: '', calls: []};
try {
  const request = {model: 'gpt-4o', messages: [{role: 'user', content: process.env.KT_TEST_PROMPT}], stream: true};
  for await (const chunk of await client.chat.completions.create(request)) {
    const choice = chunk.choices[0];
    out.text += choice?.delta?.content ?? '';
    out.calls.push(...(choice?.delta?.tool_calls ?? []));
    out.finish = choice?.finish_reason ?? out.finish;
    out.usage = chunk.usage ?? out.usage;
  }
} catch (e) {
  Object.assign(out, {error: e.constructor.name, status: e.status, code: e.code, message: e.message});
}
console.log(JSON.stringify(out));
