// SPDX-License-Identifier: Apache-2.0
// What programs ask through the stock openai SDK, one of each kind. Prints one line of JSON per request: its name and what the SDK made of the answer.
import OpenAI from 'openai';

const client = new OpenAI({ apiKey: 'sk-program-key-0001', timeout: 30000, maxRetries: 0 });
const user = (content, more = {}) => ({ role: 'user', content, ...more });
const call = (id, name = 'weather', args = '{"city":"Oslo \\u00e9","n":12345678901234567890}') =>
  ({ id, type: 'function', function: { name, arguments: args } });
const weather = { type: 'function', function: { name: 'weather', description: 'The weather', strict: true, parameters: {
  type: 'object', properties: { city: { type: 'string', description: 'a city' } }, required: ['city'], additionalProperties: false } } };
const bare = { type: 'function', function: { name: 'now' } };
const schema = { type: 'json_schema', json_schema: { name: 'answer', description: 'd', strict: true, schema: {
  type: 'object', properties: { a: { type: 'number' } }, required: ['a'], additionalProperties: false } } };
const pixel = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const dialogue = [user('Weather in Oslo?'), { role: 'assistant', content: null, tool_calls: [call('call_abcdefghijklmnopqrstuvwx')], refusal: null, annotations: [] },
  { role: 'tool', tool_call_id: 'call_abcdefghijklmnopqrstuvwx', content: '{"temp": -3}' }];

const chats = {
  plain: {},
  'zero temperature': { temperature: 0 },
  'hot': { temperature: 1.9, top_p: 0.9 },
  'max tokens': { max_tokens: 64 },
  'max completion tokens': { max_completion_tokens: 64 },
  'both maxima': { max_tokens: 10, max_completion_tokens: 64 },
  seed: { seed: 42 },
  'negative seed': { seed: -1 },
  penalties: { presence_penalty: 0.5, frequency_penalty: -0.5 },
  n: { n: 2 },
  'one stop': { stop: 'END' },
  'many stops': { stop: ['END', '\n\n'] },
  'stop null': { stop: null },
  user: { user: 'user-1', safety_identifier: 's' },
  'store and metadata': { store: true, metadata: { team: 'a', run: '7' } },
  logprobs: { logprobs: true, top_logprobs: 3 },
  'logit bias': { logit_bias: { 50256: -100 } },
  'service tier': { service_tier: 'auto', verbosity: 'low', prompt_cache_key: 'k', prompt_cache_retention: '24h' },
  'reasoning effort': { reasoning_effort: 'medium' },
  'no reasoning': { reasoning_effort: 'none' },
  modalities: { modalities: ['text'] },
  prediction: { prediction: { type: 'content', content: 'the same again' } },
  'prediction in parts': { prediction: { type: 'content', content: [{ type: 'text', text: 'the same' }] } },
  'web search': { web_search_options: { search_context_size: 'low' } },
  'json mode': { messages: [user('Answer in JSON: one plus one')], response_format: { type: 'json_object' } },
  'text format': { response_format: { type: 'text' } },
  'json schema': { response_format: schema },
  'json schema, strict null': { response_format: { type: 'json_schema', json_schema: { name: 'x', strict: null, schema: { type: 'object' } } } },
  'json schema, none': { response_format: { type: 'json_schema', json_schema: { name: 'x' } } },
  'large seed': { seed: 2 ** 62 },
  'system alone': { messages: [{ role: 'system', content: 'Say something.' }] },
  'function said nothing': { messages: [user('go'), { role: 'assistant', content: null, function_call: { name: 'now', arguments: '{}' } },
    { role: 'function', name: 'now', content: null }] },
  tools: { tools: [weather], tool_choice: 'auto', parallel_tool_calls: false },
  'tools required': { tools: [weather, bare], tool_choice: 'required', parallel_tool_calls: true },
  'tools none': { tools: [weather], tool_choice: 'none' },
  'one tool by name': { tools: [weather, bare], tool_choice: { type: 'function', function: { name: 'now' } } },
  'allowed tools': { tools: [weather, bare], tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'now' } }] } } },
  'custom tool': { tools: [weather, { type: 'custom', custom: { name: 'code', description: 'runs' } }] },
  'no tools': { tools: [], tool_choice: 'auto', parallel_tool_calls: true },
  'strict null': { tools: [{ type: 'function', function: { name: 'now', strict: null } }] },
  functions: { functions: [{ name: 'weather', parameters: { type: 'object', properties: {} } }, { name: 'now' }], function_call: 'auto' },
  'function by name': { functions: [{ name: 'now' }], function_call: { name: 'now' } },
  nulls: { temperature: null, top_p: null, n: null, stop: null, presence_penalty: null, frequency_penalty: null, max_tokens: null, max_completion_tokens: null,
    seed: null, logprobs: null, top_logprobs: null, logit_bias: null, metadata: null, store: null, stream: null, reasoning_effort: null, service_tier: null, modalities: null,
    prediction: null, audio: null },
  developer: { messages: [{ role: 'developer', content: 'Be brief.', name: 'dev' }, user('hi', { name: 'alice' })] },
  'system in parts': { messages: [{ role: 'system', content: [{ type: 'text', text: 'Be ' }, { type: 'text', text: 'brief.' }] }, user('hi')] },
  'late system': { messages: [user('hi'), { role: 'assistant', content: 'hello' }, { role: 'system', content: 'Now in French.' }, user('again')] },
  parts: { messages: [user([{ type: 'text', text: 'one' }, { type: 'text', text: 'two \u{1F600}' }])] },
  image: { messages: [user([{ type: 'text', text: 'what is it?' }, { type: 'image_url', image_url: { url: pixel, detail: 'low' } }])] },
  'image by url': { messages: [user([{ type: 'image_url', image_url: { url: 'https://example.org/x.png' } }, { type: 'text', text: 'what is it?' }])] },
  audio: { messages: [user([{ type: 'text', text: 'listen' }, { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } }])] },
  file: { messages: [user([{ type: 'text', text: 'read' }, { type: 'file', file: { file_id: '0b3f8c1e-5f0e-4d7a-9a43-3f1f0a1b2c3d' } }])] },
  'tool dialogue': { messages: dialogue, tools: [weather] },
  'answer behind a tool': { messages: [...dialogue, { role: 'assistant', content: 'It is cold.' }, user('And tomorrow?')], tools: [weather] },
  'user right behind a tool': { messages: [...dialogue, user('And tomorrow?')], tools: [weather] },
  'two calls at once': { messages: [user('Oslo and Rome?'), { role: 'assistant', content: '', tool_calls: [call('call_1'), call('call_2', 'weather', '{"city":"Rome"}')] },
    { role: 'tool', tool_call_id: 'call_1', content: 'cold' }, { role: 'tool', tool_call_id: 'call_2', content: [{ type: 'text', text: 'warm' }] }], tools: [weather] },
  'call of another provider': { messages: [user('x'), { role: 'assistant', content: 'I look', tool_calls: [call('toolu_01A-b_c.d/e')] },
    { role: 'tool', tool_call_id: 'toolu_01A-b_c.d/e', content: 'y' }] },
  'own id stays': { messages: [user('x'), { role: 'assistant', tool_calls: [call('aB3dE5gH9')] }, { role: 'tool', tool_call_id: 'aB3dE5gH9', content: 'y' }] },
  'legacy function dialogue': { messages: [user('x'), { role: 'assistant', content: null, function_call: { name: 'now', arguments: '{}' } }, { role: 'function', name: 'now', content: '12:00' }] },
  refusal: { messages: [user('x'), { role: 'assistant', content: null, refusal: 'I will not.' }, user('why?')] },
  'refusal in parts': { messages: [user('x'), { role: 'assistant', content: [{ type: 'refusal', refusal: 'I will not.' }] }, user('why?')] },
  'assistant last': { messages: [user('x'), { role: 'assistant', content: 'Once upon' }] },
  'two users': { messages: [user('one'), user('two')] },
  'audio answer in the history': { messages: [user('x'), { role: 'assistant', content: null, audio: { id: 'audio_1' } }, user('y')] },
  'escapes': { messages: [user('"\\\u0000\u001f\u2028\u{1F600}</script>\t')] },
  'unknown field': { extra_thing: { a: [1, 2] }, top_k: 5 },
};
const long = [{ role: 'system', content: 'You are an agent.' }];
for (let i = 0; i < 60; i++)
  long.push(user(`step ${i}`), { role: 'assistant', content: null, tool_calls: [call(`call_${i}`, 'now', '{}'), call(`call_${i}_b`, 'now', '{}')] },
    { role: 'tool', tool_call_id: `call_${i}`, content: `${i}` }, { role: 'tool', tool_call_id: `call_${i}_b`, content: '' }, { role: 'assistant', content: `done ${i}` });
chats['long agent run'] = { messages: [...long, user('sum up')], tools: [bare] };

const say = (name, result) => console.log(JSON.stringify({ name, ...result }));
const run = async (name, ask) => {
  try {
    say(name, await ask());
  } catch (e) {
    say(name, { error: `${e.constructor.name}: ${e.message}`, status: e.status });
  }
};
const seen = answer => ({ texts: answer.choices.map(c => c.message.content), finish: answer.choices[0].finish_reason, total: answer.usage.total_tokens, object: answer.object });

for (const [name, more] of Object.entries(chats)) {
  const request = { model: 'gpt-4o', messages: [user('hi')], ...more };
  await run(name, async () => seen(await client.chat.completions.create(request)));
  if (more.stream === undefined)
    await run(`${name} (stream)`, async () => {
      let text = '', usage = null, finish = null;
      for await (const chunk of await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } })) {
        text += chunk.choices[0]?.delta?.content ?? '';
        finish = chunk.choices[0]?.finish_reason ?? finish;
        usage = chunk.usage ?? usage;
      }
      return { texts: [text], finish, total: usage?.total_tokens };
    });
}
await run('stream helper', async () => {
  const runner = client.chat.completions.stream({ model: 'gpt-4o', messages: [user('hi')], tools: [weather] });
  return { texts: [await runner.finalContent()], finish: (await runner.finalChatCompletion()).choices[0].finish_reason };
});
await run('embeddings', async () => {
  const answer = await client.embeddings.create({ model: 'text-embedding-3-small', input: ['one', 'two'], dimensions: 256, user: 'u' });
  return { count: answer.data.length };
});
await run('embeddings of one', async () => {
  const answer = await client.embeddings.create({ model: 'text-embedding-3-small', input: 'one', encoding_format: 'float' });
  return { count: answer.data.length };
});
await run('completions', async () => {
  const answer = await client.completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: 'def f(', suffix: ')', max_tokens: 16, temperature: 0.2, echo: false, best_of: 1, logprobs: null, user: 'u', seed: 3 });
  return { texts: answer.choices.map(c => c.text), object: answer.object };
});
await run('moderations', async () => ({ count: (await client.moderations.create({ input: 'text' })).results.length }));
await run('models', async () => ({ ids: (await client.models.list()).data.map(m => m.id) }));
await run('model', async () => ({ ids: [(await client.models.retrieve('mistral-large-latest')).id] }));
