#include "http/connection.h"

#include <httplib.h>

#include "http/socket_stream.h"

namespace aftune::http {
namespace {

/// httplib's reading of requests and writing of responses, without its sockets, threads and routes. One
/// object a connection, so that what handles a request knows whom it came from.
class Connection : private httplib::Server {
 public:
  Connection(int fd, Answerer& answerer, const ConnectionOptions& options,
             const std::function<bool()>& leave);
  void run();

 private:
  bool next_request();
  bool wait_for_request();
  void refuse_head(int status, const char* why);
  HandlerResponse look_at(const httplib::Request& request, httplib::Response& response);
  void read_and_answer(const httplib::Request& request, httplib::Response& response,
                       const httplib::ContentReader& read);
  void answer(const httplib::Request& request, httplib::Response& response, std::string body);
  void complete(const httplib::Request& request, httplib::Response& response);
  static void send(Reply reply, httplib::Response& response);
  Call call_of(const httplib::Request& request) const;

  SocketStream stream_;
  Answerer& answerer_;
  const ConnectionOptions& options_;
  const std::function<bool()>& leave_;
  bool last_ = false;  // no request can follow
};

Connection::Connection(int fd, Answerer& answerer, const ConnectionOptions& options,
                       const std::function<bool()>& leave)
    : stream_(fd, options.patience), answerer_(answerer), options_(options), leave_(leave) {
  // A server without a socket takes itself to be shutting down, and cuts what it streams.
  svr_sock_ = fd;
  set_payload_max_length(options.most_body);
  set_pre_routing_handler([this](const auto& request, auto& response) { return look_at(request, response); });
  // What is no path of ours does not get as far as these.
  Get(".*", [this](const auto& request, auto& response) { answer(request, response, ""); });
  Post(".*", [this](const auto& request, auto& response, const auto& read) {
    read_and_answer(request, response, read);
  });
  set_post_routing_handler([this](const auto& request, auto& response) { complete(request, response); });
  set_exception_handler([this](const auto&, auto& response, std::exception_ptr) {
    send(answerer_.complain(500, "the server failed at this request"), response);
  });
  set_error_handler([this](const auto&, auto& response) {
    if (!response.body.empty()) return;
    const bool late = stream_.late();
    send(answerer_.complain(late ? 408 : response.status,
                            late ? "the request did not come in time" : "this is no valid HTTP request"),
         response);
  });
}

void Connection::run() {
  while (!last_ && next_request()) {
  }
  if (last_) stream_.linger();
}

bool Connection::wait_for_request() {
  const auto end = SocketStream::Clock::now() + options_.idle;
  while (!stream_.wait(kTick))
    if (leave_() || SocketStream::Clock::now() >= end) return false;
  return true;
}

bool Connection::next_request() {
  if (!wait_for_request()) return false;
  switch (stream_.read_head()) {
    case SocketStream::Head::kClosed:
      return false;
    case SocketStream::Head::kLate:
      refuse_head(408, "the request did not come in time");
      return false;
    case SocketStream::Head::kLarge:
      refuse_head(431, "the request's head is too large");
      return false;
    case SocketStream::Head::kWhole:
      break;
  }
  bool closed = false;
  return process_request(stream_, false, closed, [](httplib::Request& request) { request.ranges.clear(); }) &&
         !closed;
}

// There is no request to give to the library yet.
void Connection::refuse_head(int status, const char* why) {
  const Reply reply = answerer_.complain(status, why);
  const std::string head = "HTTP/1.1 " + std::to_string(status) +
                           (status == 408 ? " Request Timeout" : " Request Header Fields Too Large") +
                           "\r\nContent-Type: " + reply.type +
                           "\r\nContent-Length: " + std::to_string(reply.body.size()) +
                           "\r\nConnection: close\r\n\r\n" + reply.body;
  last_ = true;
  stream_.write(head.data(), head.size());
}

Call Connection::call_of(const httplib::Request& request) const {
  return {.method = request.method,
          .path = request.path,
          .authorization = request.get_header_value("Authorization"),
          .body = "",
          .peer_is_there = [this] { return stream_.peer_is_there(); }};
}

httplib::Server::HandlerResponse Connection::look_at(const httplib::Request& request,
                                                     httplib::Response& response) {
  std::optional<Reply> refused = answerer_.refuse(call_of(request));
  if (!refused && request.method == "POST") {
    // Without a length the library would read until the connection ends.
    if (!request.has_header("Content-Length") && !request.has_header("Transfer-Encoding"))
      refused = answerer_.complain(411, "a body needs a Content-Length");
    // Two readers could take it for two different requests.
    if (request.has_header("Content-Length") && request.has_header("Transfer-Encoding"))
      refused = answerer_.complain(400, "a body has a Content-Length or a Transfer-Encoding, not both");
    if (request.is_multipart_form_data()) refused = answerer_.complain(415, "the body must be JSON");
  }
  if (!refused) return HandlerResponse::Unhandled;
  last_ = request.method != "GET";  // its body was not read
  send(std::move(*refused), response);
  return HandlerResponse::Handled;
}

void Connection::read_and_answer(const httplib::Request& request, httplib::Response& response,
                                 const httplib::ContentReader& read) {
  std::string body;
  // The library looks at the length that is declared; a body in chunks has none.
  bool large = false;
  const bool whole = read([&](const char* bytes, std::size_t size) {
    large = size > options_.most_body - body.size();
    if (!large) body.append(bytes, size);
    return !large;
  });
  if (whole) return answer(request, response, std::move(body));
  last_ = true;
  large |= response.status == 413;
  const int status = large ? 413 : stream_.late() ? 408 : 400;
  send(answerer_.complain(status, large            ? "the body is too large"
                                  : stream_.late() ? "the request did not come in time"
                                                   : "the body cannot be read"),
       response);
}

void Connection::answer(const httplib::Request& request, httplib::Response& response, std::string body) {
  Call call = call_of(request);
  call.body = std::move(body);
  send(answerer_.answer(call), response);
}

void Connection::send(Reply reply, httplib::Response& response) {
  response.status = reply.status;
  for (const auto& [name, value] : reply.headers) response.set_header(name, value);
  if (!reply.stream) return response.set_content(reply.body, reply.type);
  response.set_header("Cache-Control", "no-cache");
  response.set_chunked_content_provider(reply.type, [stream = std::move(reply.stream)](
                                                        std::size_t, httplib::DataSink& sink) {
    const bool whole = stream([&](std::string_view text) { return sink.write(text.data(), text.size()); });
    if (whole) sink.done();
    return whole;
  });
}

// The last that is done to a response's head.
void Connection::complete(const httplib::Request&, httplib::Response& response) {
  // After an error what follows may be the rest of what was wrong.
  last_ |= response.status >= 400 || leave_();
  response.headers.erase("Keep-Alive");
  response.headers.erase("EXCEPTION_WHAT");
  if (last_ && !response.has_header("Connection")) response.set_header("Connection", "close");
}

}  // namespace

void converse(int fd, Answerer& answerer, const ConnectionOptions& options,
              const std::function<bool()>& leave) {
  Connection(fd, answerer, options, leave).run();
}

}  // namespace aftune::http
