// SPDX-License-Identifier: Apache-2.0
// leaving.mjs openai|mistral: reads a stream until its first words, lets go of it, and says when. Lives on: only the call ends.
import {Mistral} from '@mistralai/mistralai';
import OpenAI from 'openai';

const messages = [{role: 'user', content: process.env.KT_TEST_PROMPT}];
if (process.argv[2] === 'openai') {
  const client = new OpenAI({apiKey: 'sk-program-key-0001', maxRetries: 0});
  for await (const chunk of await client.chat.completions.create({model: 'gpt-4o', messages, stream: true})) {
    if (chunk.choices[0]?.delta?.content?.includes('begun')) break;
  }
} else {
  const client = new Mistral({apiKey: 'sk-program-key-0001', retryConfig: {strategy: 'none'}});
  for await (const {data} of await client.chat.stream({model: 'mistral-small-latest', messages})) {
    if (data.choices[0]?.delta?.content?.includes?.('begun')) break;
  }
}
console.log(Number(process.hrtime.bigint()) / 1e9);
process.stdin.resume();
