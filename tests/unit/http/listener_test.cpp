// Connections as clients make them, on a server that answers without a model.
#include "http/listener.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/error.h"

namespace aftune::http {
namespace {

/// Says what was asked. /stream says it in pieces, /wait ends when the client has gone.
class Echo : public Answerer {
 public:
  std::optional<Reply> refuse(const Call& call) override {
    if (call.path == "/no") return Reply{.status = 403, .body = "no"};
    return std::nullopt;
  }
  Reply answer(const Call& call) override {
    if (call.path == "/throw") throw std::runtime_error("secret");
    if (call.path == "/stream")
      return {.type = "text/plain", .body = "", .stream = [body = call.body](const Write& write) {
                for (const char c : body)
                  if (!write(std::string(1, c))) return false;
                return true;
              }};
    if (call.path == "/wait") {
      while (call.peer_is_there()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ++gone;
    }
    return {.type = "text/plain", .body = cat(call.method, " ", call.path, " ", call.body)};
  }
  Reply complain(int status, std::string_view why) override {
    return {.status = status, .type = "text/plain", .body = std::string(why)};
  }
  std::atomic<int> gone = 0;
};

class Client {
 public:
  explicit Client(const Address& address) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(address.port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  }
  ~Client() { ::close(fd_); }
  void send(std::string_view text) const {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL), std::ssize(text));
  }
  /// All that comes until `end` has, or the connection is closed.
  std::string receive(std::string_view end) const {
    std::string text;
    char piece[4096];
    while (text.find(end) == std::string::npos) {
      const ssize_t got = ::recv(fd_, piece, sizeof(piece), 0);
      if (got <= 0) return text + "|closed";
      text.append(piece, static_cast<std::size_t>(got));
    }
    return text;
  }

 private:
  int fd_;
};

std::string post(std::string_view path, std::string_view body) {
  return cat("POST ", path, " HTTP/1.1\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

class ListenerTest : public testing::Test {
 protected:
  // The library, which no sanitizer sees into, makes its tables at its first request: two at once would look
  // like a race to ThreadSanitizer.
  static void SetUpTestSuite() {
    Echo echo;
    const Listener listener(ListeningSocket(Address{}), echo, {}, 1);
    const Client client(listener.address());
    client.send(post("/echo", "<first>"));
    client.receive("<first>");
  }
  std::unique_ptr<Listener> listen(int connections) {
    return std::make_unique<Listener>(ListeningSocket(Address{}), echo_, options_, connections);
  }
  Echo echo_;
  ConnectionOptions options_{
      .patience = std::chrono::seconds(1), .idle = std::chrono::seconds(1), .most_body = 1000};
};

TEST_F(ListenerTest, ManyClientsAtOnceHaveTheirOwnAnswers) {
  const auto listener = listen(4);
  std::vector<std::thread> clients;
  for (int i = 0; i < 12; ++i)
    clients.emplace_back([&, i] {
      for (int k = 0; k < 5; ++k) {
        const Client client(listener->address());
        const std::string body = cat("<", i * 100 + k, ">");
        client.send(post("/echo", body));
        EXPECT_NE(client.receive(">").find(cat("POST /echo ", body)), std::string::npos);
      }
    });
  for (std::thread& client : clients) client.join();
}

TEST_F(ListenerTest, AConnectionStaysForTheNextRequest) {
  const auto listener = listen(2);
  const Client client(listener->address());
  for (int i = 0; i < 20; ++i) {
    client.send(post("/echo", "<again>"));
    EXPECT_NE(client.receive(">").find("200 OK"), std::string::npos);
  }
  // Two requests may come in one piece, a request in many.
  client.send(post("/a", "<first>") + post("/b", "<second>"));
  EXPECT_NE(client.receive("<second>").find("<first>"), std::string::npos);
  for (const char c : post("/c", "<slowly>")) client.send(std::string(1, c));
  EXPECT_NE(client.receive("<slowly>").find("POST /c"), std::string::npos);
}

TEST_F(ListenerTest, StreamsInPieces) {
  const auto listener = listen(2);
  const Client client(listener->address());
  client.send(post("/stream", "abc"));
  EXPECT_NE(client.receive("0\r\n\r\n").find("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n"), std::string::npos);
}

TEST_F(ListenerTest, EndsConnectionsAfterErrors) {
  const auto listener = listen(2);
  for (const auto& [request, status] : {std::pair(post("/no", "x"), "403"),
                                        {post("/throw", "x"), "500"},
                                        {post("/x", std::string(1001, 'x')), "413"},
                                        {std::string("?\r\n\r\n"), "400"},
                                        {std::string("GET / HTTP/1.1\r\nA"), "408"}}) {
    const Client client(listener->address());
    client.send(request);
    const std::string got = client.receive("never");
    EXPECT_EQ(got.substr(0, 12), cat("HTTP/1.1 ", status));
    EXPECT_NE(got.find("Connection: close"), std::string::npos) << got;
    EXPECT_EQ(got.find("secret"), std::string::npos) << got;
  }
}

TEST_F(ListenerTest, NoticesThatAClientHasGone) {
  const auto listener = listen(2);
  {
    const Client client(listener->address());
    client.send(post("/wait", "x"));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(echo_.gone, 0);
  }
  for (int i = 0; i < 500 && echo_.gone == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(echo_.gone, 1);
}

TEST_F(ListenerTest, AnIdleClientMustGoWhenOthersWait) {
  options_.idle = std::chrono::seconds(60);
  const auto listener = listen(1);
  const Client first(listener->address());
  first.send(post("/echo", "<1>"));
  first.receive("<1>");
  const Client second(listener->address());
  second.send(post("/echo", "<2>"));
  EXPECT_NE(second.receive("<2>").find("200 OK"), std::string::npos);
  EXPECT_EQ(first.receive("never"), "|closed");
}

TEST_F(ListenerTest, StopLetsAnswersEndAndIdleClientsGo) {
  options_.idle = std::chrono::seconds(60);
  auto listener = listen(3);
  const Client idle(listener->address());
  auto waiting = std::make_unique<Client>(listener->address());
  waiting->send(post("/wait", "x"));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  listener->stop();
  EXPECT_EQ(idle.receive("never"), "|closed");
  for (int i = 0; i < 500 && listener->connections() > 1; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(listener->connections(), 1);
  waiting.reset();
  listener.reset();
  EXPECT_EQ(echo_.gone, 1);
}

}  // namespace
}  // namespace aftune::http
