// Guests: threads that read a connection in the loop's place, which sleeps on and does not look at it.
#include "libstargate/connection/event_loop_parts.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace stargate::connection {

namespace {

using clock = session::clock;

constexpr std::size_t most_for_one_guest = 8; // times that a lent thread reads before the loop has to
constexpr unsigned tries_for_a_turn = 50;

class session_seat final : public seat {
public:
  session_seat(std::shared_ptr<event_loop> loop, event_loop::parts& parts,
               std::shared_ptr<event_loop::parts::member> session, std::shared_ptr<doorbell> bell)
    : loop_{std::move(loop)},
      parts_{parts},
      session_{std::move(session)},
      bell_{std::move(bell)} {}
  ~session_seat() override { parts_.leave_seat(session_, bell_); }

  bool wait(const std::function<bool()>& done, clock::time_point until) override {
    return parts_.wait_on_seat(session_.get(), bell_, done, until);
  }

private:
  const std::shared_ptr<event_loop> loop_; // keeps the parts
  event_loop::parts& parts_;
  const std::shared_ptr<event_loop::parts::member> session_;
  const std::shared_ptr<doorbell> bell_;
};

} // namespace

bool event_loop::parts::admit(member* s, const std::shared_ptr<doorbell>& bell) {
  if (stopping || !s->is_in || !s->was_opened() || s->guest || s->held_since)
    return false;
  s->guest = bell;
  attend(s);
  return is_guest(s, bell);
}

bool event_loop::parts::is_guest(member* s, const std::shared_ptr<doorbell>& bell) const {
  return !stopping && s->is_in && s->guest == bell;
}

bool event_loop::parts::take_turn(std::unique_lock<std::mutex>& mine) {
  for (unsigned i = 0; i < tries_for_a_turn; ++i) {
    if (mine.try_lock())
      return true;
    std::this_thread::yield();
  }
  return false;
}

void event_loop::parts::read_as_guest(std::unique_lock<std::mutex>& mine, member* s,
                                      const std::shared_ptr<doorbell>& bell, std::size_t most,
                                      const std::function<bool()>& done, clock::time_point until) {
  for (std::size_t i = 0; i < most && is_guest(s, bell) && !done(); ++i) {
    const auto socket = s->socket(); // if it ends meanwhile, the bell rings
    if (clock::now() >= until)
      return;
    mine.unlock();
    const bool readable = bell->wait_beside(socket, until);
    if (!take_turn(mine))
      return;
    if (!readable || !is_guest(s, bell))
      continue;
    running = this;
    serve(s, true, false, clock::now());
    hand_on_as_guest(s);
    running = nullptr;
    wake_for_the_rest();
  }
}

void event_loop::parts::leave(const std::shared_ptr<member>& s, const std::shared_ptr<doorbell>& bell,
                              const std::unique_lock<std::mutex>& mine) {
  if (mine)
    see_off(s.get(), bell);
  else
    post([this, s, bell] { see_off(s.get(), bell); });
}

void event_loop::parts::see_off(member* s, const std::shared_ptr<doorbell>& bell) {
  if (!s->is_in || s->guest != bell)
    return;
  std::erase(seated, s);
  s->guest.reset();
  s->away_since.reset();
  attend(s);
  wake_for_the_rest();
}

void event_loop::parts::take_in(const std::shared_ptr<member>& s, const std::function<bool()>& done,
                                clock::time_point until, const std::shared_ptr<doorbell>& bell) {
  std::unique_lock mine{turn, std::try_to_lock};
  if (!mine || !admit(s.get(), bell))
    return;
  read_as_guest(mine, s.get(), bell, most_for_one_guest, done, until);
  leave(s, bell, mine);
}

bool event_loop::parts::give_seat(member* s, const std::shared_ptr<doorbell>& bell) {
  const std::unique_lock mine{turn, std::try_to_lock};
  if (!mine || !admit(s, bell))
    return false;
  is_away(s);
  return true;
}

bool event_loop::parts::wait_on_seat(member* s, const std::shared_ptr<doorbell>& bell,
                                     const std::function<bool()>& done, clock::time_point until) {
  std::unique_lock mine{turn, std::defer_lock};
  if (!take_turn(mine) || !is_guest(s, bell))
    return false;
  s->away_since.reset();
  read_as_guest(mine, s, bell, std::numeric_limits<std::size_t>::max(), done, until);
  if (!mine)
    return false;
  if (!is_guest(s, bell)) {
    see_off(s, bell); // while the loop stops
    return false;
  }
  is_away(s);
  return true;
}

void event_loop::parts::is_away(member* s) {
  s->away_since = clock::now();
  if (std::find(seated.begin(), seated.end(), s) == seated.end())
    seated.push_back(s);
  wake_for_the_rest();
}

void event_loop::parts::leave_seat(const std::shared_ptr<member>& s, const std::shared_ptr<doorbell>& bell) {
  std::unique_lock mine{turn, std::defer_lock};
  static_cast<void>(take_turn(mine));
  leave(s, bell, mine);
}

void event_loop::parts::take_seats_back() {
  if (seated.empty())
    return;
  const auto since = clock::now() - most_away;
  for (auto* s : std::vector{seated})
    if (s->away_since && *s->away_since <= since)
      see_off(s, std::shared_ptr{s->guest});
}

std::unique_ptr<seat> event_loop::parts::take_seat(std::shared_ptr<event_loop> loop, std::shared_ptr<member> s,
                                                   std::shared_ptr<doorbell> bell) {
  if (running != nullptr || !give_seat(s.get(), bell))
    return nullptr;
  return std::make_unique<session_seat>(std::move(loop), *this, std::move(s), std::move(bell));
}

} // namespace stargate::connection
