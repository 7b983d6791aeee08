// The dispatcher of a consumer or reader: it owns the demand, and starts and watches the socket.
//
// accepts  socket_up socket_down frames_in child_started from its socket; ask from processors; acknowledger_up and
//          drain from the acknowledger; drained from processors; down messages; exit messages
// sends    deliver socket_down drain to processors; socket_up socket_down drained to the acknowledger; child_started
//          to its supervisor
// dies of  its socket's end, with its reason; an exit message, after its socket has closed
//
// It gives a processor no more messages than it asked for. What nobody has asked for yet waits here; the broker sends
// no more than the receiver queue's size without acknowledgements, so that is bounded.
#include "actors/dispatcher.hpp"

#include "actors/demand.hpp"
#include "actors/join.hpp"
#include "actors/messages.hpp"
#include "actors/socket.hpp"

#include <algorithm>
#include <deque>
#include <optional>

namespace stargate::internal {

namespace {

struct dispatcher_state {
  static inline const char* name = "stargate.dispatcher";

  caf::stateful_actor<dispatcher_state>* self = nullptr;
  site_ptr tree;
  pipeline_ptr pipeline;
  caf::actor supervisor;
  std::shared_ptr<const topic_name> topic;

  caf::actor socket;
  caf::actor acknowledger;
  std::uint64_t connection = 0; ///< 0 while there is none.
  caf::actor connected_socket;
  std::shared_ptr<const delivery> origin;
  std::uint64_t sequence = 0;
  std::deque<raw_message> waiting;
  internal::demand<caf::actor> demand;
  std::vector<caf::actor> processors;

  std::vector<caf::actor> undrained;
  caf::actor drain_to;
  bool draining = false;
  bool leaving = false;

  void announce_connection() {
    if (connection == 0 || !acknowledger)
      return;
    origin = std::make_shared<const delivery>(delivery{acknowledger, connection, topic});
    send(self, acknowledger, socket_up{connection, connected_socket});
    dispatch();
  }

  void lose_connection() {
    connection = 0;
    origin = nullptr;
    sequence = 0;
    waiting.clear(); // the broker delivers it again
  }

  void dispatch() {
    if (draining || !origin || waiting.empty())
      return;
    for (auto& [processor, count] : demand.take(waiting.size())) {
      deliver batch{origin, {}};
      const auto end = waiting.begin() + static_cast<std::ptrdiff_t>(count);
      batch.messages.assign(std::make_move_iterator(waiting.begin()), std::make_move_iterator(end));
      waiting.erase(waiting.begin(), end);
      send(self, processor, std::move(batch));
    }
  }

  void on_frames(frames_in& m) {
    if (m.connection != connection || draining)
      return;
    for (auto& frame : m.frames)
      waiting.push_back({++sequence, std::move(frame)});
    dispatch();
  }

  void on_ask(const ask& m) {
    if (!demand.knows(m.processor)) {
      monitor(self, m.processor);
      processors.push_back(m.processor);
    }
    demand.ask(m.processor, m.demand);
    dispatch();
  }

  void on_drain(const drain& m) {
    draining = true;
    drain_to = m.answer_to;
    waiting.clear();
    undrained = processors;
    for (const auto& processor : processors)
      send(self, processor, drain{caf::actor_cast<caf::actor>(self)});
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
      std::find_if(processors.begin(), processors.end(), [&](const caf::actor& p) { return p.address() == who; });
    if (i != processors.end()) {
      demand.forget(*i);
      processors.erase(i);
      processor_done(who);
    }
  }

  void on_exit(const caf::error& why) {
    if (!why || leaving)
      return;
    leaving = true;
    if (!socket)
      return self->quit(why);
    send_exit(socket, why); // and quit when it has ended
  }

  void start_socket() {
    socket = spawn_socket(tree, {pipeline->keys, pipeline->path}, caf::actor_cast<caf::actor>(self));
    monitor(self, socket);
  }

  caf::behavior make_behavior() {
    take_name(self, *tree, pipeline->keys.dispatcher(), [this] { start_socket(); });
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr& who, const caf::error& why) { on_down(who, why); };
    signals.exit = [this](const caf::actor_addr&, const caf::error& why) { on_exit(why); };
    return behave(
      self, std::move(signals),
      [this](const child_started&) { send(self, supervisor, child_started{caf::actor_cast<caf::actor>(self)}); },
      [this](const socket_up& m) {
        lose_connection();
        connection = m.connection;
        connected_socket = m.socket;
        announce_connection();
      },
      [this](const socket_down& m) {
        if (m.connection != connection)
          return;
        lose_connection();
        if (acknowledger)
          send(self, acknowledger, m);
        for (const auto& processor : processors)
          send(self, processor, m);
      },
      [this](frames_in& m) { on_frames(m); }, [this](const ask& m) { on_ask(m); },
      [this](const acknowledger_up& m) {
        acknowledger = m.who;
        announce_connection();
      },
      [this](const drain& m) { on_drain(m); }, [this](const drained& m) { processor_done(m.who.address()); });
  }
};

caf::behavior dispatcher_actor(caf::stateful_actor<dispatcher_state>* self, const site_ptr& tree,
                               const pipeline_ptr& pipeline, const caf::actor& supervisor) {
  auto& state = state_of(self);
  state.self = self;
  state.tree = tree;
  state.pipeline = pipeline;
  state.supervisor = supervisor;
  state.topic = std::make_shared<const topic_name>(pipeline->keys.topic());
  return state.make_behavior();
}

} // namespace

caf::actor spawn_dispatcher(site_ptr tree, pipeline_ptr pipeline, caf::actor supervisor) {
  auto& system = tree->system;
  return system.spawn(dispatcher_actor, std::move(tree), std::move(pipeline), std::move(supervisor));
}

} // namespace stargate::internal
