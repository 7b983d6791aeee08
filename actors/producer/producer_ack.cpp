// The producer's acknowledger: it accepts what is to be produced, hands it to the socket, and answers.
//
// accepts  publications publish publish_all wait_for_room report_vitals from anybody; handshake_wanted link_up link_down
//          frames_in drain from the socket, and its down message; the down messages of those who asked for room;
//          fitness_checked, once
// sends    handshake progress reset_connection refuse_connection drained to the socket; child_started to its
//          supervisor
// dies of  an exit message; whatever it has not answered is then answered with an error
//
// Callers hand their messages to this actor and not to the socket, because this one outlives the socket: a message
// that waits in the mailbox of a socket that dies would be out of order when it came again.
#include "actors/producer/producer_ack.hpp"

#include "actors/producer/fitness.hpp"
#include "actors/producer/ledger.hpp"
#include "actors/producer/messages.hpp"
#include "actors/producer/numbering.hpp"
#include "actors/producer/room_desk.hpp"
#include "actors/shared/join.hpp"
#include "actors/shared/spans.hpp"
#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/option_table.hpp"
#include "libstargate/protocol/percent.hpp"

#include <stargate/producer.hpp>
#include <stargate/vitals.hpp>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace stargate::internal {

namespace {

struct producer_ack_state {
  static inline const char* name = "stargate.producer_ack";

  caf::event_based_actor* const self;
  const tree_context_ptr tree;
  const std::string key;
  const std::shared_ptr<const producer_options> options; ///< Never null.
  const std::shared_ptr<const protocol::encryptor> encrypts;
  const caf::actor supervisor;
  internal::ledger ledger;
  room_desk desk;
  std::set<caf::actor_addr> watched;          ///< Who has asked for room.
  std::optional<internal::numbering> numbers; ///< Empty unless it stores effectively once.
  bool is_fit = false;                        ///< The broker was asked.
  std::optional<link_up> held;                ///< A connection that waits for the broker's answer to that.

  caf::actor socket;
  std::uint64_t attempt = 0;            ///< The connection for which the socket last asked for a handshake.
  std::uint64_t connection = 0;         ///< 0 while there is none.
  std::weak_ptr<connection::link> link; ///< Of that.
  bool progressed = false;              ///< On this connection.
  caf::actor drain_to;
  bool flush_pending = false;
  std::optional<ledger::clock::time_point> alarm; ///< When the next `expire` comes.
  std::uint64_t alarm_generation = 0;

  producer_ack_state(caf::event_based_actor* of, tree_context_ptr in, const role_keys& keys,
                     std::shared_ptr<const producer_options> with, std::shared_ptr<const protocol::encryptor> by,
                     caf::actor below)
    : self{of},
      tree{std::move(in)},
      key{keys.acknowledger()},
      options{std::move(with)},
      encrypts{std::move(by)},
      supervisor{std::move(below)},
      ledger{to_string(keys.topic()), options->max_pending, options->send_timeout, encrypts,
             tree->metrics.of(keys.socket())},
      desk{producing_of(*tree, *options)} {
    if (!options->effectively_once)
      return;
    numbers.emplace();
    take_new_name(); // what an earlier ledger sent is nobody's to number any more
  }

  producer_ack_state(const producer_ack_state&) = delete;
  producer_ack_state& operator=(const producer_ack_state&) = delete;
  ~producer_ack_state() { desk.of()->leave(self->address()); }

  auto now() { return self->clock().now(); }
  /// Not where it would run what is the application's: the functions that take receipts, or a reader of keys.
  [[nodiscard]] bool may_run_inline(inline_host on) const {
    return connection != 0 && !encrypts && !drain_to && (on == inline_host::caller || desk.of()->callbacks == 0);
  }

  void on_publications(publications& m) {
    for (auto& item : m.items)
      ledger.publish(std::move(item), m.waits_for_room, now());
    after_change();
  }

  // -- for actors

  static std::shared_ptr<producing> producing_of(const tree_context& in, const producer_options& o) {
    if (auto known = in.plan.producing_to(o.topic))
      return known;
    return std::make_shared<producing>(to_string(o.topic), o.send_timeout, o.max_pending, in.description.log);
  }

  void take(const caf::actor_addr& of, message content, receipt_listener answer) {
    const bool fits = desk.enter(of);
    answer = traced(*tree, options->topic, content, std::move(answer));
    auto item = std::make_shared<publication>(std::move(content), std::move(answer), desk.of(), fits);
    if (fits)
      ledger.publish(std::move(item), true, now());
    else
      item->answer(queue_full(*desk.of()));
  }

  /// Of what is being handled; a response promise takes it away.
  [[nodiscard]] caf::actor_addr sender() const { return caf::actor_cast<caf::actor_addr>(self->current_sender()); }

  caf::response_promise on_publish(message content) {
    const auto who = sender();
    auto promise = self->make_response_promise();
    take(who, std::move(content), [promise, who, tree = tree, key = key](caf::expected<message_id> answer) mutable {
      if (who && has_ended(caf::actor_cast<caf::actor>(who)))
        tree->say(log_level::info, key,
                  "whoever produced a message has ended before its answer came, which is: "
                    + (answer ? "stored as " + answer->value : describe(answer.error())));
      fulfil(promise, std::move(answer));
    });
    after_change();
    return promise;
  }

  caf::response_promise on_publish_all(std::vector<message> contents) {
    const auto who = sender();
    auto promise = self->make_response_promise();
    struct gathering {
      published result;
      std::size_t missing;
    };
    const auto all = std::make_shared<gathering>(gathering{
      {std::vector<caf::expected<message_id>>(contents.size(), make_error(errc::outcome_unknown, "no answer"))},
      contents.size()});
    if (contents.empty())
      promise.deliver(published{});
    for (std::size_t i = 0; i < contents.size(); ++i)
      take(who, std::move(contents[i]), [all, i, promise](caf::expected<message_id> answer) mutable {
        all->result.answers[i] = std::move(answer);
        if (--all->missing == 0)
          promise.deliver(std::move(all->result));
      });
    after_change();
    return promise;
  }

  caf::response_promise on_wait_for_room(std::size_t messages) {
    const auto who = caf::actor_cast<caf::actor>(sender());
    auto promise = self->make_response_promise();
    if (who && watched.insert(who.address()).second)
      monitor(self, who);
    desk.ask(who.address(), messages,
             [promise](caf::expected<room> answer) mutable { fulfil(promise, std::move(answer)); });
    return promise;
  }

  /// What has to be looked at whenever the ledger has changed. Frames go out together at the end of what is in the
  /// mailbox now.
  void after_change() {
    desk.of()->set_pending(ledger.pending());
    if (connection != 0 && !flush_pending) {
      flush_pending = has_mail(self);
      if (flush_pending)
        send(self, caf::actor_cast<caf::actor>(self), flush{});
      else
        hand_over(ledger.take_new());
    }
    const auto next = ledger.next_expiry();
    if (next && (!alarm || *next < *alarm)) {
      alarm = next;
      const auto wait = std::max(*next - now(), ledger::clock::duration::zero());
      send_later(self, std::chrono::ceil<std::chrono::milliseconds>(wait), expire{++alarm_generation});
    }
    desk.serve();
    if (drain_to && ledger.is_empty())
      send(self, std::exchange(drain_to, nullptr), drained{caf::actor_cast<caf::actor>(self)});
  }

  void hand_over(std::vector<connection::frame> frames) {
    const auto to = frames.empty() ? nullptr : link.lock();
    if (to)
      to->send(std::move(frames));
  }

  void on_frames(frames_in& m) {
    if (m.connection != connection)
      return;
    const auto came = now();
    for (auto& frame : m.frames) {
      auto answer = protocol::decode_receipt(frame);
      if (!answer)
        return begin_anew(answer.error());
      if (const auto* nameless = std::get_if<protocol::nameless_failure>(&*answer))
        return give_up_transmitted(make_error(
          errc::protocol_violation, "the broker could not read a message and did not say which: " + nameless->failure));
      auto& receipt = std::get<protocol::receipt>(*answer);
      if (numbers && receipt.sequence > ledger.first())
        return begin_anew(make_error(errc::protocol_violation, "a receipt overtook one before it"));
      if (receipt.failure.empty()) {
        if (ledger.stored(receipt.sequence, std::move(receipt.id), came) && !std::exchange(progressed, true))
          send(self, socket, progress{connection});
        continue;
      }
      if (protocol::is_end_of_producer(receipt.failure))
        return begin_anew(make_error(errc::connection_lost, "the broker has ended its producer: " + receipt.failure));
      ledger.rejected(receipt.sequence, receipt.failure);
      if (numbers) // a message that was refused may or may not have been numbered
        return give_up_transmitted(make_error(errc::rejected, "a message before it was refused: " + receipt.failure));
    }
    after_change();
  }

  /// The connection is of no use: a new one sends again what is unanswered.
  void begin_anew(const caf::error& why) {
    tree->say(log_level::error, key, describe(why) + "; the connection is given up, and what is unanswered sent again");
    reset(why);
  }

  /// Nobody can tell any more what the broker makes of what was transmitted; sending that again might go wrong again.
  void give_up_transmitted(const caf::error& why) {
    tree->say(log_level::error, key,
              describe(why) + "; the connection is given up, and what was sent has an unknown outcome");
    ledger.give_up_transmitted(describe(why));
    if (numbers)
      take_new_name();
    reset(why);
  }

  void take_new_name() {
    static constexpr char digits[] = "0123456789abcdef";
    auto known_as = options->producer_name.value_or("stargate") + "-";
    for (auto bits = tree->world->random(), i = std::uint64_t{0}; i < 16; ++i, bits >>= 4)
      known_as += digits[bits & 15];
    numbers->begin_anew(std::move(known_as), ledger.first());
  }

  void reset(const caf::error& why) {
    link.reset();
    send(self, socket, reset_connection{std::exchange(connection, 0), why});
    after_change();
  }

  // -- the socket

  /// What a handshake says: which producer this is, and where it goes on.
  caf::expected<std::string> path() {
    auto with = *options;
    if (numbers) {
      auto start = numbers->connect(ledger.first());
      with.producer_name = std::move(start.producer_name);
      with.initial_sequence_id = start.initial_sequence_id;
    }
    auto result = protocol::request_path(with);
    if (!encrypts)
      return result;
    auto parameter = encrypts->parameter();
    if (!parameter)
      return make_error(errc::crypto_failed, to_string(options->topic) + ": " + context_of(parameter.error()));
    return result + (result.find('?') == std::string::npos ? "?" : "&")
           + "encryptionKeys=" + protocol::percent_encode(*parameter);
  }

  void on_wanted(const handshake_wanted& m) {
    adopt(m.socket);
    lose_connection();
    attempt = m.connection;
    send(self, socket, handshake{attempt, path()});
  }

  void adopt(const caf::actor& who) {
    if (socket == who)
      return;
    lose_socket();
    socket = who;
    monitor(self, socket);
  }

  void lose_connection() {
    held.reset();
    link.reset();
    connection = 0;
    attempt = 0;
    progressed = false;
  }

  /// It may have had no time to say so. One that drained is followed by one that does not, unless all of this ends.
  void lose_socket() {
    lose_connection();
    socket = nullptr;
    drain_to = nullptr;
    ledger.open();
  }

  void on_up(const link_up& m) {
    if (m.connection != attempt)
      return;
    if (!is_fit && needs_check(*options)) {
      if (!std::exchange(held, m))
        check_fitness(tree, *options, caf::actor_cast<caf::actor>(self));
      return;
    }
    connection = m.connection;
    link = m.link;
    desk.of()->set_link(m.link);
    // Messages may have been given up while it connected: then it would number the others wrongly.
    if (numbers && !numbers->holds(ledger.first()))
      return reset(make_error(errc::connection_lost, "messages were given up while it connected"));
    if (numbers) {
      const auto socket_key = role_keys_of(*options).socket();
      tree->board.set(socket_key, m.socket.id(), socket_phase::connected);
      tree->events.tell({.what = event::kind::connected, .key = socket_key});
    }
    hand_over(ledger.take_all());
  }

  void on_checked(const caf::error& why_not) {
    const auto m = std::exchange(held, std::nullopt);
    is_fit = !why_not;
    if (!m)
      return;
    if (why_not)
      return send(self, m->socket, refuse_connection{m->connection, why_not});
    on_up(*m);
  }

  void on_expire() {
    alarm.reset();
    const auto unsent = ledger.expire(now());
    if (numbers && connection != 0 && unsent > 0) // the broker would give their numbers to those behind them
      return reset(make_error(errc::connection_lost, "messages were given up before they were sent"));
    after_change();
  }

  caf::behavior make_behavior() {
    join_tree(self, tree, key, supervisor, [this] {
      desk.of()->enter(caf::actor_cast<caf::actor>(self));
      return true;
    });
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr& who, const caf::error&) {
      if (socket && socket.address() == who)
        lose_socket();
      if (watched.erase(who) > 0)
        desk.forget(who);
    };
    return behave(
      self, std::move(signals), [this](publications& m) { on_publications(m); }, // the most frequent first
      [this](frames_in& m) { on_frames(m); }, [this](publish& m) { return on_publish(std::move(m.content)); },
      [this](publish_all& m) { return on_publish_all(std::move(m.contents)); },
      [this](const wait_for_room& m) { return on_wait_for_room(m.messages); },
      [this](const handshake_wanted& m) { on_wanted(m); }, [this](const link_up& m) { on_up(m); },
      [this](const fitness_checked& m) { on_checked(m.why_not); },
      [this](const link_down& m) {
        if (m.connection == attempt)
          lose_connection();
      },
      [this](flush) {
        flush_pending = false;
        if (connection != 0)
          hand_over(ledger.take_new());
      },
      [this](const expire& m) {
        if (m.generation == alarm_generation)
          on_expire();
      },
      [this](report_vitals) { return vitals_of(self, ledger.pending(), ledger.waiting()); },
      [this](const drain& m) {
        if (has_ended(m.answer_to))
          return; // and its successor may be here already
        adopt(m.answer_to);
        ledger.close();
        drain_to = m.answer_to;
        after_change();
      });
  }
};

} // namespace

caf::actor spawn_producer_ack(tree_context_ptr tree, role_keys keys, std::shared_ptr<const producer_options> options,
                              std::shared_ptr<const protocol::encryptor> encrypts, caf::actor supervisor) {
  const auto here = tree;
  return here->counted(spawn_state<producer_ack_state>(here->system, std::move(tree), std::move(keys),
                                                       std::move(options), std::move(encrypts), std::move(supervisor)));
}

} // namespace stargate::internal
