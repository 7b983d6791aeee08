#include "libstargate/connection/proxy.hpp"

#include <catch2/catch.hpp>

#include <string>

using stargate::connection::choose_proxy, stargate::connection::proxy_variables;

namespace {

/// `user:password@host:port`, `direct`, or what is wrong.
std::string way(const proxy_variables& v, bool tls, const std::string& host) {
  const auto choice = choose_proxy(v, tls, host);
  if (!choice.wrong.empty())
    return choice.wrong;
  if (!choice.through)
    return "direct";
  const auto& p = *choice.through;
  return (p.credentials.empty() ? "" : p.credentials + "@") + p.host + ":" + p.port;
}

} // namespace

TEST_CASE("a proxy is that of the scheme, or else the one for all") {
  const proxy_variables v{.http = "http://a:1", .https = "b:2", .all = "http://c:3/", .none = ""};
  CHECK(way(v, false, "broker") == "a:1");
  CHECK(way(v, true, "broker") == "b:2");
  CHECK(way({.http = "", .https = "", .all = v.all, .none = ""}, true, "broker") == "c:3");
  CHECK(way({.http = "a:1", .https = "", .all = "", .none = ""}, true, "broker") == "direct");
  CHECK(way({}, false, "broker") == "direct");
}

TEST_CASE("a proxy has credentials, an address in brackets, and curl's port where it names none") {
  const auto of = [](const std::string& text) {
    return way({.http = text, .https = "", .all = "", .none = ""}, false, "x");
  };
  CHECK(of("http://me:p@ss@proxy:8080") == "me:p@ss@proxy:8080");
  CHECK(of("http://[::1]:3128/") == "::1:3128");
  CHECK(of("proxy") == "proxy:1080");
}

TEST_CASE("a proxy that cannot be used is named, without its credentials") {
  const auto of = [](const std::string& text) {
    return way({.http = text, .https = "", .all = "", .none = ""}, false, "x");
  };
  for (const std::string text :
       {"socks5://me:secret@proxy:1", "https://me:secret@proxy:1", "http://me:secret@proxy:many", "http://me:secret@:1",
        "http://me:secret@proxy:70000"}) {
    CAPTURE(text);
    CHECK_THAT(of(text), Catch::Contains("proxy") && !Catch::Contains("secret"));
    CHECK_THAT(of(text), Catch::Contains("the environment names"));
  }
}

TEST_CASE("no_proxy names hosts, domains, addresses and networks") {
  const auto with = [](const std::string& none, const std::string& host) {
    return way({.http = "p:1", .https = "", .all = "", .none = none}, false, host) == "direct";
  };
  CHECK(with("*", "anything"));
  CHECK(with("broker", "broker"));
  CHECK(with("Broker", "bROKER"));
  CHECK(with("a, example.com", "pulsar.example.com"));
  CHECK(with(".example.com", "example.com"));
  CHECK_FALSE(with("example.com", "badexample.com"));
  CHECK_FALSE(with("example.com", "example.com.evil"));
  CHECK_FALSE(with(" ,,", "broker"));
  CHECK(with("127.0.0.1", "127.0.0.1"));
  CHECK_FALSE(with("127.0.0.1", "127.0.0.11"));
  CHECK(with("10.0.0.0/8", "10.200.3.4"));
  CHECK_FALSE(with("10.0.0.0/8", "11.0.0.1"));
  CHECK(with("192.168.4.0/22", "192.168.7.9"));
  CHECK_FALSE(with("192.168.4.0/22", "192.168.8.1"));
  CHECK_FALSE(with("10.0.0.0/x", "10.0.0.0"));
  CHECK_FALSE(with("10.0.0.0/40", "10.0.0.0"));
  CHECK(with("[::1]", "::1"));
  CHECK(with("fe80::/10", "fe80::1"));
}
