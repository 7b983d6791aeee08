#include "actors/shared/socket_board.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

namespace stargate::internal {

namespace {

constexpr std::size_t most_told = 10; // of those that are missing: there may be thousands

} // namespace

void socket_board::sort_in(const std::string& key) {
  const auto found = records_.find(key);
  const bool expected = expected_.contains(key) && (found == records_.end() || !found->second.drained);
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

/// Who waits is woken by the last of thousands that connect, not by each.
void socket_board::tell_who_waits() {
  if (missing_.empty() || !refused_.empty() || ended_)
    changed_.notify_all();
}

void socket_board::set(const std::string& key, caf::actor_id who, socket_phase phase, caf::error why) {
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
  tell_who_waits();
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

void socket_board::set_drained(const std::string& key, bool is_drained) {
  const std::lock_guard guard{mutex_};
  records_[key].drained = is_drained;
  sort_in(key);
  tell_who_waits();
}

void socket_board::forget(const std::string& key) {
  const std::lock_guard guard{mutex_};
  expected_.erase(key);
  records_.erase(key);
  sort_in(key);
  tell_who_waits();
}

caf::error socket_board::wait_connected(environment& in, environment::clock::time_point until) {
  std::unique_lock lock{mutex_};
  in.wait(lock, changed_, until, [this] { return ended_ || missing_.empty() || !refused_.empty(); });
  if (ended_)
    return ended_;
  if (!refused_.empty())
    return records_[*refused_.begin()].why;
  if (missing_.empty())
    return {};
  const auto told = std::min(missing_.size(), most_told);
  std::string missing;
  for (auto i = missing_.begin(); i != std::next(missing_.begin(), static_cast<std::ptrdiff_t>(told)); ++i)
    missing += (missing.empty() ? "" : "; ") + *i + " is " + to_string(records_[*i]);
  if (told < missing_.size())
    missing += "; and " + std::to_string(missing_.size() - told) + " more";
  return make_error(errc::timed_out, "not connected in time: " + missing);
}

void socket_board::end(caf::error why) {
  const std::lock_guard guard{mutex_};
  if (!ended_)
    ended_ = std::move(why);
  tell_who_waits();
}

caf::error socket_board::why_ended() const {
  const std::lock_guard guard{mutex_};
  return ended_;
}

std::string to_string(const socket_board::record& r) {
  const auto after = [&](std::string text) { return r.why ? std::move(text) + " after " + describe(r.why) : text; };
  if (r.drained)
    return "drained";
  switch (r.phase) {
    case socket_phase::connecting: return after("connecting");
    case socket_phase::connected: return "connected";
    case socket_phase::waiting: return after("waiting to reconnect");
    case socket_phase::refused: return r.why ? "refused: " + describe(r.why) : "refused";
    case socket_phase::stopped: return after("stopped");
  }
  return "stopped";
}

} // namespace stargate::internal
