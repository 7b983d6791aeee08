// A processor of a consumer or reader: it decodes messages and runs the application's handler on them.
//
// accepts  deliver socket_down drain from the dispatcher; handle_next from itself; exit messages
// sends    ask drained to the dispatcher; settle to the acknowledger; child_started to its supervisor
// dies of  an exception out of the handler; a frame that is not a message; its dispatcher's end; an exit message,
//          between two messages
//
// It works in slices of time: between them it sees what else has come, such as an exit message, and what it has
// settled goes out together.
#include "actors/processor.hpp"

#include "actors/join.hpp"
#include "actors/messages.hpp"
#include "libstargate/protocol/frames.hpp"

#include <caf/spawn_options.hpp>

#include <deque>
#include <stdexcept>
#include <utility>

namespace stargate::internal {

namespace {

constexpr std::chrono::milliseconds slice{1};

struct processor_state {
  static inline const char* name = "stargate.processor";

  struct queued {
    std::shared_ptr<const delivery> origin;
    raw_message raw;
  };

  caf::stateful_actor<processor_state>* self = nullptr;
  site_ptr tree;
  pipeline_ptr pipeline;
  std::size_t index = 0;
  std::string key;

  std::unique_ptr<message_handler> handler;
  caf::actor dispatcher;
  std::deque<queued> queue;
  std::size_t owed = 0; ///< Asked for and not handled yet: at the dispatcher, on the way, or in the queue.
  bool scheduled = false;
  std::shared_ptr<const delivery> settled_origin;
  std::vector<settled> unsent;

  bool ready() {
    dispatcher = tree->registry().whereis(pipeline->keys.dispatcher());
    if (!dispatcher) {
      self->quit(make_error(exit_code::owner_down, "there is no dispatcher"));
      return false;
    }
    monitor(self, dispatcher);
    const bool made = guarded("init", [this] {
      handler = pipeline->handler();
      if (!handler)
        throw std::runtime_error{"the factory of handlers gave none"};
      handler->init({pipeline->keys.topic(), pipeline->keys.processor_component(index), index});
    });
    if (made)
      ask_for_more();
    return made;
  }

  /// Runs a piece of the application. What it throws ends the processor. False if it did.
  template <class F>
  bool guarded(std::string_view what, F run) {
    std::string text;
    try {
      run();
      return true;
    } catch (const std::exception& e) {
      text = e.what();
    } catch (...) {
      text = "what is not a std::exception";
    }
    send_settled();
    const auto why = make_error(errc::handler_failed, key + ": " + std::string{what} + " threw: " + text);
    tree->say(log_level::error, key, describe(why));
    self->quit(why);
    return false;
  }

  void ask_for_more() {
    if (owed > pipeline->min_demand)
      return;
    const auto more = pipeline->max_demand - owed;
    owed += more;
    send(self, dispatcher, ask{caf::actor_cast<caf::actor>(self), more});
  }

  void schedule() {
    if (scheduled || queue.empty())
      return;
    scheduled = true;
    send(self, caf::actor_cast<caf::actor>(self), handle_next{});
  }

  void on_deliver(deliver& m) {
    for (auto& raw : m.messages)
      queue.push_back({m.origin, std::move(raw)});
    schedule();
  }

  void handle_slice() {
    scheduled = false;
    const auto until = std::chrono::steady_clock::now() + slice;
    while (!queue.empty()) {
      auto next = std::move(queue.front());
      queue.pop_front();
      if (!handle(next))
        return;
      --owed;
      if (std::chrono::steady_clock::now() >= until)
        break;
    }
    send_settled();
    ask_for_more();
    schedule();
  }

  bool handle(queued& next) {
    auto decoded = protocol::decode_delivery(next.raw.frame);
    if (!decoded) {
      send_settled();
      const auto why =
        make_error(errc::protocol_violation, to_string(pipeline->keys.topic()) + ": " + context_of(decoded.error()));
      tree->say(log_level::error, key, describe(why));
      self->quit(why);
      return false;
    }
    auto* message = std::get_if<received_message>(&*decoded);
    if (message == nullptr)
      return true; // an answer about the topic's end, which nobody waits for
    message->sequence = next.raw.sequence;
    message->origin = next.origin;
    auto what = disposition::continue_;
    if (!guarded("handle_message", [&] { what = handler->handle_message(*message); }))
      return false;
    if (what != disposition::continue_)
      settle_later(next, std::move(message->id), what);
    return true;
  }

  void settle_later(const queued& of, message_id id, disposition what) {
    if (settled_origin != of.origin)
      send_settled();
    settled_origin = of.origin;
    unsent.push_back({of.raw.sequence, std::move(id), what});
  }

  void send_settled() {
    if (!unsent.empty())
      send(self, settled_origin->acknowledger, settle{settled_origin->connection, std::exchange(unsent, {})});
  }

  void drop_queue() {
    owed -= queue.size();
    queue.clear();
  }

  caf::behavior make_behavior(const caf::actor& supervisor) {
    join_tree(self, *tree, key, supervisor, [this] { return ready(); });
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr&, const caf::error&) {
      self->quit(make_error(exit_code::owner_down, "the dispatcher has ended"));
    };
    return behave(
      self, std::move(signals), [this](deliver& m) { on_deliver(m); }, [this](handle_next) { handle_slice(); },
      [this](const socket_down& m) {
        // The broker delivers again what was not acknowledged; handling it here as well would only do it twice.
        const auto before = queue.size();
        std::erase_if(queue, [&](const queued& q) { return q.origin->connection <= m.connection; });
        owed -= before - queue.size();
        ask_for_more();
      },
      [this](const drain& m) {
        drop_queue();
        send_settled();
        send(self, m.answer_to, drained{caf::actor_cast<caf::actor>(self)});
      });
  }
};

caf::behavior processor_actor(caf::stateful_actor<processor_state>* self, const site_ptr& tree,
                              const pipeline_ptr& pipeline, std::size_t index, const caf::actor& supervisor) {
  auto& state = state_of(self);
  state.self = self;
  state.tree = tree;
  state.pipeline = pipeline;
  state.index = index;
  state.key = pipeline->keys.processor(index);
  return state.make_behavior(supervisor);
}

} // namespace

caf::actor spawn_processor(site_ptr tree, pipeline_ptr pipeline, std::size_t index, caf::actor supervisor) {
  auto& system = tree->system;
  if (pipeline->run_on == run_on::own_thread)
    return system.spawn<caf::detached>(processor_actor, std::move(tree), std::move(pipeline), index,
                                       std::move(supervisor));
  return system.spawn(processor_actor, std::move(tree), std::move(pipeline), index, std::move(supervisor));
}

} // namespace stargate::internal
