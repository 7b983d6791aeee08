/// @file
/// Which proxy stands between this process and a server, by the variables of the environment that curl reads, so that
/// WebSocket connections and REST go the same way.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stargate::connection {

/// `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, and the same in capitals but for HTTP_PROXY, which a web
/// server may have set from a request's header.
struct proxy_variables {
  std::string http, https, all, none;
};

/// @par Threads any, as long as none changes the environment
[[nodiscard]] proxy_variables proxies_of_environment();

/// A proxy that takes HTTP's CONNECT.
struct proxy {
  std::string host;
  std::string port;
  std::string credentials; ///< `user:password`, or nothing.
};

/// A choice of a proxy: none, one, or one that cannot be used.
struct proxy_choice {
  std::optional<proxy> through;
  std::string wrong; ///< Why not. It holds no credentials.
};

/// The proxy for `wss` is that for `https`, and for `ws` that for `http`, or else the one for all.
/// @par Source curl(1), ENVIRONMENT and --noproxy
[[nodiscard]] proxy_choice choose_proxy(const proxy_variables& v, bool tls, const std::string& host);

} // namespace stargate::connection
