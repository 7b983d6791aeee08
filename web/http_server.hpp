/// @file
/// A small HTTP server, for what an operator asks of a running program. It knows nothing of trees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace stargate::web {

struct request {
  std::string method; ///< GET or POST.
  std::string path;   ///< Without the query.
  std::string host;   ///< As the client calls this server, with the port.
  std::string token;  ///< What follows `Bearer`.
  std::string intent; ///< The header `X-Stargate-Intent`, which no form and no link of another site can send.
  std::string body;
};

struct response {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body = {};
  bool streams = false; ///< It goes on with what is broadcast; `body` is what comes first.
};

/// Answers requests on threads of its own: one for the sockets, and one for the answers, which may take their time.
class http_server {
public:
  /// @param answer is called on the answering thread, one request after the other; what it throws is status 500
  /// @throws std::runtime_error when nothing can listen there
  http_server(std::string address, std::uint16_t port, std::function<response(const request&)> answer);
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;
  /// Ends what is open; waits for an answer that is being made.
  ~http_server();

  [[nodiscard]] std::uint16_t port() const;
  /// Sends to all whose answers stream. Who takes it too slowly is dropped. @par Threads any thread
  void broadcast(std::string_view text);
  /// How many that are. @par Threads any thread
  [[nodiscard]] std::size_t listeners() const;

private:
  struct inside;
  std::unique_ptr<inside> inside_;
};

} // namespace stargate::web
