# SPDX-License-Identifier: Apache-2.0
use strict;
use warnings;
use JSON::PP;
use LWP::UserAgent;

my $url = $ENV{KT_TEST_URL} // 'https://api.openai.com/v1/chat/completions';
my $prompt = $ENV{KT_TEST_PROMPT} // 'Write to alice.jones@example.org, card 4111 1111 1111 1111.';
my $stream = ($ENV{KT_TEST_STREAM} // '') eq '1';
my $body = encode_json({model => 'gpt-4o', messages => [{role => 'user', content => $prompt}], store => JSON::PP::false, max_completion_tokens => 64,
    stream => $stream ? JSON::PP::true : JSON::PP::false});
my $ua = LWP::UserAgent->new(timeout => 30, keep_alive => 1);
my ($response, $text);
for (1 .. ($ENV{KT_TEST_CALLS} // 1)) {
    $text = '';
    $response = $ua->post($url, Authorization => 'Bearer sk-program-key-0001', 'Content-Type' => 'application/json', Content => $body,
        ':content_cb' => sub { $text .= $_[0] });
}
print STDERR $response->status_line, "\n" unless $response->is_success;
my $result = {status => 0 + $response->code};
$text = $response->content if $text eq ''; # what LWP itself made of a failure
if ($stream) {
    my @events = $text =~ /^data: (.*)$/mg;
    $result->{done} = @events && pop(@events) eq '[DONE]' ? JSON::PP::true : JSON::PP::false;
    $result->{text} = join '', map { map { $_->{delta}{content} // '' } @{decode_json($_)->{choices}} } @events;
} else {
    $result->{body} = decode_json($text);
}
print encode_json($result), "\n";
