#include "libstargate/connection/event_loop.hpp"

#include "libstargate/connection/event_loop_parts.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <cstdint>
#include <ratio>
#include <stdexcept>
#include <utility>

namespace stargate::connection {

namespace {

using clock = session::clock;

using alarm_grid = std::chrono::duration<std::int64_t, std::ratio<1, 40>>; // those of many sessions ring together
constexpr auto longest_sleep = std::chrono::hours{1};
constexpr auto stop_timeout = std::chrono::seconds{1};
constexpr std::size_t backlog_for_each_held = 4; // frames to write, for each that waits to be handed on
constexpr auto longest_hold = std::chrono::milliseconds{10};

} // namespace

bool event_loop::parts::post(std::function<void()> command) {
  const std::lock_guard guard{mutex};
  if (stopped)
    return false;
  commands.push_back(std::move(command));
  if (sleeps.exchange(false))
    poller.wake();
  return true;
}

void event_loop::parts::send(const std::shared_ptr<member>& s, std::vector<frame> frames, const grouping& how) {
  {
    const std::lock_guard guard{mutex};
    if (stopped)
      return;
    if (commands.empty() && running == this) // from within an observer
      return append(s.get(), std::move(frames), how);
    if (!commands.empty() || running == this || !turn.try_lock()) {
      commands.push_back(
        [this, s, frames = std::move(frames), how]() mutable { append(s.get(), std::move(frames), how); });
      if (sleeps.exchange(false))
        poller.wake();
      return;
    }
  }
  const std::lock_guard mine{turn, std::adopt_lock};
  if (!take_to_send(s.get(), std::move(frames)))
    return;
  if (!may_wait(s.get(), how))
    act(s.get(), s->write());
  wake_for_the_rest();
}

void event_loop::parts::wake_for_the_rest() {
  const bool is_to_look = !unfinished.empty() || (!alarms.empty() && alarms.top().at < sleeps_until)
                          || next_group < sleeps_until
                          || (!seated.empty() && clock::now() + 2 * most_away < sleeps_until)
                          || std::any_of(held.begin(), held.end(), [this](auto* s) { return !may_hold(s); });
  if (is_to_look && sleeps.exchange(false))
    poller.wake();
}

void event_loop::parts::run() {
  running = this;
  const std::lock_guard mine{turn};
  std::vector<std::function<void()>> todo;
  while (!stopping || (!members.empty() && clock::now() < stop_by)) {
    const auto began = clock::now();
    service(time_to_sleep(began));
    gather();
    const auto awake = clock::now();
    load = awake - began >= worked ? load::idle : load::busy;
    {
      const std::lock_guard guard{mutex};
      todo.swap(commands);
    }
    for (auto& command : todo)
      command();
    todo.clear();
    write();
    write_groups();
    release_held();
    hand_on();
    ring();
    take_seats_back();
    gone.clear();
    worked = clock::now() - awake;
  }
  {
    const std::lock_guard guard{mutex};
    stopped = true;
    todo.swap(commands);
  }
  for (auto& command : todo) // connections that were still asked for have an end, too
    command();
  while (!members.empty())
    finish(members.begin()->second.get(), {end::closed, 0, "the event loop stopped"});
}

void event_loop::parts::hand_on() {
  for (auto* s : std::exchange(with_frames, {})) {
    if (may_hold(s)) {
      hold(s);
      continue;
    }
    s->flush(load);
    if (s->is_in && s->guest)
      s->guest->ring();
  }
  write();
}

void event_loop::parts::hand_on_as_guest(member* s) {
  std::erase(with_frames, s);
  s->flush(load::idle);
  write();
}

bool event_loop::parts::may_hold(member* s) const {
  return !stopping && s->frames_received() * backlog_for_each_held <= s->backlog()
         && !amount{s->frames_received(), s->bytes_received()}.is_worth_a_wake_up() && !s->guest;
}

void event_loop::parts::hold(member* s) {
  s->held_since = clock::now();
  held.push_back(s);
  attend(s);
}

void event_loop::parts::release_held() {
  if (held.empty())
    return;
  const auto since = clock::now() - longest_hold;
  for (auto* s : std::exchange(held, {})) {
    if (*s->held_since > since && may_hold(s)) {
      held.push_back(s);
      continue;
    }
    s->held_since.reset();
    s->flush(load);
    attend(s);
  }
}

void event_loop::parts::write() {
  for (auto* s : std::exchange(to_write, {}))
    if (s->is_in)
      act(s, s->write());
}

bool event_loop::parts::may_wait(member* s, const grouping& how) {
  if (how.time.count() == 0 || s->unsent() >= how.most || stopping)
    return false;
  const bool waits_already = s->group.due() != clock::time_point::max();
  if (!s->group.may_wait(clock::now(), how.time))
    return false;
  if (!waits_already)
    grouped.push_back(s);
  next_group = std::min(next_group, s->group.due());
  next_ripe = std::min(next_ripe, s->group.ripe());
  return true;
}

void event_loop::parts::write_groups() {
  const auto now = clock::now();
  if (now < next_ripe)
    return;
  next_group = next_ripe = clock::time_point::max();
  for (auto* s : std::exchange(grouped, {})) {
    if (s->group.ripe() > now) {
      next_group = std::min(next_group, s->group.due());
      next_ripe = std::min(next_ripe, s->group.ripe());
      grouped.push_back(s);
      continue;
    }
    s->group.sent();
    act(s, s->write());
  }
}

std::chrono::nanoseconds event_loop::parts::time_to_sleep(clock::time_point now) {
  const std::lock_guard guard{mutex};
  if (!commands.empty() || !unfinished.empty())
    return {};
  sleeps = true;
  sleeps_until = std::min(alarms.empty() ? clock::time_point::max() : alarms.top().at, now + longest_sleep);
  if (stopping)
    sleeps_until = std::min(sleeps_until, stop_by);
  sleeps_until = std::min(sleeps_until, next_group);
  if (!seated.empty())
    sleeps_until = std::min(sleeps_until, now + most_away);
  if (!held.empty())
    sleeps_until = std::min(sleeps_until, *held.front()->held_since + longest_hold);
  return std::max(sleeps_until - now, clock::duration{0});
}

void event_loop::parts::service(std::chrono::nanoseconds at_most) {
  if (at_most.count() > 0)
    turn.unlock();
  const auto ready = poller.wait(at_most);
  sleeps = false; // from here on, commands are seen without being told of
  if (at_most.count() > 0)
    turn.lock();
  const auto now = clock::now();
  for (auto* s : std::exchange(unfinished, {}))
    serve(s, true, false, now);
  for (const auto& [who, readable, has_room] : ready)
    serve(static_cast<member*>(who), readable, has_room, now);
}

void event_loop::parts::serve(member* s, bool readable, bool has_room, clock::time_point now) {
  if (!s->is_in)
    return;
  const bool is_held = s->held_since.has_value();
  const bool is_new = !is_held && s->frames_received() == 0;
  const auto next = s->on_ready(buffer, readable || is_held, has_room, now);
  count_awaited(s);
  if (is_new && s->frames_received() > 0)
    with_frames.push_back(s);
  act(s, next);
}

void event_loop::parts::gather() {
  if (with_frames.empty() || stopping)
    return;
  auto all = received();
  for (auto wait = gathers.wait(clock::now(), all); wait.count() > 0; wait = gathers.wait(clock::now(), all)) {
    turn.unlock(); // whoever sends, or reads for itself, need not wait for that
    std::this_thread::sleep_for(wait);
    turn.lock();
    service({});
    all = received();
  }
  gathers.handed_on(clock::now(), all.frames, with_frames.size());
}

amount event_loop::parts::received() const {
  amount sum{.awaited = awaited};
  for (const auto* s : with_frames) {
    sum.frames += s->frames_received();
    sum.bytes += s->bytes_received();
    sum.answers += s->answers_received();
  }
  return sum;
}

void event_loop::parts::act(member* s, session::next next) {
  switch (next) {
    case session::next::wait: return attend(s);
    case session::next::go_on: unfinished.push_back(s); return attend(s);
    case session::next::reattempt: return connect(s);
    case session::next::finish: return finish(s);
  }
}

void event_loop::parts::attend(member* s) {
  const auto socket = s->socket();
  const connection::poller::interest in{.input = !s->guest && !s->held_since, .room = s->wants_room()};
  if (socket >= 0 && (socket != s->watched || in != s->in)) {
    if (!(socket != s->watched ? poller.watch(socket, s, in) : poller.change(socket, s, in)))
      return finish(s, {end::unreachable, 0, "the system watches no more sockets (epoll's max_user_watches)"});
    s->watched = socket;
    s->in = in;
  }
  set_alarm(s);
}

void event_loop::parts::forget(member* s) {
  if (const auto socket = std::exchange(s->watched, -1); socket >= 0)
    poller.forget(socket);
}

void event_loop::parts::set_alarm(member* s) {
  const auto at = s->late_at() == clock::time_point::max()
                    ? s->late_at()
                    : clock::time_point{std::chrono::ceil<alarm_grid>(s->late_at().time_since_epoch())};
  if (at >= s->wakes_at)
    return; // it is looked at before that
  s->wakes_at = at;
  alarms.push({at, members.at(s)});
}

void event_loop::parts::ring() {
  const auto now = clock::now();
  while (!alarms.empty() && alarms.top().at <= now) {
    const auto due = alarms.top();
    alarms.pop();
    const auto s = due.whose.lock();
    if (!s || !s->is_in || s->wakes_at != due.at)
      continue;
    s->wakes_at = clock::time_point::max();
    act(s.get(), s->late_at() <= now ? s->on_late(now) : session::next::wait);
  }
}

void event_loop::parts::begin(const std::shared_ptr<member>& s) {
  if (stopping || s->has_ended())
    return s->end();
  members.emplace(s.get(), s);
  s->is_in = true;
  const auto choice = choose_proxy(proxies, tls.has_value(), s->to().host);
  if (!choice.wrong.empty())
    return finish(s.get(), {end::unsendable, 0, choice.wrong});
  s->begin(clock::now(), choice.through);
  attend(s.get());
  names.resolve(choice.through ? choice.through->host : s->to().host, [this, s](std::vector<std::string> addresses,
                                                                                const std::string& failure) {
    post([this, s, addresses, failure] {
      if (s->has_ended())
        return;
      if (addresses.empty())
        return finish(s.get(), {end::unresolved, 0,
                                s->through() ? "that of the proxy " + s->through()->host + ": " + failure : failure});
      s->set_addresses(addresses);
      connect(s.get());
    });
  });
}

void event_loop::parts::connect(member* s) {
  forget(s);
  act(s, s->connect(tls ? &*tls : nullptr));
}

bool event_loop::parts::take_to_send(member* s, std::vector<frame> frames) {
  if (!s->is_in)
    return false;
  s->send(std::move(frames));
  count_awaited(s);
  return true;
}

void event_loop::parts::count_awaited(member* s) {
  awaited -= s->counted;
  s->counted = s->awaited();
  awaited += s->counted;
}

void event_loop::parts::append(member* s, std::vector<frame> frames, const grouping& how) {
  if (!take_to_send(s, std::move(frames)) || may_wait(s, how))
    return;
  if (to_write.empty() || to_write.back() != s)
    to_write.push_back(s);
}

void event_loop::parts::close(member* s) {
  const auto next = s->begin_close(clock::now());
  if (s->is_in)
    act(s, next);
}

void event_loop::parts::finish(member* s, ended why) {
  static_cast<void>(s->fail(std::move(why)));
  finish(s);
}

void event_loop::parts::finish(member* s) {
  if (!std::exchange(s->is_in, false))
    return;
  forget(s);
  awaited -= s->counted;
  if (const auto guest = std::move(s->guest))
    guest->ring();
  const auto found = members.find(s);
  gone.push_back(std::move(found->second));
  members.erase(found);
  std::erase(with_frames, s);
  std::erase(unfinished, s);
  std::erase(seated, s);
  std::erase(held, s);
  std::erase(grouped, s);
  s->end();
}

constinit thread_local const event_loop::parts* event_loop::parts::running = nullptr;

event_loop::event_loop(std::chrono::milliseconds gather_time) : parts_{std::make_unique<parts>(gather_time)} {}

std::shared_ptr<event_loop> event_loop::start(const std::optional<tls_settings>& tls,
                                              std::chrono::milliseconds gather_time) {
  // OpenSSL cleans up when the program exits, and what is begun before it ends after it: so it comes first.
  if (OPENSSL_init_ssl(0, nullptr) != 1)
    throw std::runtime_error{"OpenSSL could not be set up"};
  std::shared_ptr<event_loop> loop{new event_loop{gather_time}};
  auto& p = *loop->parts_;
  if (tls)
    p.tls.emplace(*tls);
  p.proxies = proxies_of_environment();
  p.thread = std::thread{[&p] { p.run(); }};
  return loop;
}

event_loop::~event_loop() {
  stop();
}

void event_loop::stop() {
  auto& p = *parts_;
  std::call_once(p.stop_once, [&p] {
    if (!p.thread.joinable()) // it did not start
      return;
    p.post([&p] {
      p.stopping = true;
      p.stop_by = clock::now() + stop_timeout;
      std::vector<parts::member*> open;
      for (const auto& [s, owner] : p.members)
        open.push_back(owner.get());
      for (auto* s : open)
        p.close(s);
    });
    p.thread.join();
  });
}

namespace {

class session_link final : public link {
public:
  session_link(std::shared_ptr<event_loop> loop, event_loop::parts& parts,
               std::shared_ptr<event_loop::parts::member> session)
    : loop_{std::move(loop)},
      parts_{parts},
      session_{std::move(session)} {}
  ~session_link() override { session_link::close(); }

  void send(std::vector<frame> frames) override { parts_.send(session_, std::move(frames), {}); }
  void send_grouped(std::vector<frame> frames, const grouping& how) override {
    parts_.send(session_, std::move(frames), how);
  }
  void lend_thread(const std::function<bool()>& done, clock::time_point until,
                   const std::shared_ptr<doorbell>& bell) override {
    if (event_loop::parts::running == nullptr)
      parts_.take_in(session_, done, until, bell);
  }
  std::unique_ptr<seat> take_seat(const std::shared_ptr<doorbell>& bell) override {
    return parts_.take_seat(loop_, session_, bell);
  }
  void close() override {
    parts_.post([&p = parts_, s = session_] { p.close(s.get()); });
  }

private:
  const std::shared_ptr<event_loop> loop_; // keeps the parts
  event_loop::parts& parts_;
  const std::shared_ptr<event_loop::parts::member> session_;
};

} // namespace

std::unique_ptr<link> event_loop::connect(endpoint to, std::unique_ptr<observer> observer) {
  auto s = std::make_shared<parts::member>(std::move(to), std::move(observer));
  auto result = std::make_unique<session_link>(shared_from_this(), *parts_, s);
  if (!parts_->post([p = parts_.get(), s] { p->begin(s); }))
    s->end_unmade();
  return result;
}

} // namespace stargate::connection
