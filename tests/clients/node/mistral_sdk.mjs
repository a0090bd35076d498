// SPDX-License-Identifier: Apache-2.0
import {Mistral} from '@mistralai/mistralai';
import {calls} from '../common.mjs';

const client = new Mistral({apiKey: 'sk-program-key-0001', timeoutMs: 30000});

async function call(prompt, stream) {
  const request = {model: 'gpt-4o', messages: [{role: 'user', content: prompt}], maxTokens: 64};
  const out = {};
  try {
    if (stream) {
      out.text = '';
      out.chunks = 0;
      for await (const event of await client.chat.stream(request)) {
        out.chunks++;
        out.text += event.data.choices[0]?.delta?.content ?? '';
        out.finish = event.data.choices[0]?.finishReason ?? out.finish;
      }
    } else {
      const answer = await client.chat.complete(request);
      out.text = answer.choices[0].message.content;
      out.model = answer.model;
    }
    out.status = 200;
  } catch (e) {
    out.status = e.statusCode ?? 0;
    out.error = e.constructor.name;
    out.message = e.message;
  }
  return out;
}

console.log(JSON.stringify(await calls(call)));
