// SPDX-License-Identifier: Apache-2.0
// Streamed answers as the SDK gives them, whatever comes of them: a line of JSON for each prompt of KT_TEST_PROMPT (commas between). KT_TEST_BASE = ask there instead of at Mistral.
import {Mistral} from '@mistralai/mistralai';

const serverURL = (process.env.KT_TEST_BASE ?? 'http://api.mistral.ai/v1').replace(/\/v1$/, '');
const client = new Mistral({apiKey: 'sk-program-key-0001', serverURL, timeoutMs: 30000, retryConfig: {strategy: 'none'}});
for (const content of process.env.KT_TEST_PROMPT.split(',')) {
  const out = {text: '', thought: '', calls: [], finishes: {}};
  try {
    for await (const {data} of await client.chat.stream({model: 'mistral-small-latest', messages: [{role: 'user', content}]})) {
      for (const choice of data.choices) {
        const said = choice.delta.content ?? '';
        for (const part of typeof said === 'string' ? [{type: 'text', text: said}] : said) {
          if (part.type === 'thinking') out.thought += part.thinking.map(t => t.text).join('');
          else out.text += part.text;
        }
        out.calls.push(...(choice.delta.toolCalls ?? []));
        out.finish = choice.finishReason ?? out.finish;
        if (choice.finishReason) out.finishes[choice.index] = choice.finishReason;
      }
      out.usage = data.usage ?? out.usage;
    }
  } catch (e) {
    Object.assign(out, {error: e.constructor.name, status: e.statusCode, message: e.message.replace(/Raw.*$/s, '')});
  }
  console.log(JSON.stringify(out));
}
