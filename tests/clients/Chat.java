// SPDX-License-Identifier: Apache-2.0
// java Chat client|url: java.net.http.HttpClient (those at once by sendAsync), or HttpsURLConnection (by threads). One plain call, one streamed,
// KT_TEST_AT_ONCE at once.
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Chat {
    static String env(String name, String otherwise) {
        String v = System.getenv(name);
        return v == null ? otherwise : v;
    }

    record Answer(int status, String text) {}

    static final String URL_TEXT = env("KT_TEST_URL", "https://api.openai.com/v1/chat/completions");

    static String read(InputStream in) throws Exception {
        StringBuilder all = new StringBuilder();
        BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null;)
            all.append(line).append('\n');
        return all.toString();
    }

    /** Without a JSON library: the last event is [DONE], and the pieces of content follow each other. */
    static String streamed(String text) {
        StringBuilder content = new StringBuilder();
        Matcher m = Pattern.compile("\"content\": ?\"([^\"]*)\"").matcher(text);
        while (m.find())
            content.append(m.group(1));
        return ",\"done\":" + text.strip().endsWith("data: [DONE]") + ",\"text\":\"" + content + "\"}";
    }

    static String json(Answer a, boolean stream) {
        return "{\"status\":" + a.status() + (stream ? streamed(a.text()) : ",\"body\":" + a.text() + "}");
    }

    static String body(String prompt, boolean stream) {
        return "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"" + prompt
            + "\"}],\"store\":false,\"max_completion_tokens\":64,\"stream\":" + stream + "}";
    }

    /** Where KT_TEST_CA names a file, that is what is trusted; else what the runtime trusts. */
    static SSLContext trust() throws Exception {
        String file = env("KT_TEST_CA", "");
        if (file.isEmpty())
            return SSLContext.getDefault();
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (InputStream in = new FileInputStream(file)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }

    static HttpRequest request(String body) {
        return HttpRequest.newBuilder(URI.create(URL_TEXT)).timeout(Duration.ofSeconds(30))
            .header("Authorization", "Bearer sk-program-key-0001").header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body)).build();
    }

    static Answer byClient(HttpClient client, String body) throws Exception {
        HttpResponse<InputStream> response = client.send(request(body), HttpResponse.BodyHandlers.ofInputStream());
        return new Answer(response.statusCode(), read(response.body()));
    }

    static List<Integer> manyByClient(HttpClient client, int n, String body) {
        return IntStream.range(0, n).mapToObj(i -> client.sendAsync(request(body), HttpResponse.BodyHandlers.ofString()))
            .toList().stream().map(f -> f.join().statusCode()).toList();
    }

    static Answer byUrl(String body) throws Exception {
        HttpURLConnection c = (HttpURLConnection) new URL(URL_TEXT).openConnection();
        c.setReadTimeout(30000);
        c.setRequestMethod("POST");
        c.setRequestProperty("Authorization", "Bearer sk-program-key-0001");
        c.setRequestProperty("Content-Type", "application/json");
        c.setDoOutput(true);
        c.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
        int status = c.getResponseCode();
        try (InputStream in = status < 400 ? c.getInputStream() : c.getErrorStream()) {
            return new Answer(status, read(in));
        }
    }

    static List<Integer> manyByUrl(int n, String body) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(n);
        List<Integer> statuses = new ArrayList<>();
        for (Future<Answer> f : threads.invokeAll(Collections.nCopies(n, (Callable<Answer>) () -> byUrl(body))))
            statuses.add(f.get().status());
        threads.shutdown();
        return statuses;
    }

    public static void main(String[] args) throws Exception {
        String prompt = env("KT_TEST_PROMPT", "Write to alice.jones@example.org, card 4111 1111 1111 1111.");
        HttpsURLConnection.setDefaultSSLSocketFactory(trust().getSocketFactory());
        boolean async = args[0].equals("client");
        HttpClient client = async ? HttpClient.newBuilder().sslContext(trust()).build() : null;
        List<String> answers = new ArrayList<>();
        for (boolean stream : new boolean[] {false, true})
            answers.add(json(async ? byClient(client, body(prompt, stream)) : byUrl(body(prompt, stream)), stream));
        int n = Integer.parseInt(env("KT_TEST_AT_ONCE", "1"));
        String many = body(prompt + ", at once", false);
        System.out.println("{\"plain\":" + answers.get(0) + ",\"stream\":" + answers.get(1) + ",\"at_once\":"
            + (async ? manyByClient(client, n, many) : manyByUrl(n, many)) + "}");
    }
}
