// The dispatcher of a consumer or reader: it owns the demand, and starts and watches the socket.
//
// accepts  handshake_wanted link_up link_down frames_in child_started from its socket; ask from processors;
//          acknowledger_up settled_count drain from the acknowledger; drained from processors; ask_end_of_topic
//          leave_subscription report_vitals from anybody; dispatch_again look_after from itself; receiver_absent
//          fitness_checked from who asks the broker; down messages; exit messages
// sends    deliver link_down drain to processors; handshake_wanted link_up link_down drained to the acknowledger;
//          reset_connection refuse_connection to the socket; child_started to its supervisor
// dies of  its socket's end, with its reason; a handler over its time, where that is a crash; an exit message, after
//          its socket has closed
//
// It gives a processor no more messages than it asked for. What nobody has asked for yet waits here. That is bounded:
// in pull mode the broker sends only what was asked for, otherwise no more than the receiver queue's size without
// acknowledgements.
#include "actors/receiver/dispatcher.hpp"

#include "actors/receiver/broker_questions.hpp"
#include "actors/receiver/distribution.hpp"
#include "actors/receiver/fitness.hpp"
#include "actors/receiver/messages.hpp"
#include "actors/receiver/presence.hpp"
#include "actors/receiver/watchdog.hpp"
#include "actors/shared/join.hpp"
#include "actors/socket/socket.hpp"
#include "libstargate/protocol/frames.hpp"

#include <stargate/vitals.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace stargate::internal {

namespace {

struct dispatcher_state {
  static inline const char* name = "stargate.dispatcher";

  caf::event_based_actor* const self;
  const tree_context_ptr tree;
  const receiver_ptr receiver;
  const caf::actor supervisor;
  const std::shared_ptr<const topic_name> topic{receiver, &receiver->keys.topic()};

  const std::shared_ptr<pipeline_metrics> counts = tree->metrics.of(receiver->keys.socket());
  caf::actor socket;
  caf::actor acknowledger;
  std::uint64_t connection = 0; ///< 0 while there is none.
  caf::actor connected_socket;
  std::weak_ptr<connection::link> link;
  std::optional<handshake_wanted> wanted; ///< Until there is an acknowledger, who knows where to go on.
  enum class question { open, asked, answered } fitness = question::answered; ///< Can the broker do it?
  std::shared_ptr<const delivery> origin;
  internal::distribution<caf::actor> distribution;
  bool dispatch_scheduled = false;

  struct processor {
    caf::actor who;
    std::size_t index;
    std::shared_ptr<handling> in_hand;
  };
  std::vector<processor> processors;

  broker_questions questions;

  std::shared_ptr<idle_watch::watched> watched; ///< Null while the broker is not to be asked for us.

  std::vector<caf::actor> undrained;
  caf::actor drain_to;
  bool draining = false;
  bool leaving = false;

  dispatcher_state(caf::event_based_actor* of, tree_context_ptr in, receiver_ptr whose, caf::actor below)
    : self{of},
      tree{std::move(in)},
      receiver{std::move(whose)},
      supervisor{std::move(below)},
      distribution{receiver->partition_by_key ? receiver->processors : 1, receiver->rate_limit} {}

  [[nodiscard]] bool may_run_inline(inline_host) const { return connection != 0 && !draining && !leaving; }

  void announce_connection() {
    if (connection == 0 || !acknowledger)
      return;
    origin = std::make_shared<const delivery>(delivery{acknowledger, connection, topic, receiver->many_topics});
    send(self, acknowledger, link_up{connection, connected_socket, link});
    dispatch();
    ask_broker();
  }

  void ask_acknowledger() {
    if (!acknowledger || !wanted)
      return;
    if (fitness == question::answered)
      send(self, acknowledger, *std::exchange(wanted, std::nullopt));
    else if (std::exchange(fitness, question::asked) == question::open)
      check_fitness(tree, receiver, caf::actor_cast<caf::actor>(self));
  }

  void on_fitness(const fitness_checked& m) {
    fitness = m.why_not ? question::open : question::answered;
    if (m.why_not && wanted)
      return send(self, wanted->socket, refuse_connection{wanted->connection, m.why_not});
    ask_acknowledger();
  }

  void lose_connection() {
    connection = 0;
    origin = nullptr;
    link.reset();
    watched.reset();
    questions.forget_connection();
    distribution.forget_connection(); // the broker delivers it again
  }

  // -- giving out what came

  void dispatch() {
    if (draining || !origin)
      return;
    for (auto& share : distribution.take(self->clock().now()))
      send(self, share.to, deliver{origin, std::move(share.messages), link});
    if (distribution.held_back() && !dispatch_scheduled) {
      dispatch_scheduled = true;
      send_later(self, distribution.wait(), dispatch_again{});
    }
    permit_more();
  }

  void permit_more() {
    if (!receiver->pull_mode || draining || !origin)
      return;
    const auto most = receiver->receiver_queue_size + receiver->processors * receiver->max_demand;
    if (const auto more = distribution.permit(most))
      tell_broker(protocol::encode_permit(more));
  }

  void tell_broker(std::string frame) {
    if (const auto to = link.lock())
      to->send({std::make_shared<const protocol::frame_text>(std::move(frame))});
  }

  void on_frames(frames_in& m) {
    if (m.connection != connection || draining)
      return;
    if (watched)
      watched->heard(tree->now());
    std::uint64_t came = 0;
    for (auto& frame : m.frames) {
      if (const auto end = protocol::decode_end_of_topic(frame)) {
        questions.answer_end_of_topic(*end);
        continue;
      }
      distribution.add(std::move(frame));
      ++came;
    }
    counts->delivered.add(came);
    dispatch();
  }

  void on_ask(const ask& m) {
    if (!distribution.knows(m.processor)) {
      monitor(self, m.processor);
      processors.push_back({m.processor, m.index, m.in_hand});
    }
    distribution.ask(m.processor, m.index, m.demand);
    dispatch();
  }

  // -- asking the broker

  void ask_broker() {
    if (connection == 0 || !origin)
      return;
    for (auto& frame : questions.take_frames())
      tell_broker(std::move(frame));
    if (!questions.gives_up())
      return;
    draining = true; // whatever comes now is nobody's
    watched.reset();
    questions.answer_unsubscribed();
  }

  // -- handlers that take too long

  void look_after_handlers() {
    for (const auto& p : processors)
      if (auto why = p.in_hand ? look_after_handler(tree, receiver, p.index, *p.in_hand) : caf::error{})
        return self->quit(std::move(why));
    send_later(self, look_interval(*receiver), look_after{});
  }

  // -- a broker that has forgotten us

  void on_absence(const receiver_absent& m) {
    if (m.connection != connection || draining || leaving)
      return;
    send(self, connected_socket,
         reset_connection{connection, make_error(errc::connection_lost,
                                                 to_string(*topic) + ": the broker has no " + receiver->name_at_broker
                                                   + " on it any more, though the connection stands")});
  }

  void on_drain(const drain& m) {
    draining = true;
    watched.reset();
    drain_to = m.answer_to;
    distribution.forget_waiting();
    for (const auto& p : processors) {
      undrained.push_back(p.who);
      send(self, p.who, drain{caf::actor_cast<caf::actor>(self)});
    }
    answer_drain();
  }

  void processor_done(const caf::actor_addr& who) {
    std::erase_if(undrained, [&](const caf::actor& p) { return p.address() == who; });
    answer_drain();
  }

  void answer_drain() {
    if (drain_to && undrained.empty())
      send(self, std::exchange(drain_to, nullptr), drained{caf::actor_cast<caf::actor>(self)});
  }

  void on_down(const caf::actor_addr& who, const caf::error& why) {
    if (socket && socket.address() == who)
      return self->quit(leaving ? make_error(exit_code::shutdown, "closed") : why);
    const auto i =
      std::find_if(processors.begin(), processors.end(), [&](const processor& p) { return p.who.address() == who; });
    if (i != processors.end()) {
      distribution.forget(i->who);
      processors.erase(i);
      processor_done(who);
    }
  }

  void on_exit(const caf::error& why) {
    if (!why || leaving)
      return;
    leaving = true;
    watched.reset();
    if (!socket)
      return self->quit(why);
    send_exit(socket, why); // and quit when it has ended
  }

  void start_socket() {
    socket = spawn_socket(tree, {{receiver, &receiver->keys}, supervisor}, caf::actor_cast<caf::actor>(self));
    monitor(self, socket);
  }

  caf::behavior make_behavior() {
    if (needs_check(*receiver))
      fitness = question::open;
    if (receiver->handler_timeout.count() > 0)
      send_later(self, look_interval(*receiver), look_after{});
    take_name(self, tree, receiver->keys.dispatcher(), [this] { start_socket(); });
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr& who, const caf::error& why) { on_down(who, why); };
    signals.exit = [this](const caf::actor_addr&, const caf::error& why) { on_exit(why); };
    return behave(
      self, std::move(signals), [this](frames_in& m) { on_frames(m); }, // the most frequent first
      [this](const ask& m) { on_ask(m); },
      [this](const settled_count& m) {
        if (m.connection != connection)
          return;
        distribution.settle(m.total);
        permit_more();
      },
      [this](const child_started&) { send(self, supervisor, child_started{caf::actor_cast<caf::actor>(self)}); },
      [this](const handshake_wanted& m) {
        wanted = m;
        ask_acknowledger();
      },
      [this](const link_up& m) {
        lose_connection();
        connection = m.connection;
        connected_socket = m.socket;
        link = m.link;
        if (!draining && !leaving)
          watched = watch_presence(tree, receiver, connection, caf::actor_cast<caf::actor>(self));
        announce_connection();
      },
      [this](const link_down& m) {
        if (m.connection != connection)
          return;
        lose_connection();
        if (acknowledger)
          send(self, acknowledger, m);
        for (const auto& p : processors)
          send(self, p.who, m);
      },
      [this](const acknowledger_up& m) {
        acknowledger = m.who;
        ask_acknowledger();
        announce_connection();
      },
      [this](const drain& m) { on_drain(m); },
      [this](const dispatch_again&) {
        dispatch_scheduled = false;
        dispatch();
      },
      [this](const look_after&) { look_after_handlers(); }, [this](const receiver_absent& m) { on_absence(m); },
      [this](const fitness_checked& m) { on_fitness(m); },
      [this](const ask_end_of_topic& m) {
        questions.ask_end_of_topic(m.who);
        ask_broker();
      },
      [this](const leave_subscription& m) {
        questions.ask_to_unsubscribe(m.who);
        ask_broker();
      },
      [this](report_vitals) { return vitals_of(self, distribution.waiting(), distribution.demanded()); },
      [this](const drained& m) { processor_done(m.who.address()); });
  }
};

} // namespace

caf::actor spawn_dispatcher(tree_context_ptr tree, receiver_ptr receiver, caf::actor supervisor) {
  const auto here = tree;
  return here->counted(
    spawn_state<dispatcher_state>(here->system, std::move(tree), std::move(receiver), std::move(supervisor)));
}

} // namespace stargate::internal
