#include "simulation/network.hpp"

#include <algorithm>
#include <utility>

namespace stargate::simulation {

namespace {

class network_link final : public connection::link {
public:
  network_link(std::shared_ptr<network> in, std::uint64_t id) : in_{std::move(in)}, id_{id} {}
  ~network_link() override { network_link::close(); }
  void send(std::vector<connection::frame> frames) override { in_->send(id_, std::move(frames)); }
  void send_grouped(std::vector<connection::frame> frames, const connection::grouping& how) override {
    in_->send(id_, std::move(frames), std::chrono::duration_cast<std::chrono::microseconds>(how.time).count());
  }
  void close() override { in_->close(id_); }

private:
  const std::shared_ptr<network> in_;
  const std::uint64_t id_;
};

} // namespace

micros network::delay() {
  return random_.chance(lateness) ? random_.between(50_ms, 450_ms) : random_.between(10, slowest);
}

void network::to_client(wire& w, wire::event e) {
  w.last_down = std::max({w.last_down, now + delay(), w.stalled_until});
  e.at = w.last_down;
  w.down.push_back(std::move(e));
}

void network::to_broker(wire& w, wire::event e) {
  w.last_up = std::max({w.last_up, now + delay(), w.stalled_until});
  e.at = w.last_up;
  w.up.push_back(std::move(e));
}

void network::end_client(wire& w, connection::ended why, micros at) {
  const bool known =
    std::any_of(w.down.begin(), w.down.end(), [](const auto& e) { return e.what == wire::event::end; });
  if (known)
    return;
  w.last_down = std::max(w.last_down, at);
  w.down.push_back({wire::event::end, {}, std::move(why), w.last_down});
}

// -- the client's side

std::unique_ptr<connection::link> network::connect(connection::endpoint to,
                                                   std::unique_ptr<connection::observer> observer) {
  auto w = std::make_shared<wire>();
  w->id = ++last_;
  w->to = std::move(to);
  w->who = std::move(observer);
  wires_.emplace(w->id, w);
  trace_([&] {
    return "connect #" + std::to_string(w->id) + " " + w->to.host
           + w->to.path.substr(0, w->to.path.find("encryptionKeys"));
  });
  const micros time_out = std::chrono::duration_cast<std::chrono::microseconds>(w->to.connect_timeout).count();
  if (stopped_) {
    w->broker = side::over;
    end_client(*w, {connection::end::closed, 0, "stopped"}, now);
  } else if (unreachable || hosts_down.contains(w->to.host)) {
    w->broker = side::over;
    end_client(*w, {connection::end::unreachable, 0, "refused"}, now + delay());
  } else if (random_.chance(silent_handshakes)) {
    w->cut = true;
    w->broker = side::over;
    end_client(*w, {connection::end::unreachable, 0, "no answer in time"}, now + time_out);
  } else {
    to_broker(*w, {wire::event::open, w->to.path});
  }
  return std::make_unique<network_link>(shared_from_this(), w->id);
}

void network::stop() {
  stopped_ = true;
  for (auto& [id, w] : wires_)
    end_client(*w, {connection::end::closed, 0, "stopped"}, now);
}

void network::send(std::uint64_t id, std::vector<connection::frame> frames, micros longest_wait) {
  const auto found = wires_.find(id);
  if (found == wires_.end() || found->second->client != side::open || found->second->closing)
    return;
  auto& w = *found->second;
  if (longest_wait > 0 && random_.chance(0.5))
    w.last_up = std::max(w.last_up, now + random_.between(0, longest_wait));
  for (const auto& frame : frames) {
    auto text = frame->str();
    if (on_sent)
      on_sent(w, text);
    if (!w.cut)
      to_broker(w, {wire::event::frame, std::move(text)});
  }
}

void network::close(std::uint64_t id) {
  const auto found = wires_.find(id);
  if (found == wires_.end() || std::exchange(found->second->closing, true) || found->second->client == side::over)
    return;
  auto& w = *found->second;
  trace_([&] { return "close " + w.name(); });
  if (w.client == side::connecting) { // given up: the broker may have taken it already
    w.down.clear();
    end_client(w, {connection::end::closed, 0, {}}, now);
    if (!w.cut)
      to_broker(w, {wire::event::end});
    return;
  }
  if (w.cut)
    return; // its end is under way
  to_broker(w, {wire::event::end});
  // The broker answers the close frame; what it sent before may still come, or not.
  if (random_.chance(0.5))
    w.down.clear();
  end_client(w, {connection::end::closed, 0, {}}, w.last_up + delay());
  w.cut = true;
}

// -- the broker's side

void network::accept(wire& w) {
  w.broker = side::open;
  if (!w.cut)
    to_client(w, {wire::event::open});
}

void network::refuse(wire& w, int status) {
  w.broker = side::over;
  trace_([&] { return "refused " + w.name() + " with " + std::to_string(status); });
  if (!w.cut)
    to_client(w, {wire::event::end, {}, {connection::end::refused, status, {}}});
}

void network::reply(wire& w, std::string text) {
  if (!w.cut)
    to_client(w, {wire::event::frame, std::move(text)});
}

void network::hang_up(wire& w, int code, std::string why) {
  w.broker = side::over;
  if (!w.cut)
    to_client(w, {wire::event::end, {}, {connection::end::peer_closed, code, std::move(why)}});
}

// -- faults

void network::cut(wire& w, bool half_open) {
  if (w.cut || w.client == side::over)
    return;
  w.cut = true;
  w.up.resize(static_cast<std::size_t>(random_.below(w.up.size() + 1)));
  w.down.resize(static_cast<std::size_t>(random_.below(w.down.size() + 1)));
  const auto ping =
    std::chrono::duration_cast<std::chrono::microseconds>(w.to.ping_interval + w.to.pong_timeout).count();
  const auto time_out = std::chrono::duration_cast<std::chrono::microseconds>(w.to.connect_timeout).count();
  const auto noticed =
    half_open ? now + random_.between(1_ms, w.client == side::open ? ping : time_out) : now + random_.between(0, 20_ms);
  end_client(w, {w.client == side::open ? connection::end::lost : connection::end::unreachable, 0, "simulated"},
             noticed);
  w.last_up = std::max(w.last_up, now + random_.between(0, half_open ? 20_s : 3_s));
  if (w.broker != side::over)
    w.up.push_back({wire::event::end, {}, {}, w.last_up});
}

void network::stall(wire& w, micros time) {
  w.stalled_until = std::max(w.stalled_until, now + time);
  for (auto* q : {&w.up, &w.down})
    for (auto& e : *q)
      e.at = std::max(e.at, w.stalled_until);
  w.last_up = std::max(w.last_up, w.stalled_until);
  w.last_down = std::max(w.last_down, w.stalled_until);
}

bool network::garble(wire& w, bool upward) {
  for (auto& e : upward ? w.up : w.down)
    if (e.what == wire::event::frame && !e.text.empty()) {
      e.text.resize(e.text.size() / 2);
      return true;
    }
  return false;
}

bool network::duplicate(wire& w) {
  for (auto i = w.down.begin(); i != w.down.end(); ++i)
    if (i->what == wire::event::frame) {
      const auto copy = *i;
      w.down.insert(i, copy);
      w.twice = true;
      return true;
    }
  return false;
}

// -- time

micros network::next_due() const {
  micros next = never;
  for (const auto& [id, w] : wires_) {
    if (!w->up.empty())
      next = std::min(next, w->up.front().at);
    if (!w->down.empty() && w->who)
      next = std::min(next, w->down.front().at);
  }
  return next;
}

bool network::deliver() {
  std::vector<std::pair<std::uint64_t, bool>> due;
  for (const auto& [id, w] : wires_) {
    if (!w->up.empty() && w->up.front().at <= now)
      due.emplace_back(id, true);
    if (!w->down.empty() && w->who && w->down.front().at <= now)
      due.emplace_back(id, false);
  }
  if (due.empty())
    return false;
  const auto [id, upward] = random_.pick(due);
  const auto w = wires_.at(id);
  if (upward)
    deliver_up(*w);
  else
    deliver_down(*w);
  forget_if_over(id);
  return true;
}

void network::deliver_up(wire& w) {
  const auto e = std::move(w.up.front());
  w.up.pop_front();
  switch (e.what) {
    case wire::event::open: return broker_->on_open(w);
    case wire::event::frame:
      if (w.broker == side::open)
        broker_->on_frame(w, e.text);
      return;
    case wire::event::end:
      if (std::exchange(w.broker, side::over) == side::open)
        broker_->on_end(w);
      return;
  }
}

void network::deliver_down(wire& w) {
  if (w.down.front().what == wire::event::frame) {
    std::vector<std::string> frames;
    const auto most = 1 + random_.below(40);
    while (!w.down.empty() && w.down.front().what == wire::event::frame && w.down.front().at <= now
           && frames.size() < most) {
      frames.push_back(std::move(w.down.front().text));
      w.down.pop_front();
    }
    if (on_received)
      on_received(w, frames.size());
    trace_([&] {
      // What is encrypted is another each time.
      const bool is_secret = frames.front().find("encryptionContext") != std::string::npos;
      return "to client " + w.name() + ": " + std::to_string(frames.size()) + " frames, first "
             + (is_secret ? "an encrypted one" : frames.front());
    });
    return w.who->on_frames(std::move(frames), connection::load::busy);
  }
  const auto e = std::move(w.down.front());
  w.down.pop_front();
  if (e.what == wire::event::open) {
    w.client = side::open;
    return w.who->on_open();
  }
  trace_([&] { return "ends " + w.name() + ": " + std::to_string(static_cast<int>(e.why.how)) + " " + e.why.text; });
  w.client = side::over;
  // The broker learns by itself of an end that is its peer's; a connection refused or closed has its own event.
  const auto who = std::move(w.who);
  who->on_end(e.why);
}

void network::forget_if_over(std::uint64_t id) {
  const auto& w = *wires_.at(id);
  if (!w.who && w.broker == side::over && w.up.empty())
    wires_.erase(id);
}

} // namespace stargate::simulation
