// SPDX-License-Identifier: Apache-2.0
import {calls, headers, message, read, url} from './common.mjs';

const result = await calls(async (prompt, stream) => {
  const response = await fetch(url, {method: 'POST', headers, body: JSON.stringify(message(prompt, stream))});
  let text = '';
  const decoder = new TextDecoder();
  for await (const piece of response.body) text += decoder.decode(piece, {stream: true});
  return read(response.status, response.headers.get('x-should-retry'), text, stream);
});
console.log(JSON.stringify(result));
