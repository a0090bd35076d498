# SPDX-License-Identifier: Apache-2.0
require 'json'
require 'net/http'

URL = URI(ENV.fetch('KT_TEST_URL', 'https://api.openai.com/v1/chat/completions'))
PROMPT = ENV.fetch('KT_TEST_PROMPT', 'Write to alice.jones@example.org, card 4111 1111 1111 1111.')
HEADERS = { 'Authorization' => 'Bearer sk-program-key-0001', 'Content-Type' => 'application/json' }.freeze

def connect(&block)
  Net::HTTP.start(URL.host, URL.port, use_ssl: true, read_timeout: 30, &block)
end

def call(http, stream, prompt = PROMPT)
  body = { model: 'gpt-4o', messages: [{ role: 'user', content: prompt }], store: false, max_completion_tokens: 64, stream: stream }.to_json
  text = +''
  response = http.post(URL.path, body, HEADERS) { |piece| text << piece }
  result = { status: response.code.to_i, retry: response['x-should-retry'] }
  if stream
    events = text.scan(/^data: (.*)$/).flatten
    result[:done] = events.pop == '[DONE]'
    result[:text] = events.map { |e| JSON.parse(e)['choices'].map { |c| c['delta']['content'] } }.join
  else
    result[:body] = JSON.parse(text)
  end
  result
end

at_once = Integer(ENV.fetch('KT_TEST_AT_ONCE', '0'))
result = connect do |http|
  if at_once.positive?
    { plain: call(http, false), stream: call(http, true) }
  else
    Array.new(Integer(ENV.fetch('KT_TEST_CALLS', '1'))) { call(http, ENV['KT_TEST_STREAM'] == '1') }.last
  end
end
if at_once.positive?
  threads = Array.new(at_once) { Thread.new { connect { |http| call(http, false, "#{PROMPT}, at once")[:status] } } }
  result[:at_once] = threads.map(&:value)
end
puts result.to_json
