# SPDX-License-Identifier: Apache-2.0
use strict;
use warnings;
use JSON::PP;
use LWP::UserAgent;

my $url = $ENV{KT_TEST_URL} // 'https://api.openai.com/v1/chat/completions';
my $prompt = $ENV{KT_TEST_PROMPT} // 'Write to alice.jones@example.org, card 4111 1111 1111 1111.';
my $body = encode_json({model => 'gpt-4o', messages => [{role => 'user', content => $prompt}], store => JSON::PP::false, max_completion_tokens => 64});
my $ua = LWP::UserAgent->new(timeout => 30, keep_alive => 1);
my $response;
$response = $ua->post($url, Authorization => 'Bearer sk-program-key-0001', 'Content-Type' => 'application/json', Content => $body)
    for 1 .. ($ENV{KT_TEST_CALLS} // 1);
print STDERR $response->status_line, "\n" unless $response->is_success;
print encode_json({status => 0 + $response->code, body => decode_json($response->content)}), "\n";
