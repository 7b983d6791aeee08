// The relay of one listener: it hands on one event after the other, the next when the one before was taken.
//
// accepts  flush from the tree, when there is something to hand on
// sends    event to the listener, as a request
// dies of  the tree's end, when it was told; the listener's end; its inbox being closed
#include "actors/tree/event_relay.hpp"

#include <exception>
#include <string>
#include <utility>

namespace stargate {

using namespace compat;

namespace internal {

namespace {

struct event_relay_state {
  static inline const char* name = "stargate.event_relay";

  caf::event_based_actor* const self;
  const std::shared_ptr<event_inbox> from;
  const caf::actor to;
  const std::function<void(const event&)> or_to;
  bool waiting = false; ///< For the listener.

  event_relay_state(caf::event_based_actor* of, std::shared_ptr<event_inbox> inbox, caf::actor listener,
                    std::function<void(const event&)> function)
    : self{of},
      from{std::move(inbox)},
      to{std::move(listener)},
      or_to{std::move(function)} {}
  event_relay_state(const event_relay_state&) = delete;
  event_relay_state& operator=(const event_relay_state&) = delete;
  ~event_relay_state() { from->close(); }

  void go_on() {
    while (!waiting) {
      auto next = from->take();
      if (!next) {
        if (from->is_closed())
          self->quit();
        return;
      }
      const bool last = next->what == event::kind::stopped;
      if (to)
        hand_to_actor(std::move(*next), last);
      else
        hand_to_function(*next, last);
      if (last && !to)
        return;
    }
  }

  void hand_to_actor(event what, bool last) {
    waiting = true;
    request_for_ever(self, to, std::move(what))
      .then(
        [this, last] {
          waiting = false;
          if (last)
            self->quit();
          else
            go_on();
        },
        [this](const caf::error&) { self->quit(); }); // it has ended, or does not take events
  }

  void hand_to_function(const event& what, bool last) {
    try {
      or_to(what);
    } catch (...) { // a listener's fault is not the tree's
    }
    if (last)
      self->quit();
  }

  caf::behavior make_behavior() {
    if (to)
      monitor(self, to);
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr&, const caf::error&) { self->quit(); };
    return behave(self, std::move(signals), [this](flush) { go_on(); });
  }
};

} // namespace

void spawn_event_relay(caf::actor_system& system, const std::shared_ptr<event_inbox>& from, caf::actor to,
                       std::function<void(const event&)> or_to) {
  from->set_relay(spawn_state<event_relay_state>(system, from, std::move(to), std::move(or_to)));
}

} // namespace internal

void subscription::end() const {
  if (!inbox_)
    return;
  inbox_->close();
  post(inbox_->relay(), internal::flush{});
}

std::string_view name_of(event::kind what) noexcept {
  switch (what) {
    case event::kind::connected: return "connected";
    case event::kind::disconnected: return "disconnected";
    case event::kind::refused: return "refused";
    case event::kind::restarted: return "restarted";
    case event::kind::gave_up: return "gave up";
    case event::kind::added: return "added";
    case event::kind::removed: return "removed";
    case event::kind::drained: return "drained";
    case event::kind::dead_lettered: return "dead-lettered";
    case event::kind::handler_failed: return "handler failed";
    case event::kind::handler_slow: return "handler slow";
    case event::kind::stopped: return "stopped";
  }
  return "stopped";
}

std::string to_string(const event& e) {
  std::string text{name_of(e.what)};
  text += " " + e.key;
  if (!e.message.value.empty())
    text += ", message " + e.message.value;
  if (e.why)
    text += ": " + describe(e.why);
  if (e.next_attempt)
    text += "; next attempt in " + std::to_string(e.next_attempt->count()) + " ms";
  if (e.lost > 0)
    text += " (" + std::to_string(e.lost) + " before it were lost)";
  return text;
}

} // namespace stargate
