#include "actors/site.hpp"

#include <utility>

namespace stargate::internal {

void socket_board::sort_in(const std::string& key) {
  const bool expected = expected_.contains(key);
  const auto found = records_.find(key);
  const auto phase = found == records_.end() ? socket_phase::connecting : found->second.phase;
  const auto put = [&key](std::set<std::string>& into, bool in) {
    if (in)
      into.insert(key);
    else
      into.erase(key);
  };
  put(missing_, expected && phase != socket_phase::connected);
  put(refused_, expected && phase == socket_phase::refused);
}

void socket_board::set(const std::string& key, caf::actor_id who, socket_phase phase, caf::error why) {
  {
    const std::lock_guard guard{mutex_};
    auto& r = records_[key];
    if (who < r.who) // ids only grow
      return;
    r.who = who;
    r.phase = phase;
    r.accepted = r.accepted || phase == socket_phase::connected;
    if (why || phase == socket_phase::connected)
      r.why = std::move(why);
    sort_in(key);
  }
  changed_.notify_all();
}

void socket_board::set_parent(const std::string& key, std::string parent) {
  const std::lock_guard guard{mutex_};
  records_[key].parent = std::move(parent);
}

std::map<std::string, socket_board::record> socket_board::all() const {
  const std::lock_guard guard{mutex_};
  return records_;
}

bool socket_board::was_accepted(const std::string& key) const {
  const std::lock_guard guard{mutex_};
  const auto found = records_.find(key);
  return found != records_.end() && found->second.accepted;
}

void socket_board::expect(const std::string& key) {
  const std::lock_guard guard{mutex_};
  expected_.insert(key);
  sort_in(key);
}

void socket_board::forget(const std::string& key) {
  {
    const std::lock_guard guard{mutex_};
    expected_.erase(key);
    records_.erase(key);
    sort_in(key);
  }
  changed_.notify_all();
}

caf::error socket_board::wait_connected(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::unique_lock lock{mutex_};
  changed_.wait_until(lock, deadline, [this] { return missing_.empty() || !refused_.empty(); });
  if (!refused_.empty())
    return records_[*refused_.begin()].why;
  if (missing_.empty())
    return {};
  std::string missing;
  for (const auto& key : missing_)
    missing += (missing.empty() ? "" : "; ") + key + " is " + to_string(records_[key]);
  return make_error(errc::timed_out, "not connected in time: " + missing);
}

std::string to_string(const socket_board::record& r) {
  const auto after = [&](std::string text) { return r.why ? std::move(text) + " after " + describe(r.why) : text; };
  switch (r.phase) {
    case socket_phase::connecting: return after("connecting");
    case socket_phase::connected: return "connected";
    case socket_phase::waiting: return after("waiting to reconnect");
    case socket_phase::refused: return r.why ? "refused: " + describe(r.why) : "refused";
    case socket_phase::stopped: return after("stopped");
  }
  return "stopped";
}

namespace {

std::optional<connection::tls_settings> tls_settings(const options& o) {
  if (o.scheme == url_scheme::ws)
    return std::nullopt;
  return connection::tls_settings{o.tls.ca_file, o.tls.certificate_file, o.tls.key_file,
                                  o.tls.dangerously_trust_any_certificate};
}

} // namespace

site::site(caf::actor_system& system_, options o)
  : system{system_},
    description{[&] {
      if (!o.log)
        o.log = caf_log(system_);
      return std::move(o);
    }()},
    plan{description},
    loop{connection::event_loop::start(tls_settings(description))} {}

stargate::registry site::registry() const {
  const std::lock_guard guard{mutex_};
  return registry_;
}

void site::set_registry(stargate::registry r) {
  const std::lock_guard guard{mutex_};
  registry_ = std::move(r);
}

void site::expect(const internal::plan::snapshot& s) {
  const auto all = [this](const pipelines& p) {
    for (const auto& key : socket_keys(p))
      board.expect(key);
  };
  all({plan::dead_letter_producers(s), {}, {}});
  all(s.topics);
  for (const auto& [who, what] : s.instances)
    all(what);
}

void site::say(log_level level, std::string_view source, std::string_view text) const {
  description.log(level, source, text);
}

} // namespace stargate::internal
