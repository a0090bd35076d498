// SPDX-License-Identifier: Apache-2.0
import OpenAI from 'openai';

const client = new OpenAI({apiKey: 'sk-program-key-0001', timeout: 30000});
try {
  await client.responses.create({model: 'gpt-4o', input: 'hello'});
  console.log(JSON.stringify({status: 200}));
} catch (e) {
  console.log(JSON.stringify({status: e.status ?? 0, code: e.code, message: e.message, retried: e.headers?.get('x-should-retry') !== 'false'}));
}
