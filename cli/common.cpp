#include "cli/common.hpp"

#include "cli/log.hpp"
#include "libstargate/protocol/option_values.hpp"

#include <algorithm>
#include <csignal>
#include <string_view>

namespace stargate::cli {

using namespace compat;

namespace {

volatile std::sig_atomic_t interrupted = 0;
volatile std::sig_atomic_t hung_up = 0;

} // namespace

caf::error parse_url(const std::string& url, options& into) {
  const auto wrong = [&](std::string_view why) {
    return make_error(errc::invalid_url,
                      "'" + url + "': " + std::string{why}
                        + "; write ws://host:port or wss://host:port, and /path where an ingress has one");
  };
  std::string_view rest = url;
  if (rest.starts_with("ws://"))
    into.scheme = url_scheme::ws;
  else if (rest.starts_with("wss://"))
    into.scheme = url_scheme::wss;
  else
    return wrong("the scheme is neither ws nor wss");
  rest.remove_prefix(rest.find("//") + 2);
  if (rest.ends_with('/'))
    rest.remove_suffix(1);
  // A path is that of the last host, and of all.
  const auto path = rest.find('/', rest.rfind(',') == std::string_view::npos ? 0 : rest.rfind(','));
  into.base_path = path == std::string_view::npos ? std::string{} : std::string{rest.substr(path)};
  if (into.base_path.find_first_of("?# ") != std::string::npos)
    return wrong("a path has no query and no blanks");
  rest = rest.substr(0, path);
  into.hosts.clear();
  for (bool more = true; more;) {
    const auto comma = rest.find(',');
    more = comma != std::string_view::npos;
    const auto one = rest.substr(0, comma);
    host h{"", static_cast<std::uint16_t>(into.scheme == url_scheme::wss ? 8443 : 8080)};
    const auto standard = h.port;
    if (!protocol::parse_value(one, h))
      return wrong("'" + std::string{one} + "' is not a host with a port from 1 to 65535, and nothing else may follow");
    if (one.find(':') == std::string_view::npos || one.ends_with(']'))
      h.port = standard;
    into.hosts.push_back(std::move(h));
    rest.remove_prefix(more ? comma + 1 : rest.size());
  }
  return {};
}

bool parse_monitor(const std::string& text, monitor_options& into) {
  const auto colon = text.rfind(':');
  auto address = colon == std::string::npos ? std::string{"127.0.0.1"} : text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']'))
    address = address.substr(1, address.size() - 2);
  std::uint16_t port = 0;
  if (address.empty() || !protocol::parse_value(text.substr(colon == std::string::npos ? 0 : colon + 1), port))
    return false;
  into.address = std::move(address);
  into.port = port;
  return true;
}

void add_duration(CLI::App& sub, const std::string& flag, std::chrono::milliseconds& into, const std::string& help,
                  std::chrono::milliseconds least) {
  using duration = std::chrono::milliseconds;
  static constexpr duration most = std::chrono::hours{24} * 365;
  const auto read = [&into, flag, least](const std::string& text) {
    if (!protocol::parse_value(text, into))
      throw CLI::ValidationError{flag, "'" + text + "' is not " + protocol::expected_of<duration>()};
    if (into < least || into > most)
      throw CLI::ValidationError{flag, "'" + text + "' is not between " + protocol::text_of(least) + " and "
                                         + protocol::text_of(most)};
  };
  sub.add_option_function<std::string>(flag, read, help)
    ->type_name(protocol::kind_of<duration>())
    ->default_str(protocol::text_of(into));
}

int fail(const std::string& why) {
  log(log_level::error, {}, why);
  return failed;
}

int fail(const caf::error& why) {
  fail(describe(why));
  const auto code = code_of(why);
  return code == errc::invalid_option || code == errc::invalid_topic || code == errc::invalid_url ? wrong_usage
                                                                                                  : failed;
}

bool is_interrupted() {
  return interrupted != 0;
}

void handle_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND); // a second one ends the command at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void handle_hangups() {
  struct sigaction action {};
  action.sa_handler = [](int) { hung_up = 1; };
  action.sa_flags = SA_RESTART;
  sigaction(SIGHUP, &action, nullptr);
}

bool was_hung_up() {
  if (hung_up == 0)
    return false;
  hung_up = 0;
  return true;
}

runtime::runtime() {
  set_scheduler_sharing(config_);
  set_scheduler_threads(config_, 2);
  system_.emplace(config_);
}

std::string flag_of(std::string_view name) {
  auto flag = "--" + std::string{name};
  std::replace(flag.begin(), flag.end(), '_', '-');
  std::replace(flag.begin(), flag.end(), '.', '-');
  return flag;
}

caf::expected<tree> start_connected(runtime& r, const global_options& g, pipelines what) {
  auto o = g.tree;
  o.producers = std::move(what.producers);
  o.consumers = std::move(what.consumers);
  o.readers = std::move(what.readers);
  o.name = "cli";
  o.connect_timeout = std::min(o.connect_timeout, g.connect_timeout);
  o.log = log;
  auto started = start(r.system(), std::move(o));
  if (!started)
    return started;
  const auto deadline = std::chrono::steady_clock::now() + g.connect_timeout;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const auto slice = std::clamp(left, std::chrono::milliseconds{1}, std::chrono::milliseconds{200});
    auto why = started->wait_ready(slice);
    if (!why)
      return started;
    if (is_interrupted())
      return make_error(errc::stopping, "interrupted before there was a connection");
    if (code_of(why) != errc::timed_out)
      return why;
    if (left <= slice)
      return make_error(errc::timed_out, "--connect-timeout is over: " + context_of(why));
  }
}

} // namespace stargate::cli
