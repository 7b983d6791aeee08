// The burial of one message: it is produced to the dead-letter topic, and acknowledged once it is stored there.
//
// accepts  produced, for its copy; link_up and link_down of the connection by which it has the topic held
// sends    publish to the producer of the dead-letter topic; by the message itself, its acknowledgement
// dies of  the message being settled; the end of the consumer or reader that received it: then it comes again
//
// A consumer's message that cannot be buried goes back to the broker. A reader cannot give one back, so that is tried
// again, for as long as the reader lives.
#include "actors/receiver/dead_letter.hpp"

#include "actors/producer/messages.hpp"
#include "actors/receiver/messages.hpp"
#include "actors/shared/apart.hpp"
#include "actors/shared/to_actor.hpp"
#include "libstargate/protocol/option_table.hpp"

#include <stargate/admin.hpp>

#include <algorithm>
#include <utility>

namespace stargate::internal {

namespace {

constexpr std::chrono::milliseconds first_wait{100}, longest_wait{5'000};
constexpr std::chrono::milliseconds patience{10'000}; // with a question to the broker's administration

struct burial_state {
  static inline const char* name = "stargate.burial";

  caf::event_based_actor* const self;
  caf::actor myself; ///< Nobody else keeps it while it waits. It goes with the state when the actor ends.
  const tree_context_ptr tree;
  const receiver_ptr receiver;
  const received_message original;
  const std::string why;
  const std::shared_ptr<pipeline_metrics> counts = tree->metrics.of(receiver->keys.socket());
  std::chrono::milliseconds wait = first_wait;
  std::unique_ptr<connection::link> holding;
  bool is_held = false;
  bool asks = false; ///< Whether somebody else has made the subscription.

  burial_state(caf::event_based_actor* of, tree_context_ptr in, receiver_ptr whose, received_message message,
               std::string reason)
    : self{of},
      myself{caf::actor_cast<caf::actor>(of)},
      tree{std::move(in)},
      receiver{std::move(whose)},
      original{std::move(message)},
      why{std::move(reason)} {}
  burial_state(const burial_state&) = delete;
  burial_state& operator=(const burial_state&) = delete;
  ~burial_state() {
    if (holding || asks)
      tree->holds.given_up(to_string(receiver->dead_letters));
  }

  [[nodiscard]] std::string topic() const { return to_string(receiver->dead_letters); }

  /// Nobody keeps what stands on a topic without a subscription: the broker deletes the topic with it (apache/pulsar
  /// 13408). So the topic gets one before the first message.
  void go_on() {
    if (has_ended(original.origin->acknowledger) || tree->board.why_ended())
      return self->quit();
    if (receiver->dead_letter_subscription.empty() || receiver->dead_letters.persistence == persistence::non_persistent)
      return produce();
    switch (tree->holds.look(topic())) {
      case topic_holds::held: return produce();
      case topic_holds::busy: return later([this] { go_on(); }, first_wait);
      case topic_holds::yours: return hold();
    }
  }

  void hold() {
    consumer_options o;
    o.topic = receiver->dead_letters;
    o.subscription = receiver->dead_letter_subscription;
    o.type = subscription_type::shared;
    o.position = initial_position::earliest;
    o.pull_mode = true; // and no permit: it takes nothing
    auto to =
      endpoint_to(tree->description, tree->description.hosts[tree->world->random() % tree->description.hosts.size()],
                  protocol::request_path(o));
    if (!to) {
      tree->holds.given_up(topic());
      return failed(to.error());
    }
    holding = tree->transport->connect(std::move(*to), std::make_unique<to_actor>(self->address(), 1));
  }

  void on_held() {
    tree->holds.done(topic());
    is_held = true;
    holding = nullptr; // the subscription stays
    produce();
  }

  void on_not_held(const connection::ended& end) {
    if (is_held || !holding)
      return;
    holding = nullptr;
    constexpr int conflict = 409; // somebody else is on it, or the topic has another schema
    if (end.how == connection::end::refused && end.status == conflict)
      return ask_whether_held();
    not_held("status " + std::to_string(end.status) + ", " + end.text);
  }

  void ask_whether_held() {
    asks = true;
    run_apart(tree, [this, tree = tree, receiver = receiver, to = self->address()] {
      const auto there = tree->world->make_admin(tree->description, patience).subscriptions(receiver->dead_letters);
      const auto& wanted = receiver->dead_letter_subscription;
      std::string why_not;
      if (!there)
        why_not = "status 409, and whether it exists could not be asked: " + describe(there.error())
                  + "; let who reads dead letters do so with a shared subscription";
      else if (std::find(there->begin(), there->end(), wanted) == there->end())
        why_not = "status 409, and it does not exist: does the topic have a schema?";
      if (const auto who = caf::actor_cast<caf::actor>(to)) // by which it runs, or not at all
        post(who, deferred{[this, why_not] {
               asks = false;
               if (why_not.empty())
                 on_held();
               else
                 not_held(why_not);
             }});
    });
  }

  void not_held(const std::string& how) {
    tree->holds.given_up(topic());
    failed(make_error(errc::broker_unavailable, topic() + ": no subscription '" + receiver->dead_letter_subscription
                                                  + "' could be made to keep dead letters (" + how + ")"));
  }

  void produce() {
    message copy{.payload = original.payload, .key = original.key, .properties = original.properties};
    copy.event_time = original.event_time;
    copy.properties["REAL_TOPIC"] = to_string(original.topic());
    copy.properties["ORIGIN_MESSAGE_ID"] = original.id.value;
    copy.properties["EXCEPTION"] = why;
    const role_keys keys{role::producer, receiver->dead_letters, {}};
    const auto acknowledger = tree->registry().whereis(keys.acknowledger());
    if (!acknowledger) {
      const auto gone = tree->why_gone(keys.supervisor());
      return failed(gone ? gone : make_error(errc::not_sent, topic() + ": the producer is being restarted"));
    }
    publications batch;
    batch.waits_for_room = true;
    batch.items.push_back(std::make_shared<publication>(
      std::move(copy), [to = caf::actor_cast<caf::actor>(self)](caf::expected<message_id> answer) {
        produced result;
        if (answer)
          result.id = std::move(*answer);
        else
          result.failure = std::move(answer.error());
        post(to, std::move(result));
      }));
    send(self, acknowledger, std::move(batch));
  }

  void on_answer(const produced& answer) {
    if (answer.failure)
      return failed(answer.failure);
    original.acknowledge();
    counts->dead_lettered.add();
    tree->events.tell({.what = event::kind::dead_lettered,
                       .key = receiver->keys.supervisor(),
                       .why = make_error(errc::handler_failed, why),
                       .message = original.id});
    self->quit();
  }

  void failed(const caf::error& how) {
    tree->say(log_level::error, receiver->keys.supervisor(),
              "message " + original.id.value + " is not on the dead-letter topic: " + describe(how));
    if (!receiver->position) {
      original.negative_acknowledge();
      return self->quit();
    }
    later([this] { go_on(); }, std::exchange(wait, std::min(2 * wait, longest_wait)));
  }

  void later(std::function<void()> what, std::chrono::milliseconds delay) {
    send_later(self, delay, deferred{std::move(what)});
  }

  caf::behavior make_behavior() {
    go_on();
    return behave(
      self, {}, [this](const produced& answer) { on_answer(answer); }, [this](const link_up&) { on_held(); },
      [](const frames_in&) {}, [this](const link_down& end) { on_not_held(end.why); });
  }
};

} // namespace

void bury(const tree_context_ptr& tree, const receiver_ptr& receiver, const received_message& message,
          const std::string& why) {
  tree->counted(spawn_state<burial_state>(tree->system, tree, receiver, message, why));
}

} // namespace stargate::internal
