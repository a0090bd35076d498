// SPDX-License-Identifier: Apache-2.0

// One chat call with Go's own HTTP and TLS; prints one JSON line as the other clients do.
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

func call(url string) (int, error) {
	body, _ := json.Marshal(map[string]any{
		"model":                 "gpt-4o",
		"messages":              []any{map[string]any{"role": "user", "content": env("KT_TEST_PROMPT", "Hello.")}},
		"max_completion_tokens": 64,
	})
	req, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer sk-program-key-0001")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func main() {
	if addr := os.Getenv("KT_TEST_DIAL"); addr != "" {
		http.DefaultTransport.(*http.Transport).DialContext = dialer(addr)
	}
	url := env("KT_TEST_URL", "https://api.openai.com/v1/chat/completions")
	calls, _ := strconv.Atoi(env("KT_TEST_CALLS", "1"))
	status := make([]int, calls)
	errs := make([]error, calls)
	var wait sync.WaitGroup
	for i := range status {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			status[i], errs[i] = call(url)
		}(i)
	}
	wait.Wait()
	worst := 0
	for i := range status {
		if errs[i] != nil {
			fmt.Fprintln(os.Stderr, errs[i])
			os.Exit(1)
		}
		if status[i] > worst {
			worst = status[i]
		}
	}
	fmt.Printf("{\"status\": %d}\n", worst)
}
