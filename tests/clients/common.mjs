// SPDX-License-Identifier: Apache-2.0
// What the JavaScript clients share. KT_TEST_CALLS calls, the last one is the result; or, with KT_TEST_AT_ONCE = N, one plain, one streamed, and
// N at once.
const env = process.env;
export const url = env.KT_TEST_URL ?? 'https://api.openai.com/v1/chat/completions';
export const headers = {authorization: 'Bearer sk-program-key-0001', 'content-type': 'application/json'};
const prompt = env.KT_TEST_PROMPT ?? 'Write to alice.jones@example.org, card 4111 1111 1111 1111.';
const atOnce = Number(env.KT_TEST_AT_ONCE ?? '0');

export const message = (text, stream) => ({
  model: 'gpt-4o', messages: [{role: 'user', content: text}], store: false, max_completion_tokens: 64, stream,
});

// Of the text of an answer.
export function read(status, retry, text, stream) {
  if (!stream || status !== 200) return {status, retry, body: JSON.parse(text)};
  const events = [...text.matchAll(/^data: (.*)$/gm)].map((m) => m[1]);
  const done = events.pop() === '[DONE]';
  return {status, retry, done, text: events.flatMap((e) => JSON.parse(e).choices.map((c) => c.delta.content ?? '')).join('')};
}

// call(text, stream) gives an object with `status`.
export async function calls(call) {
  if (!atOnce) {
    let result;
    for (let i = 0; i < Number(env.KT_TEST_CALLS ?? '1'); i++) result = await call(prompt, env.KT_TEST_STREAM === '1');
    return result;
  }
  const plain = await call(prompt, false), stream = await call(prompt, true);
  const many = await Promise.all(Array.from({length: atOnce}, () => call(prompt + ', at once', false)));
  return {plain, stream, at_once: many.map((r) => r.status)};
}
