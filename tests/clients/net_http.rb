# SPDX-License-Identifier: Apache-2.0
require 'json'
require 'net/http'

uri = URI(ENV.fetch('KT_TEST_URL', 'https://api.openai.com/v1/chat/completions'))
prompt = ENV.fetch('KT_TEST_PROMPT', 'Write to alice.jones@example.org, card 4111 1111 1111 1111.')
stream = ENV['KT_TEST_STREAM'] == '1'
body = { model: 'gpt-4o', messages: [{ role: 'user', content: prompt }], store: false, max_completion_tokens: 64, stream: stream }.to_json
headers = { 'Authorization' => 'Bearer sk-program-key-0001', 'Content-Type' => 'application/json' }
response = text = nil
Net::HTTP.start(uri.host, uri.port, use_ssl: true, read_timeout: 30) do |http|
  Integer(ENV.fetch('KT_TEST_CALLS', '1')).times do
    text = +''
    response = http.post(uri.path, body, headers) { |piece| text << piece }
  end
end
result = { status: response.code.to_i, retry: response['x-should-retry'] }
if stream
  events = text.scan(/^data: (.*)$/).flatten
  result[:done] = events.pop == '[DONE]'
  result[:text] = events.map { |e| JSON.parse(e)['choices'].map { |c| c['delta']['content'] } }.join
else
  result[:body] = JSON.parse(text)
end
puts result.to_json
