// SPDX-License-Identifier: Apache-2.0
import OpenAI from 'openai';
import {calls} from '../common.mjs';

const client = new OpenAI({apiKey: 'sk-program-key-0001', timeout: 30000});

async function call(prompt, stream) {
  const request = {model: 'gpt-4o', messages: [{role: 'user', content: prompt}], store: false, max_completion_tokens: 64};
  const out = {};
  const started = Date.now();
  try {
    if (stream) {
      out.text = '';
      out.chunks = 0;
      for await (const chunk of await client.chat.completions.create({...request, stream: true})) {
        out.chunks++;
        out.text += chunk.choices[0]?.delta?.content ?? '';
        out.finish = chunk.choices[0]?.finish_reason ?? out.finish;
      }
      out.status = 200;
    } else {
      const answer = await client.chat.completions.create(request);
      out.status = 200;
      out.text = answer.choices[0].message.content;
      out.model = answer.model;
    }
  } catch (e) {
    out.status = e.status ?? 0;
    out.error = e.constructor.name;
    out.code = e.code;
    out.message = e.message;
    out.at_once = Date.now() - started < 5000;
  }
  return out;
}

console.log(JSON.stringify(await calls(call)));
