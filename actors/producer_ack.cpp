// The producer's acknowledger: it accepts what is to be produced, hands it to the socket, and answers.
//
// accepts  publish report_vitals from anybody; socket_up socket_down frames_in drain from the socket
// sends    transmit reset_connection drained to the socket; child_started to its supervisor
// dies of  an exit message; whatever it has not answered is then answered with an error
//
// Callers hand their messages to this actor and not to the socket, because this one outlives the socket: a message
// that waits in the mailbox of a socket that dies would be out of order when it came again.
#include "actors/producer_ack.hpp"

#include "actors/join.hpp"
#include "actors/ledger.hpp"
#include "actors/messages.hpp"
#include "libstargate/protocol/frames.hpp"

#include <stargate/vitals.hpp>

#include <optional>

namespace stargate::internal {

namespace {

struct producer_ack_state {
  static inline const char* name = "stargate.producer_ack";

  caf::stateful_actor<producer_ack_state>* self = nullptr;
  site_ptr tree;
  std::string key;
  std::optional<internal::ledger> ledger;

  caf::actor socket;
  std::uint64_t connection = 0; ///< 0 while there is none.
  caf::actor drain_to;
  bool flush_pending = false;
  std::optional<ledger::clock::time_point> alarm; ///< When the next `expire` comes.
  std::uint64_t alarm_generation = 0;

  auto now() { return self->clock().now(); }

  void on_publish(publish& m) {
    for (auto& item : m.items)
      ledger->publish(std::move(item), m.waits_for_room, now());
    after_change();
  }

  /// What has to be looked at whenever the ledger has changed. Frames go out together at the end of what is in the
  /// mailbox now.
  void after_change() {
    if (connection != 0 && !flush_pending) {
      flush_pending = true;
      send(self, caf::actor_cast<caf::actor>(self), flush{});
    }
    const auto next = ledger->next_expiry();
    if (next && (!alarm || *next < *alarm)) {
      alarm = next;
      const auto wait = std::max(*next - now(), ledger::clock::duration::zero());
      send_later(self, std::chrono::ceil<std::chrono::milliseconds>(wait), expire{++alarm_generation});
    }
    if (drain_to && ledger->is_empty())
      send(self, std::exchange(drain_to, nullptr), drained{caf::actor_cast<caf::actor>(self)});
  }

  void hand_over(std::vector<connection::frame> frames) {
    if (!frames.empty())
      send(self, socket, transmit{connection, std::move(frames)});
  }

  void on_frames(frames_in& m) {
    if (m.connection != connection)
      return;
    for (auto& frame : m.frames) {
      auto answer = protocol::decode_receipt(frame);
      if (!answer)
        return begin_anew(answer.error());
      if (const auto* nameless = std::get_if<protocol::nameless_failure>(&*answer))
        return begin_anew(make_error(
          errc::protocol_violation, "the broker could not read a message and did not say which: " + nameless->failure));
      auto& receipt = std::get<protocol::receipt>(*answer);
      if (receipt.failure.empty())
        ledger->stored(receipt.sequence, std::move(receipt.id));
      else
        ledger->rejected(receipt.sequence, receipt.failure);
    }
    after_change();
  }

  /// Nobody knows any more what the broker has of what is in flight: a new connection sends all of it again.
  void begin_anew(const caf::error& why) {
    tree->say(log_level::error, key, describe(why) + "; the connection is given up, and what is unanswered sent again");
    send(self, socket, reset_connection{std::exchange(connection, 0), why});
    after_change();
  }

  caf::behavior make_behavior(const caf::actor& supervisor) {
    join_tree(self, *tree, key, supervisor);
    return behave(
      self, {}, [this](publish& m) { on_publish(m); },
      [this](const socket_up& m) {
        socket = m.socket;
        connection = m.connection;
        hand_over(ledger->take_all());
      },
      [this](const socket_down& m) {
        if (m.connection == connection)
          connection = 0;
      },
      [this](frames_in& m) { on_frames(m); },
      [this](flush) {
        flush_pending = false;
        if (connection != 0)
          hand_over(ledger->take_new());
      },
      [this](const expire& m) {
        if (m.generation != alarm_generation)
          return;
        alarm.reset();
        ledger->expire(now());
        after_change();
      },
      [this](report_vitals) { return vitals_of(self, ledger->pending(), ledger->waiting()); },
      [this](const drain& m) {
        ledger->close();
        drain_to = m.answer_to;
        after_change();
      });
  }
};

caf::behavior producer_ack_actor(caf::stateful_actor<producer_ack_state>* self, const site_ptr& tree,
                                 const pipeline_keys& keys, const producer_options& options,
                                 const std::shared_ptr<const protocol::encryptor>& encrypts,
                                 const caf::actor& supervisor) {
  auto& state = state_of(self);
  state.self = self;
  state.tree = tree;
  state.key = keys.acknowledger();
  state.ledger.emplace(to_string(keys.topic()), options.max_pending, options.send_timeout, encrypts);
  return state.make_behavior(supervisor);
}

} // namespace

caf::actor spawn_producer_ack(site_ptr tree, pipeline_keys keys, producer_options options,
                              std::shared_ptr<const protocol::encryptor> encrypts, caf::actor supervisor) {
  auto& system = tree->system;
  return system.spawn(producer_ack_actor, std::move(tree), std::move(keys), std::move(options), std::move(encrypts),
                      std::move(supervisor));
}

} // namespace stargate::internal
