// SPDX-License-Identifier: Apache-2.0
const url = process.env.KT_TEST_URL ?? 'https://api.openai.com/v1/chat/completions';
const prompt = process.env.KT_TEST_PROMPT ?? 'Write to alice.jones@example.org, card 4111 1111 1111 1111.';
const stream = process.env.KT_TEST_STREAM === '1';
const calls = Number(process.env.KT_TEST_CALLS ?? '1');

let response, text;
for (let i = 0; i < calls; i++) {
  response = await fetch(url, {
    method: 'POST',
    headers: {authorization: 'Bearer sk-program-key-0001', 'content-type': 'application/json'},
    body: JSON.stringify({model: 'gpt-4o', messages: [{role: 'user', content: prompt}], store: false, max_completion_tokens: 64, stream}),
  });
  text = '';
  const decoder = new TextDecoder();
  for await (const piece of response.body) text += decoder.decode(piece, {stream: true});
}
const result = {status: response.status, retry: response.headers.get('x-should-retry')};
if (stream) {
  const events = [...text.matchAll(/^data: (.*)$/gm)].map((m) => m[1]);
  result.done = events.pop() === '[DONE]';
  result.text = events.flatMap((e) => JSON.parse(e).choices.map((c) => c.delta.content ?? '')).join('');
} else {
  result.body = JSON.parse(text);
}
console.log(JSON.stringify(result));
