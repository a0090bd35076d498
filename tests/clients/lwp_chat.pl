# SPDX-License-Identifier: Apache-2.0
# KT_TEST_CALLS calls, the last one reported; with KT_TEST_AT_ONCE = N one plain, one streamed, and N at once, each in a forked process.
use strict;
use warnings;
use JSON::PP;
use LWP::UserAgent;

my $url = $ENV{KT_TEST_URL} // 'https://api.openai.com/v1/chat/completions';
my $prompt = $ENV{KT_TEST_PROMPT} // 'Write to alice.jones@example.org, card 4111 1111 1111 1111.';
my $ua = LWP::UserAgent->new(timeout => 30, keep_alive => 1);
my $json = JSON::PP->new->canonical;

sub call {
    my ($stream, $text) = @_;
    my $body = encode_json({model => 'gpt-4o', messages => [{role => 'user', content => $text}], store => JSON::PP::false,
        max_completion_tokens => 64, stream => $stream ? JSON::PP::true : JSON::PP::false});
    my $answer = '';
    my $response = $ua->post($url, Authorization => 'Bearer sk-program-key-0001', 'Content-Type' => 'application/json', Content => $body,
        ':content_cb' => sub { $answer .= $_[0] });
    print STDERR $response->status_line, "\n" unless $response->is_success;
    my $result = {status => 0 + $response->code};
    $answer = $response->content if $answer eq ''; # what LWP itself made of a failure
    if ($stream) {
        my @events = $answer =~ /^data: (.*)$/mg;
        $result->{done} = @events && pop(@events) eq '[DONE]' ? JSON::PP::true : JSON::PP::false;
        $result->{text} = join '', map { map { $_->{delta}{content} // '' } @{decode_json($_)->{choices}} } @events;
    } else {
        $result->{body} = decode_json($answer);
    }
    return $result;
}

sub at_once {
    my @children;
    for (1 .. $_[0]) {
        my $pid = fork() // die "fork: $!";
        if ($pid == 0) {
            $ua->conn_cache(undef); # its connection is the parent's
            my $ok = call(0, "$prompt, at once")->{status} == 200;
            exit($ok ? 0 : 1);
        }
        push @children, $pid;
    }
    return [map { waitpid($_, 0); $? == 0 ? 200 : 0 } @children];
}

my $result;
if (my $many = $ENV{KT_TEST_AT_ONCE}) {
    $result = {plain => call(0, $prompt), stream => call(1, $prompt), at_once => at_once($many)};
} else {
    $result = call(($ENV{KT_TEST_STREAM} // '') eq '1', $prompt) for 1 .. ($ENV{KT_TEST_CALLS} // 1);
}
print $json->encode($result), "\n";
