#include "libstargate/connection/proxy.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace stargate::connection {

namespace {

std::string variable(std::initializer_list<const char*> names) {
  for (const auto* name : names)
    if (const auto* value = std::getenv(name); value != nullptr && *value != '\0')
      return value;
  return {};
}

std::string lower(std::string_view text) {
  std::string result{text};
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

using address = std::array<unsigned char, 16>;

/// The bytes of an address, and how many they are: 4 or 16, or 0 for what is none.
std::size_t read_address(const std::string& text, address& into) {
  if (inet_pton(AF_INET, text.c_str(), into.data()) == 1)
    return 4;
  return inet_pton(AF_INET6, text.c_str(), into.data()) == 1 ? 16 : 0;
}

/// Whether an address is in a network such as `10.0.0.0/8`.
bool is_in(const address& host, std::size_t size, const std::string& network) {
  const auto slash = network.find('/');
  address base{};
  if (read_address(network.substr(0, slash), base) != size)
    return false;
  std::size_t bits = size * 8;
  if (slash != std::string::npos) {
    const auto* const end = network.data() + network.size();
    if (std::from_chars(network.data() + slash + 1, end, bits).ptr != end || bits > size * 8)
      return false;
  }
  const auto whole = bits / 8;
  if (std::memcmp(host.data(), base.data(), whole) != 0)
    return false;
  const auto rest = bits % 8;
  return rest == 0 || (host[whole] >> (8 - rest)) == (base[whole] >> (8 - rest));
}

std::string without_brackets(std::string text) {
  return text.size() > 2 && text.front() == '[' && text.back() == ']' ? text.substr(1, text.size() - 2) : text;
}

bool is_excepted(const std::string& list, const std::string& of) {
  const auto host = lower(of);
  address numeric{};
  const auto size = read_address(host, numeric);
  for (std::size_t at = 0; at < list.size();) {
    const auto end = std::min(list.find_first_of(", ", at), list.size());
    auto entry = without_brackets(lower(std::string_view{list}.substr(at, end - at)));
    at = end + 1;
    if (entry == "*")
      return true;
    if (entry.starts_with('.'))
      entry.erase(0, 1);
    if (entry.empty())
      continue;
    if (size > 0 ? is_in(numeric, size, entry)
                 : host == entry || (host.size() > entry.size() && host.ends_with("." + entry)))
      return true;
  }
  return false;
}

} // namespace

proxy_variables proxies_of_environment() {
  return {variable({"http_proxy"}), variable({"https_proxy", "HTTPS_PROXY"}), variable({"all_proxy", "ALL_PROXY"}),
          variable({"no_proxy", "NO_PROXY"})};
}

proxy_choice choose_proxy(const proxy_variables& v, bool tls, const std::string& host) {
  const auto& own = tls ? v.https : v.http;
  std::string_view url = own.empty() ? v.all : own;
  if (url.empty() || is_excepted(v.none, host))
    return {};
  proxy p;
  auto scheme = std::string_view{"http"};
  if (const auto mark = url.find("://"); mark != std::string_view::npos) {
    scheme = url.substr(0, mark);
    url.remove_prefix(mark + 3);
  }
  if (const auto mark = url.rfind('@'); mark != std::string_view::npos) {
    p.credentials = url.substr(0, mark);
    url.remove_prefix(mark + 1);
  }
  url = url.substr(0, url.find('/'));
  const auto colon = url.starts_with('[') ? url.find(':', std::min(url.find(']'), url.size())) : url.find(':');
  p.host = without_brackets(std::string{url.substr(0, colon)});
  p.port = colon == std::string_view::npos ? "1080" : std::string{url.substr(colon + 1)};
  const auto name = std::string{scheme} + "://" + std::string{url};
  if (scheme != "http")
    return {std::nullopt, "the environment names the proxy " + name
                            + ", and WebSocket connections go through proxies of http:// only"};
  unsigned port = 0;
  const auto* const end = p.port.data() + p.port.size();
  if (p.host.empty() || std::from_chars(p.port.data(), end, port).ptr != end || port == 0 || port > 65'535)
    return {std::nullopt, "the environment names the proxy " + name + ", which is not http://host:port"};
  return {std::move(p), {}};
}

} // namespace stargate::connection
