#include "cli/common.hpp"

#include <charconv>
#include <csignal>
#include <iostream>
#include <mutex>
#include <string_view>

namespace stargate::cli {

namespace {

volatile std::sig_atomic_t interrupted = 0;

} // namespace

caf::expected<host> parse_url(const std::string& url) {
  const auto wrong = [&](std::string_view why) {
    return make_error(errc::invalid_url, "'" + url + "': " + std::string{why} + "; write ws://host:port");
  };
  constexpr std::string_view scheme = "ws://";
  std::string_view rest = url;
  if (!rest.starts_with(scheme))
    return wrong("the scheme is not ws");
  rest.remove_prefix(scheme.size());
  if (rest.ends_with('/'))
    rest.remove_suffix(1);
  if (rest.find_first_of("/?#@ ") != std::string_view::npos)
    return wrong("only a host and a port may follow the scheme");
  host result;
  std::string_view port;
  if (rest.starts_with('[')) { // an IPv6 address
    const auto end = rest.find(']');
    if (end == std::string_view::npos)
      return wrong("the bracket does not close");
    result.name = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (!rest.empty() && rest.front() != ':')
      return wrong("a port begins with a colon");
    port = rest.empty() ? rest : rest.substr(1);
    if (!rest.empty() && port.empty())
      return wrong("the port is empty");
  } else {
    const auto colon = rest.find(':');
    result.name = rest.substr(0, colon);
    if (colon != std::string_view::npos) {
      port = rest.substr(colon + 1);
      if (port.empty())
        return wrong("the port is empty");
    }
  }
  if (result.name.empty())
    return wrong("the host is empty");
  if (!port.empty()) {
    const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), result.port);
    if (failure != std::errc{} || end != port.data() + port.size() || result.port == 0)
      return wrong("the port is not a number from 1 to 65535");
  }
  return result;
}

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

int fail(const std::string& why) {
  std::cerr << "stargate: " << why << std::endl;
  return failed;
}

int fail(const caf::error& why) {
  return fail(describe(why));
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

runtime::runtime() {
  set_scheduler_sharing(config_);
  set_scheduler_threads(config_, 2);
  system_.emplace(config_);
}

caf::expected<tree> start_connected(runtime& r, const global_options& g, options o) {
  auto where = parse_url(g.url);
  if (!where)
    return where.error();
  o.hosts = {std::move(*where)};
  o.name = "cli";
  o.connect_timeout = std::min(o.connect_timeout, milliseconds_of(g.connect_timeout));
  o.log = [verbose = g.verbose](log_level level, std::string_view source, std::string_view text) {
    static std::mutex one_line_at_a_time;
    if (!verbose && level < log_level::error)
      return;
    const std::lock_guard guard{one_line_at_a_time};
    std::cerr << "stargate: " << name_of(level) << ": " << source << ": " << text << std::endl;
  };
  auto started = start(r.system(), std::move(o));
  if (!started)
    return started;
  const auto deadline = std::chrono::steady_clock::now() + milliseconds_of(g.connect_timeout);
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
