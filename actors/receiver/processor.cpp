// A processor of a consumer or reader: it decodes messages and runs the application's handler on them.
//
// accepts  deliver link_down drain from the dispatcher; report_vitals from anybody; handle_next batch_due look_after
//          from itself; exit messages
// sends    ask drained to the dispatcher; settle to the acknowledger; child_started to its supervisor; message_batch to
//          the actor that messages are delivered to, if it is one
// dies of  an exception out of the handler, unless on_failure says otherwise; a frame that is not a message; its
//          dispatcher's end; an exit message, between two messages
//
// It works in slices of time: between them it sees what else has come, such as an exit message, and what it has
// settled goes out together.
#include "actors/receiver/processor.hpp"

#include "actors/receiver/beside_connection.hpp"
#include "actors/receiver/dead_letter.hpp"
#include "actors/receiver/messages.hpp"
#include "actors/receiver/own_handler.hpp"
#include "actors/shared/inline_execution.hpp"
#include "actors/shared/join.hpp"
#include "actors/shared/spans.hpp"
#include "libstargate/base/late_deque.hpp"
#include "libstargate/protocol/crypto.hpp"
#include "libstargate/protocol/frames.hpp"

#include <stargate/vitals.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
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

  caf::event_based_actor* const self;
  const tree_context_ptr tree;
  const receiver_ptr receiver;
  const std::size_t index;
  const std::string key = receiver->keys.processor(index);
  const caf::actor supervisor;

  const std::shared_ptr<pipeline_metrics> counts = tree->metrics.of(receiver->keys.socket());
  std::unique_ptr<message_handler> handler; ///< Empty where messages go to an actor.
  taking_handler* taker = nullptr;          ///< The handler, if it is one to which messages are given away.
  caf::actor dispatcher;
  late_deque<queued> queue;
  internal::environment::clock::time_point now; ///< Of the slice: as late as was looked.
  std::size_t owed = 0; ///< Asked for and not handled yet: at the dispatcher, on the way, or in the queue.
  handling_spans spans; ///< Of what is in hand.
  bool scheduled = false;
  bool ended = false;
  std::uint32_t times_long = 0; ///< How often in succession the handler took long.
  const std::shared_ptr<handling> in_hand = receiver->handler_timeout.count() > 0 ? std::make_shared<handling>()
                                                                                  : nullptr;
  std::vector<received_message> gathered; ///< A batch that is not full yet.
  /// Whether messages go to an actor; how many are a batch; and whether one that is not full waits to become so.
  const bool delivers = static_cast<bool>(receiver->handler.actor());
  const bool gathers = receiver->batch_size > 1;
  const std::size_t full = delivers && !gathers ? receiver->max_demand : receiver->batch_size;
  std::uint64_t batch_generation = 0;
  beside_connection place;
  std::shared_ptr<const delivery> settled_origin;
  std::vector<settled> unsent;

  // Where messages go to an actor:
  caf::actor target;                              ///< The one that has a batch, or had the last one.
  std::vector<received_message> delivered;        ///< What it has in hand.
  std::uint64_t batch_number = 0;                 ///< Of that; what is said of another one comes too late.
  std::chrono::steady_clock::time_point deadline; ///< Of that.
  internal::environment::clock::time_point delivered_at;
  bool alarm_is_set = false;
  bool looking = false; ///< For an actor under the name.
  bool told_nobody_is_there = false;
  caf::actor drain_to; ///< Who waits for what is in hand.

  processor_state(caf::event_based_actor* of, tree_context_ptr in, receiver_ptr whose, std::size_t which,
                  caf::actor below)
    : self{of},
      tree{std::move(in)},
      receiver{std::move(whose)},
      index{which},
      supervisor{std::move(below)} {}

  bool ready() {
    dispatcher = tree->registry().whereis(receiver->keys.dispatcher());
    if (!dispatcher) {
      self->quit(make_error(exit_code::owner_down, "there is no dispatcher"));
      return false;
    }
    monitor(self, dispatcher);
    const auto thrown = thrown_by([this] {
      if (delivers)
        return;
      handler = receiver->handler();
      if (!handler)
        throw std::runtime_error{"the factory of handlers gave none"};
      taker = dynamic_cast<taking_handler*>(handler.get());
      handler->init({receiver->keys.topic(), receiver->keys.processor_component(index), index, tree->weak()});
    });
    if (thrown)
      crash(make_error(errc::handler_failed, key + ": init threw: " + *thrown));
    else
      ask_for_more();
    return !thrown;
  }

  /// Runs a piece of the application. Gives the text of what it threw, nothing if it did not.
  template <class F>
  static std::optional<std::string> thrown_by(F run) {
    try {
      run();
      return std::nullopt;
    } catch (const std::exception& e) {
      return e.what();
    } catch (...) {
      return "what is not a std::exception";
    }
  }

  void crash(const caf::error& why) {
    send_settled();
    tree->say(log_level::error, key, describe(why));
    self->quit(why);
    ended = true;
  }

  void ask_for_more() {
    if (owed > receiver->min_demand)
      return;
    const auto more = receiver->max_demand - owed;
    owed += more;
    send(self, dispatcher, ask{caf::actor_cast<caf::actor>(self), more, index, in_hand});
  }

  void schedule() {
    if (scheduled || queue.empty())
      return;
    scheduled = true;
    send(self, caf::actor_cast<caf::actor>(self), handle_next{});
  }

  void on_deliver(deliver& m) {
    std::size_t bytes = 0;
    for (auto& raw : m.messages) {
      bytes += raw.frame.size();
      queue.push_back({m.origin, std::move(raw)});
    }
    place.note(m.by, m.messages.size(), bytes, tree->now());
    if (scheduled || has_mail(self))
      schedule();
    else
      handle_slice();
  }

  void handle_slice() {
    scheduled = false;
    now = tree->now();
    const auto until = now + slice;
    while (!queue.empty() && !ended && !is_with_actor()) {
      auto next = std::move(queue.front());
      queue.pop_front();
      const auto before = now;
      take(next);
      if (now == before) // nothing was handled
        now = tree->now();
      if (now >= until)
        break;
    }
    if (ended)
      return;
    if (delivers && !gathers)
      handle_gathered(); // what has come
    send_settled();
    ask_for_more();
    if (!is_with_actor())
      schedule();
    wait_beside_connection();
  }

  /// On a thread on which it may, with no other processor to read for, and few that want this thread.
  void wait_beside_connection() {
    auto* mail = receiver->processors == 1 ? dynamic_cast<mail_bell*>(self) : nullptr;
    if (mail == nullptr || is_with_actor())
      return;
    place.note_turns(tree->handler_threads->turns());
    if (scheduled)
      place.work_on();
    else if (place.wait(*mail, [this] { return has_mail(self); })) { // and again, when that was taken
      scheduled = true;
      send(self, caf::actor_cast<caf::actor>(self), handle_next{});
    }
  }

  /// Decodes a message, and handles it with those that were gathered before when they are enough.
  void take(queued& next) {
    auto decoded = protocol::decode_delivery(next.raw.frame);
    if (!decoded)
      return crash(
        make_error(errc::protocol_violation, to_string(receiver->keys.topic()) + ": " + context_of(decoded.error())));
    if (const auto* oversized = std::get_if<protocol::oversized_message>(&*decoded))
      return pass_over(*oversized, next);
    auto* message = std::get_if<received_message>(&*decoded);
    if (message == nullptr) { // an answer about the topic's end, which nobody waits for
      --owed;
      return;
    }
    message->sequence = next.raw.sequence;
    message->origin = std::move(next.origin);
    if (message->encryption && !open(*message)) {
      --owed;
      return;
    }
    if (message->redelivery_count > 0)
      counts->redelivered.add();
    gathered.push_back(std::move(*message));
    if (gathered.size() >= full)
      handle_gathered();
    else if (gathers && gathered.size() == 1)
      send_later(self, receiver->batch_delay, batch_due{++batch_generation});
  }

  /// A message that is larger than this tree takes. A reader reads on; a subscription keeps it, so that nothing is
  /// lost, and sends it again with its next connection only.
  void pass_over(const protocol::oversized_message& what, queued& of) {
    --owed;
    tree->say(log_level::error, key,
              describe(make_error(errc::message_too_large,
                                  "message " + what.id.value + " of " + to_string(receiver->keys.topic()) + " comes in "
                                    + std::to_string(what.size) + " bytes, which is more than max_frame_size ("
                                    + std::to_string(tree->description.max_frame_size) + "): it is not handled, "
                                    + (receiver->position ? "and passed over" : "and stays on its subscription"))));
    received_message message;
    message.id = what.id;
    message.sequence = of.raw.sequence;
    message.origin = std::move(of.origin);
    settle_later(message, receiver->position ? disposition::ack : disposition::continue_);
  }

  /// Decrypts a message. False when that fails and the handler is not to see it.
  bool open(received_message& message) {
    if (!receiver->decrypts && receiver->on_crypto_failure == crypto_failure_action::consume)
      return true;
    const auto wrong = receiver->decrypts ? receiver->decrypts->open(message) : protocol::decryptor{{}}.open(message);
    if (!wrong)
      return true;
    tree->say(log_level::error, key, "message " + message.id.value + ": " + describe(wrong));
    switch (receiver->on_crypto_failure) {
      case crypto_failure_action::fail: settle_later(message, disposition::continue_); return false;
      case crypto_failure_action::discard: settle_later(message, disposition::ack); return false;
      case crypto_failure_action::consume: return true;
    }
    return false;
  }

  void handle_gathered() {
    ++batch_generation;
    looking = false;
    if (gathered.empty())
      return;
    if (delivers)
      return deliver_gathered();
    const auto count = gathered.size();
    const bool limited = receiver->handler_timeout.count() > 0;
    std::vector<received_message> kept; // of what the handler takes
    if (taker != nullptr)
      kept = kept_of(gathered);
    const auto began = tree->now();
    const own_handler inside{tree.get()};
    std::vector<disposition> answers;
    spans.begin(tree, gathered);
    if (limited)
      in_hand->begin(taker != nullptr ? kept : gathered, began + receiver->handler_timeout);
    if (times_long > 1) // once it may have been kept from running
      handler_threads::step_aside();
    const auto failure = thrown_by([&] {
      const trace_in_hand traced{spans};
      answers = run_handler();
      if (answers.size() != count)
        throw std::runtime_error{"it gave " + std::to_string(answers.size()) + " answers for " + std::to_string(count)
                                 + " messages"};
    });
    now = tree->now();
    counts->handlers.add(now - began);
    times_long = now - began > handler_threads::lengthy ? times_long + 1 : 0;
    const bool is_ours = !limited || in_hand->finish();
    spans.end(failure ? make_error(errc::handler_failed, *failure) : caf::error{});
    auto handled = std::exchange(gathered, {});
    owed -= count;
    if (!is_ours)
      return; // it took too long: somebody else has decided about these messages
    const auto& messages = taker != nullptr ? kept : handled;
    if (failure)
      return on_failure(messages, *failure);
    for (std::size_t i = 0; i < count; ++i)
      settle_later(messages[i], answers[i]);
    for (auto& message : handled)
      tree->frame_memory->leave(std::move(message.payload));
  }

  /// On what was gathered; a handler that takes its messages leaves what it likes of them.
  std::vector<disposition> run_handler() {
    const bool single = receiver->batch_size == 1;
    if (taker != nullptr)
      return single ? std::vector{taker->take_message(std::move(gathered.front()))}
                    : taker->take_batch(std::move(gathered));
    return single ? std::vector{handler->handle_message(gathered.front())} : handler->handle_batch(gathered);
  }

  /// Of messages that others get, what is needed to settle them, and to put them on the dead-letter topic.
  [[nodiscard]] std::vector<received_message> kept_of(const std::vector<received_message>& messages) const {
    if (receiver->on_failure == failure_action::dead_letter)
      return messages;
    std::vector<received_message> result;
    result.reserve(messages.size());
    std::transform(messages.begin(), messages.end(), std::back_inserter(result), without_content);
    return result;
  }

  // -- where messages go to an actor

  [[nodiscard]] bool is_with_actor() const { return looking || !delivered.empty(); }

  void deliver_gathered() {
    const auto who = receiver->handler.actor()(tree->registry());
    if (!who || has_ended(who))
      return look_again(who);
    told_nobody_is_there = false;
    if (target != who) {
      target = who;
      monitor(self, target);
    }
    spans.begin(tree, gathered);
    message_batch batch{std::exchange(gathered, {})};
    delivered = kept_of(batch.messages);
    const auto number = ++batch_number;
    delivered_at = tree->now();
    deadline = delivered_at + receiver->handler_timeout;
    set_alarm();
    request_for_ever(self, target, std::move(batch))
      .then(
        [this, number](dispositions& answer) {
          if (number == batch_number)
            on_dispositions(answer);
        },
        [this, number](const caf::error& why) {
          if (number == batch_number)
            on_delivery_failed(describe(why));
        });
  }

  /// There is one alarm at a time, however many batches come and go.
  void set_alarm() {
    if (receiver->handler_timeout.count() > 0 && !std::exchange(alarm_is_set, true))
      send_later(self, deadline - tree->now(), look_after{});
  }

  void on_alarm() {
    alarm_is_set = false;
    if (delivered.empty())
      return;
    if (tree->now() < deadline)
      return set_alarm();
    on_delivery_failed("it did not answer within handler_timeout, " + std::to_string(receiver->handler_timeout.count())
                       + " ms");
  }

  /// Nobody has the name now: what is to be delivered waits.
  void look_again(const caf::actor& ended_one) {
    constexpr std::chrono::milliseconds interval{50};
    looking = true;
    if (!std::exchange(told_nobody_is_there, true))
      tree->say(log_level::warning, key,
                ended_one ? "the actor that messages are delivered to has ended; they wait for its successor"
                          : "no actor has the name that messages are delivered to; they wait");
    send_later(self, interval, batch_due{++batch_generation});
  }

  void on_dispositions(dispositions& answer) {
    const auto count = delivered.size();
    counts->handlers.add(tree->now() - delivered_at);
    spans.end({});
    if (answer.each.size() == 1)
      answer.each.resize(count, answer.each.front());
    if (answer.each.size() != count)
      return on_delivery_failed("it gave " + std::to_string(answer.each.size()) + " answers for "
                                + std::to_string(count) + " messages");
    for (std::size_t i = 0; i < count; ++i)
      settle_later(delivered[i], answer.each[i]);
    end_delivery();
  }

  void on_delivery_failed(const std::string& what) {
    spans.end(make_error(errc::handler_failed, what));
    fail(delivered, make_error(errc::handler_failed, key + ": the actor that has the messages failed: " + what));
    if (!ended)
      end_delivery();
  }

  void end_delivery() {
    owed -= delivered.size();
    delivered.clear();
    ++batch_number;
    send_settled();
    if (drain_to)
      return send(self, std::exchange(drain_to, nullptr), drained{caf::actor_cast<caf::actor>(self)});
    ask_for_more();
    schedule();
  }

  // -- failures

  void on_failure(const std::vector<received_message>& messages, const std::string& what) {
    fail(messages,
         make_error(errc::handler_failed,
                    key + ": " + (receiver->batch_size == 1 ? "handle_message" : "handle_batch") + " threw: " + what));
  }

  void fail(const std::vector<received_message>& messages, const caf::error& why) {
    counts->handler_failures.add();
    for (const auto& m : messages)
      tree->events.tell({.what = event::kind::handler_failed, .key = key, .why = why, .message = m.id});
    if (receiver->on_failure == failure_action::crash)
      return crash(why);
    tree->say(log_level::error, key, describe(why));
    for (const auto& message : messages) {
      if (receiver->on_failure == failure_action::nack)
        settle_later(message, disposition::nack);
      else
        bury(tree, receiver, message, describe(why));
    }
  }

  void settle_later(const received_message& of, disposition what) {
    if (settled_origin != of.origin)
      send_settled();
    settled_origin = of.origin;
    unsent.push_back({of.sequence, of.id, what});
  }

  void send_settled() {
    if (unsent.empty())
      return;
    settle m{settled_origin->connection, std::exchange(unsent, {})};
    if (tree->world->has_threads()) // carried to the socket by this thread, which is awake
      post_and_run(settled_origin->acknowledger, inline_host::caller, std::move(m));
    else
      send(self, settled_origin->acknowledger, std::move(m));
  }

  void drop_queue() {
    owed -= queue.size() + gathered.size();
    queue.clear();
    gathered.clear();
  }

  caf::behavior make_behavior() {
    // A predecessor whose handler hangs cannot be ended.
    join_tree(
      self, tree, key, supervisor, [this] { return ready(); }, name_claim::by_force);
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr& who, const caf::error& why) {
      if (dispatcher && dispatcher.address() == who)
        return self->quit(make_error(exit_code::owner_down, "the dispatcher has ended"));
      if (!target || target.address() != who)
        return;
      target = nullptr;
      if (!delivered.empty())
        on_delivery_failed("it ended: " + describe(why));
    };
    return behave(
      self, std::move(signals), [this](deliver& m) { on_deliver(m); }, [this](handle_next) { handle_slice(); },
      [this](const link_down& m) {
        place.leave();
        // The broker delivers again what was not acknowledged; handling it here as well would only do it twice.
        owed -= queue.erase_if([&](const queued& q) { return q.origin->connection <= m.connection; });
        owed -= std::erase_if(gathered, [&](const auto& g) { return g.origin->connection <= m.connection; });
        ask_for_more();
      },
      [this](const batch_due& m) {
        if (m.generation != batch_generation)
          return;
        handle_gathered();
        if (ended)
          return;
        send_settled();
        ask_for_more();
        if (!is_with_actor())
          schedule();
      },
      [this](look_after) { on_alarm(); },
      [this](report_vitals) {
        const auto here = queue.size() + gathered.size() + delivered.size();
        return vitals_of(self, here, owed - std::min(owed, here));
      },
      [this](const drain& m) {
        place.leave();
        drop_queue();
        send_settled();
        if (!delivered.empty())
          drain_to = m.answer_to; // when the actor has answered
        else
          send(self, m.answer_to, drained{caf::actor_cast<caf::actor>(self)});
      });
  }
};

} // namespace

caf::actor spawn_processor(tree_context_ptr tree, receiver_ptr receiver, std::size_t index, caf::actor supervisor) {
  const auto here = tree;
  if (receiver->run_on == run_on::own_thread && here->world->has_threads())
    return here->counted(spawn_hosted_state<processor_state>(here->system, here->handler_threads, std::move(tree),
                                                             std::move(receiver), index, std::move(supervisor)));
  return here->counted(
    spawn_state<processor_state>(here->system, std::move(tree), std::move(receiver), index, std::move(supervisor)));
}

} // namespace stargate::internal
