// SPDX-License-Identifier: Apache-2.0

// KT_TEST_CALLS chat calls at once with Go's own HTTP and TLS, or with KT_TEST_AT_ONCE = N one plain, one streamed and N at once;
// prints one JSON line as the other clients do.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

func env(name, other string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return other
}

// A connection that no resolver was asked for.
func dialer(addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

func call(url, prompt string, stream bool) (int, string, error) {
	body, _ := json.Marshal(map[string]any{
		"model":                 "gpt-4o",
		"messages":              []any{map[string]any{"role": "user", "content": prompt}},
		"max_completion_tokens": 64,
		"stream":                stream,
	})
	req, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer sk-program-key-0001")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func atOnce(n int, url, prompt string) []int {
	status := make([]int, n)
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range status {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			status[i], _, errs[i] = call(url, prompt, false)
		}(i)
	}
	wait.Wait()
	for _, err := range errs {
		must(err)
	}
	return status
}

// The text of a stream, and whether it ended as streams do.
func streamed(text string) (string, bool) {
	all := ""
	for _, line := range strings.Split(text, "\n") {
		var chunk struct {
			Choices []struct{ Delta struct{ Content string } }
		}
		if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &chunk) == nil {
			for _, choice := range chunk.Choices {
				all += choice.Delta.Content
			}
		}
	}
	return all, strings.HasSuffix(strings.TrimSpace(text), "data: [DONE]")
}

// One plain call, one streamed, n at once.
func matrix(n int, url, prompt string) {
	status, plain, err := call(url, prompt, false)
	must(err)
	streamStatus, stream, err := call(url, prompt, true)
	must(err)
	text, done := streamed(stream)
	out, err := json.Marshal(map[string]any{
		"plain":   map[string]any{"status": status, "body": json.RawMessage(plain)},
		"stream":  map[string]any{"status": streamStatus, "text": text, "done": done},
		"at_once": atOnce(n, url, prompt+", at once"),
	})
	must(err)
	fmt.Println(string(out))
}

func main() {
	if addr := os.Getenv("KT_TEST_DIAL"); addr != "" {
		http.DefaultTransport.(*http.Transport).DialContext = dialer(addr)
	}
	url := env("KT_TEST_URL", "https://api.openai.com/v1/chat/completions")
	prompt := env("KT_TEST_PROMPT", "Hello.")
	if n, _ := strconv.Atoi(os.Getenv("KT_TEST_AT_ONCE")); n > 0 {
		matrix(n, url, prompt)
		return
	}
	calls, _ := strconv.Atoi(env("KT_TEST_CALLS", "1"))
	worst := 0
	for _, s := range atOnce(calls, url, prompt) {
		if s > worst {
			worst = s
		}
	}
	fmt.Printf("{\"status\": %d}\n", worst)
}
