// SPDX-License-Identifier: Apache-2.0
// Streamed answers as the SDK gives them, whatever comes of them: a line of JSON for each prompt of KT_TEST_PROMPT (commas between). KT_TEST_BASE = ask there instead of at OpenAI.
import OpenAI from 'openai';

const baseURL = process.env.KT_TEST_BASE ?? 'http://api.openai.com/v1';
const client = new OpenAI({apiKey: 'sk-program-key-0001', baseURL, timeout: 30000, maxRetries: 0});
for (const content of process.env.KT_TEST_PROMPT.split(',')) {
  const out = {text: '', thought: '', calls: [], finishes: {}};
  try {
    const request = {model: 'gpt-4o', messages: [{role: 'user', content}], stream: true};
    for await (const chunk of await client.chat.completions.create(request)) {
      for (const choice of chunk.choices) {
        out.text += choice.delta.content ?? '';
        out.thought += choice.delta.reasoning_content ?? '';
        out.calls.push(...(choice.delta.tool_calls ?? []));
        out.finish = choice.finish_reason ?? out.finish;
        if (choice.finish_reason) out.finishes[choice.index] = choice.finish_reason;
      }
      out.usage = chunk.usage ?? out.usage;
    }
  } catch (e) {
    Object.assign(out, {error: e.constructor.name, status: e.status, code: e.code, message: e.message});
  }
  console.log(JSON.stringify(out));
}
