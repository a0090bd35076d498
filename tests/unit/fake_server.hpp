/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// A threaded HTTP/1.1 server on a free loopback port, for tests that need an upstream; it ends with its
// object. The handler writes raw bytes, so that every fault can be played. Nothing here sleeps: threads wait
// on sockets and on conditions.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cerrno>
#include <cstring>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <strings.h>
#include <thread>
#include <vector>

namespace fake {

constexpr auto kPatience =
    std::chrono::seconds(20); // of a wait that is expected to succeed; a failing test ends by it

// Everybody waits until it is opened.
class Gate {
  public:
    void open()
    {
        std::lock_guard<std::mutex> l(m_);
        open_ = true;
        c_.notify_all();
    }
    void close()
    {
        std::lock_guard<std::mutex> l(m_);
        open_ = false;
    }
    bool wait()
    {
        std::unique_lock<std::mutex> l(m_);
        return c_.wait_for(l, kPatience, [this] { return open_; });
    }

  private:
    std::mutex m_;
    std::condition_variable c_;
    bool open_ = false;
};

// What the test says and a server's thread reads.
class Text {
  public:
    explicit Text(const char *text) : text_(text) {}
    Text &operator=(const std::string &text)
    {
        std::lock_guard<std::mutex> l(m_);
        text_ = text;
        return *this;
    }
    operator std::string() const
    {
        std::lock_guard<std::mutex> l(m_);
        return text_;
    }

  private:
    mutable std::mutex m_;
    std::string text_;
};

struct Request {
    std::string method, target, head, body;
    std::string header(const std::string &name) const // "" = absent
    {
        for (size_t at = head.find("\r\n"); at != std::string::npos && at + 2 < head.size();
             at = head.find("\r\n", at + 2)) {
            size_t colon = head.find(':', at + 2);
            if (colon != std::string::npos && colon - at - 2 == name.size() &&
                strncasecmp(head.c_str() + at + 2, name.c_str(), name.size()) == 0) {
                size_t from = head.find_first_not_of(' ', colon + 1), to = head.find("\r\n", colon);
                return head.substr(from, to - from);
            }
        }
        return "";
    }
};

class Conn {
  public:
    Conn(int fd, SSL_CTX *ctx) : fd_(fd)
    {
        if (ctx) {
            ssl_ = SSL_new(ctx);
            SSL_set_fd(ssl_, fd);
        }
    }
    ~Conn()
    {
        if (ssl_)
            SSL_free(ssl_);
        close(fd_);
    }
    bool handshake()
    {
        return !ssl_ || SSL_accept(ssl_) == 1;
    }
    bool send(const std::string &bytes)
    {
        for (size_t at = 0; at < bytes.size();) {
            ssize_t n = ssl_ ? SSL_write(ssl_, bytes.data() + at, static_cast<int>(bytes.size() - at))
                             : ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
            if (n <= 0)
                return false;
            at += static_cast<size_t>(n);
        }
        return true;
    }
    bool reply(int status, const std::string &type, const std::string &body, const std::string &extra = "")
    {
        return send("HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + type + "\r\n" + extra +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    bool sse_head()
    {
        return send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    }
    bool chunk(const std::string &bytes)
    {
        char size[32];
        snprintf(size, sizeof size, "%zx\r\n", bytes.size());
        return send(size + bytes + "\r\n");
    }
    bool chunk_end()
    {
        return send("0\r\n\r\n");
    }
    // True when the peer closed (or reset) the connection.
    bool peer_gone()
    {
        char c;
        for (;;) {
            ssize_t n = recv(fd_, &c, 1, 0);
            if (n <= 0)
                return true;
        }
    }
    void drop() // like a crash: RST
    {
        linger l = {1, 0};
        setsockopt(fd_, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    }
    void shut()
    {
        shutdown(fd_, SHUT_RDWR);
    }
    ssize_t read(char *data, size_t size)
    {
        return ssl_ ? SSL_read(ssl_, data, static_cast<int>(size)) : recv(fd_, data, size, 0);
    }

  private:
    int fd_;
    SSL *ssl_ = nullptr;
};

// Returns whether the connection goes on.
using Handler = std::function<bool(Conn &, const Request &)>;

class Server {
  public:
    explicit Server(Handler handler, SSL_CTX *ctx = nullptr) : handler_(std::move(handler)), ctx_(ctx)
    {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in a = {};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t n = sizeof a;
        if (bind(listener_, reinterpret_cast<sockaddr *>(&a), n) != 0 || listen(listener_, 64) != 0 ||
            getsockname(listener_, reinterpret_cast<sockaddr *>(&a), &n) != 0)
            abort();
        port_ = ntohs(a.sin_port);
        acceptor_ = std::thread([this] { accept_all(); });
    }
    ~Server()
    {
        {
            std::lock_guard<std::mutex> l(m_);
            stopping_ = true;
            for (auto &c : conns_)
                c->shut();
        }
        shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        for (auto &t : workers_)
            t.join();
        close(listener_);
    }
    uint16_t port() const
    {
        return port_;
    }
    std::string url(const std::string &path = "") const
    {
        return std::string(ctx_ ? "https://localhost:" : "http://127.0.0.1:") + std::to_string(port_) + path;
    }
    size_t connections()
    {
        std::lock_guard<std::mutex> l(m_);
        return accepted_;
    }
    std::vector<Request> requests()
    {
        std::lock_guard<std::mutex> l(m_);
        return requests_;
    }
    bool wait_requests(size_t n)
    {
        std::unique_lock<std::mutex> l(m_);
        return changed_.wait_for(l, kPatience, [&] { return requests_.size() >= n; });
    }

  private:
    void accept_all()
    {
        for (;;) {
            int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            std::lock_guard<std::mutex> l(m_);
            if (fd < 0 || stopping_) {
                if (fd >= 0)
                    close(fd);
                return;
            }
            accepted_++;
            int on = 1; // small pieces must not wait for the peer's delayed ACK
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            auto conn = std::make_shared<Conn>(fd, ctx_);
            conns_.push_back(conn);
            workers_.emplace_back([this, conn] { serve(conn); });
        }
    }
    bool read_request(Conn &c, std::string &in, Request &r)
    {
        char piece[16384];
        size_t end;
        while ((end = in.find("\r\n\r\n")) == std::string::npos) {
            ssize_t n = c.read(piece, sizeof piece);
            if (n <= 0)
                return false;
            in.append(piece, static_cast<size_t>(n));
        }
        r.head = in.substr(0, end + 2);
        r.method = r.head.substr(0, r.head.find(' '));
        size_t from = r.method.size() + 1;
        r.target = r.head.substr(from, r.head.find(' ', from) - from);
        in.erase(0, end + 4);
        size_t length = strtoul(r.header("content-length").c_str(), nullptr, 10);
        while (in.size() < length) {
            ssize_t n = c.read(piece, sizeof piece);
            if (n <= 0)
                return false;
            in.append(piece, static_cast<size_t>(n));
        }
        r.body = in.substr(0, length);
        in.erase(0, length);
        return true;
    }
    void serve(std::shared_ptr<Conn> conn)
    {
        std::string in;
        Request r;
        bool more = conn->handshake();
        while (more && read_request(*conn, in, r)) {
            {
                std::lock_guard<std::mutex> l(m_);
                requests_.push_back(r);
                changed_.notify_all();
            }
            more = handler_(*conn, r);
        }
        std::lock_guard<std::mutex> l(m_);
        conn->shut();
        conns_.remove(conn);
    }
    Handler handler_;
    SSL_CTX *ctx_;
    int listener_;
    uint16_t port_;
    std::thread acceptor_;
    std::list<std::thread> workers_;
    std::list<std::shared_ptr<Conn>> conns_;
    std::mutex m_;
    std::condition_variable changed_;
    std::vector<Request> requests_;
    size_t accepted_ = 0;
    bool stopping_ = false;
};

// A port on which nobody listens: bound, so that nobody else gets it, but never listening.
class DeadPort {
  public:
    DeadPort()
    {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in a = {};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t n = sizeof a;
        if (bind(fd_, reinterpret_cast<sockaddr *>(&a), n) != 0 ||
            getsockname(fd_, reinterpret_cast<sockaddr *>(&a), &n) != 0)
            abort();
        port_ = ntohs(a.sin_port);
    }
    ~DeadPort()
    {
        close(fd_);
    }
    uint16_t port() const
    {
        return port_;
    }

  private:
    int fd_;
    uint16_t port_;
};

// A port whose handshakes never end: the queue of its listener is full, so further SYNs are dropped.
class SilentPort {
  public:
    SilentPort()
    {
        sockaddr_in a = {};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t n = sizeof a;
        int listener = take(SOCK_CLOEXEC);
        if (bind(listener, reinterpret_cast<sockaddr *>(&a), n) != 0 || listen(listener, 0) != 0 ||
            getsockname(listener, reinterpret_cast<sockaddr *>(&a), &n) != 0)
            abort();
        port_ = ntohs(a.sin_port);
        for (int i = 0; i < 8; i++)
            if (connect(take(SOCK_CLOEXEC | SOCK_NONBLOCK), reinterpret_cast<sockaddr *>(&a), n) != 0 &&
                errno != EINPROGRESS)
                abort();
    }
    ~SilentPort()
    {
        for (int fd : fds_)
            close(fd);
    }
    uint16_t port() const
    {
        return port_;
    }

  private:
    int take(int flags)
    {
        fds_.push_back(socket(AF_INET, SOCK_STREAM | flags, 0));
        return fds_.back();
    }
    std::vector<int> fds_;
    uint16_t port_;
};

} // namespace fake
