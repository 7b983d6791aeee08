// The acknowledger of a consumer or reader: it sends what the handlers settled to the broker.
//
// accepts  settle settle_up_to will_settle from processors and from whoever kept a message; handshake_wanted link_up link_down
//          drained from the dispatcher; report_vitals from anybody; look_after from itself; the dispatcher's down
//          message; exit messages
// sends    acknowledger_up settled_count drain to the dispatcher; handshake progress to the socket;
//          child_started to its supervisor
// dies of  an exit message, after the processors have finished what is in hand; its dispatcher's end
//
// An acknowledgement goes out by the connection that brought the message. If that is gone, it is dropped: the broker
// delivers the message again. For a reader it also moves the position from which a new connection goes on.
#include "actors/receiver/consumer_ack.hpp"

#include "actors/receiver/messages.hpp"
#include "actors/receiver/settlements.hpp"
#include "actors/shared/join.hpp"
#include "libstargate/protocol/frames.hpp"

#include <stargate/vitals.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace stargate::internal {

namespace {

struct consumer_ack_state {
  static inline const char* name = "stargate.consumer_ack";

  caf::event_based_actor* const self;
  const tree_context_ptr tree;
  const receiver_ptr receiver;
  const caf::actor supervisor;

  const std::shared_ptr<pipeline_metrics> counts = tree->metrics.of(receiver->keys.socket());
  caf::actor dispatcher;
  caf::actor socket;
  std::uint64_t connection = 0;         ///< 0 while there is none.
  std::weak_ptr<connection::link> link; ///< Of that.
  settlements done;                     ///< Of this connection,
  std::size_t done_count = 0;           ///< and how many.
  bool progressed = false;              ///< On this connection.
  struct kept_message {
    message_id id;
    std::chrono::steady_clock::time_point since;
  };
  std::map<std::uint64_t, kept_message> kept; ///< Handlers said `continue_`; by their place in the connection.
  std::uint64_t up_to = 0;                    ///< Up to here everything is to be acknowledged.
  std::vector<connection::frame> unsent;
  std::set<std::uint64_t> awaited; ///< Will be settled by the tree itself, by their place in the connection.
  bool flush_pending = false;
  bool leaving = false;
  bool is_drained = false;

  consumer_ack_state(caf::event_based_actor* of, tree_context_ptr in, receiver_ptr whose, caf::actor below)
    : self{of},
      tree{std::move(in)},
      receiver{std::move(whose)},
      supervisor{std::move(below)} {}

  [[nodiscard]] bool may_run_inline(inline_host) const { return connection != 0 && !leaving; }

  bool ready() {
    dispatcher = tree->registry().whereis(receiver->keys.dispatcher());
    if (!dispatcher) {
      self->quit(make_error(exit_code::owner_down, "there is no dispatcher"));
      return false;
    }
    monitor(self, dispatcher);
    send(self, dispatcher, acknowledger_up{caf::actor_cast<caf::actor>(self)});
    return true;
  }

  void on_settle(settle& m) {
    if (m.connection != connection)
      return;
    for (auto& message : m.messages) {
      if (message.what == disposition::continue_ && (message.sequence > up_to || awaited.contains(message.sequence)))
        keep(message);
      else
        settle_one(message);
    }
    after_settling();
  }

  /// By its handler or by whoever kept it, in any order: the first counts.
  void settle_one(settled& message) {
    const bool ask_again = message.what == disposition::nack && !receiver->position;
    auto frame =
      ask_again ? protocol::encode_negative_acknowledgement(message.id) : protocol::encode_acknowledgement(message.id);
    if (!done.settle(message.sequence, std::move(message.id)))
      return;
    ++done_count;
    (message.what == disposition::nack ? counts->negative_acknowledged : counts->acknowledged).add();
    kept.erase(message.sequence);
    awaited.erase(message.sequence);
    unsent.push_back(std::make_shared<const protocol::frame_text>(std::move(frame)));
    if (!ask_again && !std::exchange(progressed, true))
      send(self, socket, progress{connection});
  }

  void after_settling() {
    if (receiver->position && done.reached() > 0)
      *receiver->position = done.reached_id().value;
    if (!unsent.empty() && !flush_pending) {
      flush_pending = has_mail(self);
      if (flush_pending)
        send(self, caf::actor_cast<caf::actor>(self), flush{});
      else
        send_unsent();
    }
    leave_when_done();
  }

  void keep(settled& message) {
    if (done.has(message.sequence))
      return; // whoever keeps it was faster than its handler's answer
    kept.emplace(message.sequence, kept_message{std::move(message.id), self->clock().now()});
    if (kept.size() == receiver->receiver_queue_size)
      tree->say(log_level::warning, receiver->keys.acknowledger(),
                std::to_string(kept.size())
                  + " messages were answered with continue_ and are not acknowledged, as many as "
                    "receiver_queue_size allows: the broker sends no more until some are");
  }

  /// The broker delivers again what was not acknowledged for `ack_timeout`, but goes on counting it as unacknowledged
  /// (apache/pulsar issue 2731): as many as its queue holds, and nothing would come any more. Refusing it gives its
  /// place back; that has to come after the broker's own time-out, which it would otherwise put off by the delay of a
  /// negative acknowledgement.
  void refuse_overdue() {
    const auto limit = self->clock().now() - 2 * receiver->ack_timeout - std::chrono::seconds{1};
    settle overdue{connection, {}};
    for (auto& [sequence, message] : kept)
      if (message.since <= limit && !awaited.contains(sequence)) // those are settled without that, and none is lost
        overdue.messages.push_back({sequence, message.id, disposition::nack});
    on_settle(overdue);
    send_later(self, receiver->ack_timeout, look_after{});
  }

  /// Cumulative acknowledgement: what was kept up to there, and what handlers will still say `continue_` to. It says
  /// nothing of what the tree itself settles, when what was made of it is stored.
  void on_settle_up_to(const settle_up_to& m) {
    if (m.connection != connection)
      return;
    up_to = std::max(up_to, m.sequence);
    settle all{connection, {}};
    for (auto i = kept.begin(); i != kept.end() && i->first <= up_to; ++i)
      if (!awaited.contains(i->first))
        all.messages.push_back({i->first, i->second.id, disposition::ack});
    on_settle(all);
  }

  void send_unsent() {
    flush_pending = false;
    if (!unsent.empty() && connection != 0) {
      if (const auto to = link.lock())
        to->send_grouped(std::exchange(unsent, {}), {receiver->ack_group_time, receiver->ack_group_size()});
      if (receiver->pull_mode)
        send(self, dispatcher, settled_count{connection, done_count});
    }
    unsent.clear();
  }

  void change_connection(std::uint64_t to, std::weak_ptr<connection::link> by = {}) {
    send_unsent();
    connection = to;
    link = std::move(by);
    done = {};
    done_count = 0;
    progressed = false;
    kept.clear();
    awaited.clear();
    up_to = 0;
    leave_when_done();
  }

  void leave_when_done() {
    if (!is_drained || !awaited.empty())
      return;
    send_unsent();
    self->quit(make_error(exit_code::shutdown, "drained"));
  }

  void on_exit(const caf::error& why) {
    if (!why || leaving)
      return;
    leaving = true;
    if (!dispatcher || has_ended(dispatcher))
      return self->quit(why);
    send(self, dispatcher, drain{caf::actor_cast<caf::actor>(self)}); // and quit when it has answered
  }

  caf::behavior make_behavior() {
    join_tree(self, tree, receiver->keys.acknowledger(), supervisor, [this] { return ready(); });
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr&, const caf::error&) {
      self->quit(make_error(exit_code::owner_down, "the dispatcher has ended"));
    };
    signals.exit = [this](const caf::actor_addr&, const caf::error& why) { on_exit(why); };
    if (receiver->ack_timeout.count() > 0)
      send_later(self, receiver->ack_timeout, look_after{});
    return behave(
      self, std::move(signals), [this](settle& m) { on_settle(m); }, // the most frequent first
      [this](flush) { send_unsent(); },
      [this](const handshake_wanted& m) {
        change_connection(0);
        send(self, m.socket, handshake{m.connection, receiver->path()});
      },
      [this](const link_up& m) {
        change_connection(m.connection, m.link);
        socket = m.socket;
      },
      [this](const link_down& m) {
        if (m.connection == connection)
          change_connection(0);
      },
      [this](const settle_up_to& m) { on_settle_up_to(m); }, [this](look_after) { refuse_overdue(); },
      [this](report_vitals) { return vitals_of(self, kept.size() + unsent.size()); },
      [this](const drained&) {
        is_drained = true;
        leave_when_done();
      },
      [this](const will_settle& m) {
        if (m.connection == connection && !done.has(m.sequence))
          awaited.insert(m.sequence);
      });
  }
};

} // namespace

caf::actor spawn_consumer_ack(tree_context_ptr tree, receiver_ptr receiver, caf::actor supervisor) {
  const auto here = tree;
  return here->counted(
    spawn_state<consumer_ack_state>(here->system, std::move(tree), std::move(receiver), std::move(supervisor)));
}

} // namespace stargate::internal
