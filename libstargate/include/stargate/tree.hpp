/// @file
/// A running tree: producing, looking up, looking inside, stopping.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/event.hpp>
#include <stargate/export.hpp>
#include <stargate/key.hpp>
#include <stargate/message.hpp>
#include <stargate/options.hpp>
#include <stargate/producer.hpp>
#include <stargate/registry.hpp>
#include <stargate/supervisor.hpp>
#include <stargate/vitals.hpp>
#include <stargate/weak_tree.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace STARGATE_API stargate {
class tree;
}

namespace stargate::internal {
class environment;
class receipt_listener;
class tree_guard;
/// `start` and `tree_spec` in a world of the caller's: for simulations.
[[nodiscard]] caf::expected<tree> start_in(caf::actor_system& system, options o, std::shared_ptr<environment> world);
[[nodiscard]] child_spec tree_spec_in(options o, child_id id, restart when, std::shared_ptr<environment> world);
} // namespace stargate::internal

namespace STARGATE_API stargate {

/// Takes the answer to one message: the id under which it is stored, or an error.
/// @par Threads any thread, never the caller's own stack; it must not block. What it throws is logged and dropped.
using receipt_handler = std::function<void(caf::expected<message_id>)>;

/// One line of a tree's listing: a supervisor or a child of one.
struct tree_entry {
  std::size_t depth = 0;                    ///< 0 for the top supervisor.
  std::string key;                          ///< The actor's name in the registry.
  child_type type = child_type::worker;     ///< Whether it has children.
  child_state state = child_state::stopped; ///< What its supervisor does with it.
  std::string connection;                   ///< For a socket: `connected`, or what it does about it.
  std::uint64_t restarts = 0;               ///< How often it was started again.
  std::string last_exit;                    ///< Why it last ended, if it did.
  std::chrono::milliseconds uptime{0};      ///< How long it has run.
  std::optional<vitals> how; ///< What the actor says of itself; empty if it is not running, or too busy to answer.
};

/// What a tree looks like at one moment.
struct tree_snapshot {
  std::vector<tree_entry> entries; ///< Depth first, in start order.
  std::uint64_t restarts = 0;      ///< Failures answered with a restart, in all supervisors.
};

/// The listing as text, a line an entry.
[[nodiscard]] std::string to_string(const tree_snapshot& snapshot);

/// The listing as one JSON object: `restarts`, and `entries` with `depth`, `key`, `component`, `topic`, `type`,
/// `state`, `connection`, `restarts`, `lastExit` and `uptimeMs`, and `mailbox`, `inFlight` and `demand` of those who
/// answered.
[[nodiscard]] std::string to_json(const tree_snapshot& snapshot);

/// Selects keys: unset parts match any.
struct key_pattern {
  std::optional<std::string> component = {};             ///< What the actor is.
  std::optional<stargate::persistence> persistence = {}; ///< Of the topic.
  std::optional<std::string> tenant = {};                ///< Of the topic.
  std::optional<std::string> ns = {};                    ///< Of the topic: its namespace.
  std::optional<std::string> topic = {};                 ///< The topic's own name.
};

/// A handle to a running tree; an empty one answers every call with an error. The last copy to go stops the tree, and waits until it has stopped; on a thread on which
/// nobody may wait, such as an actor's on the scheduler, the tree stops by itself instead.
///
/// Every message that is handed to `produce` is answered exactly once: with the id under which the broker stored it,
/// with the reason why it is not stored, or with `errc::outcome_unknown` when the connection went before the receipt
/// came and the time was up. An answer of class `error_class::transient` other than `errc::outcome_unknown` means
/// that sending it again makes no duplicate.
///
/// @par Threads All members may be called from any thread. Those that wait refuse to on a thread of the actor system's
/// scheduler, where they would keep others from running: errc::would_block. A thread that waits for receipts may read
/// its connection meanwhile, and then be the one on which the log's hook and spans are called.
/// @par Errors of every call on a tree that has ended: errc::stopping, at once, with why it ended
class tree {
public:
  tree() = default;

  // -- producing --------------------------------------------------------------

  /// Produces one message and waits for its receipt. While `max_pending` messages await theirs, or the producer is
  /// being restarted, it waits for its turn.
  /// @par Errors errc::not_registered when the tree has no such producer; errc::invalid_message and
  /// errc::message_too_large; errc::rejected when the broker refused it; errc::not_sent, errc::outcome_unknown or
  /// errc::stopping, at the latest after the producer's `send_timeout`.
  [[nodiscard]] caf::expected<message_id> produce(const registry_key& producer, message content) const;
  /// A message of nothing but a payload. A template, so that `{.payload = …}` means a message.
  template <std::convertible_to<std::string> Payload>
  [[nodiscard]] caf::expected<message_id> produce(const registry_key& producer, Payload&& payload) const {
    return produce(producer, message{.payload = std::forward<Payload>(payload)});
  }
  /// Produces messages in order and waits for all receipts: an answer for each, in the order of the messages.
  template <std::same_as<std::vector<message>> Messages>
  [[nodiscard]] std::vector<caf::expected<message_id>> produce(const registry_key& producer, Messages contents) const {
    return produce_list(producer, std::move(contents));
  }

  /// Produces one message and returns at once; `answer` runs exactly once.
  /// @par Errors as above, and errc::queue_full when `max_pending` messages await their receipts.
  void produce(const registry_key& producer, message content, receipt_handler answer) const;
  /// Produces one message and returns at once; `answer_to` is sent a `produced` exactly once.
  void produce(const registry_key& producer, message content, const caf::actor& answer_to) const;
  /// Produces messages in order and returns at once; `answer` runs exactly once for each, with its place in the list.
  void produce(const registry_key& producer, std::vector<message> contents,
               std::function<void(std::size_t, caf::expected<message_id>)> answer) const;

  // -- looking up -------------------------------------------------------------

  /// The living actor under a key, or an empty handle. A restarted actor is found under its old key: look it up again
  /// instead of keeping the handle.
  [[nodiscard]] caf::actor whereis(const registry_key& key) const;
  /// Waits for a key to appear. @par Errors errc::timed_out
  [[nodiscard]] caf::expected<caf::actor> await(const registry_key& key, std::chrono::milliseconds timeout) const;
  /// The keys of living actors that match, sorted. The tree's own supervisors and its registry have no topic and are
  /// not among them.
  [[nodiscard]] std::vector<registry_key> keys(const key_pattern& pattern = {}) const;
  /// The registry, to register actors of one's own beside the tree's. It changes when the registry is restarted.
  [[nodiscard]] stargate::registry registry() const;

  // -- consumers and readers --------------------------------------------------

  /// Whether a terminated topic has been read to its end. @param receiver the key of a consumer or a reader
  /// @par Errors errc::not_registered; errc::timed_out when the broker did not answer in time, which it does not
  /// while there is no connection
  [[nodiscard]] caf::expected<bool> is_end_of_topic(const registry_key& receiver,
                                                    std::chrono::milliseconds timeout = std::chrono::seconds{10}) const;
  /// Gives up a consumer's subscription at the broker, and ends the consumer for good; the rest of the tree goes on.
  /// What it has in hand is not waited for. The broker does not answer, and keeps a subscription that another consumer
  /// is on. @param consumer the key of a consumer: `consumer/<subscription>` is its component
  /// @par Errors errc::not_registered; errc::timed_out when there was no connection in time: then it goes on
  [[nodiscard]] caf::error unsubscribe(const registry_key& consumer,
                                       std::chrono::milliseconds timeout = std::chrono::seconds{10}) const;

  // -- while it runs ----------------------------------------------------------

  /// Adds producers, consumers and readers, and starts them; they stay in the tree, whatever is restarted, until they
  /// are removed. They need not be connected yet: `wait_ready`.
  /// @par Errors errc::invalid_option with every mistake, such as a second producer of a topic: nothing is added then;
  /// errc::start_failed or errc::stopping
  [[nodiscard]] caf::error add(const pipelines& what) const;
  /// The same for one producer.
  [[nodiscard]] caf::error add(const producer_options& one) const { return add(pipelines{{one}, {}, {}}); }
  /// The same for one consumer.
  [[nodiscard]] caf::error add(const consumer_options& one) const { return add(pipelines{{}, {one}, {}}); }
  /// The same for one reader.
  [[nodiscard]] caf::error add(const reader_options& one) const { return add(pipelines{{}, {}, {one}}); }
  /// Adds a child of one's own beside those of the topics: it is restarted as they are, whatever is restarted, and is
  /// shown by `inspect`. One that is temporary never is: once it has ended, the next change of the tree forgets it, and
  /// another may have its id. Its `start_context::supervisor` is the supervisor of topics.
  /// @param answers_vitals whether it, and what is below it, answers `report_vitals`: then `inspect` asks
  /// @par Errors errc::invalid_child_spec; errc::child_present; errc::start_failed or errc::start_timeout, and it is not
  /// kept; errc::stopping
  [[nodiscard]] caf::error add(const child_spec& own, bool answers_vitals = false) const;
  /// Stops a child of one's own, and forgets it. @par Errors errc::child_not_found
  [[nodiscard]] caf::error remove(const child_id& own) const;
  /// Drains a producer, a consumer or a reader, and ends it for good. Its subscription stays at the broker;
  /// `unsubscribe` gives that up. @param key of its socket: `producer`, `consumer/<subscription>` or `reader` is the
  /// component
  /// @par Errors errc::child_not_found when it is not in the tree, or belongs to an instance of a template
  [[nodiscard]] caf::error remove(const registry_key& key) const;

  /// Starts what a template of the description makes of an argument, below a supervisor of its own.
  /// @par Errors errc::child_not_found for an unknown template; errc::child_running when this one is in the tree; as
  /// `add`
  /// @par Source OTP's `simple_one_for_one`, but found by its argument
  [[nodiscard]] caf::error start_child(const std::string& from, const std::string& argument) const;
  /// Drains all of it, and ends it for good. @par Errors errc::child_not_found
  [[nodiscard]] caf::error terminate_child(const std::string& from, const std::string& argument) const;

  /// Drains a producer, a consumer or a reader, or the whole instance of a template that it is part of, and starts it
  /// anew, also where it was drained before; a reader begins where its options say. It counts for no supervisor's
  /// intensity. @param key as for `remove`, and of an instance's socket
  /// @par Errors errc::child_not_found; as `add`; after errc::start_failed it is tried again until it has started
  [[nodiscard]] caf::error restart(const registry_key& key) const;
  /// Drains a producer, a consumer or a reader, or the whole instance of a template that it is part of, and keeps its
  /// place in the tree, where nothing runs until `restart`: whatever is restarted meanwhile, `wait_ready` does not wait
  /// for it, and who asks it for something is told so at once. @param key as for `restart`
  /// @par Errors errc::child_not_found; errc::stopping
  /// @par Source OTP's `terminate_child`, after which `restart_child` starts it again
  [[nodiscard]] caf::error drain(const registry_key& key) const;

  // -- looking inside ---------------------------------------------------------

  /// Tells an actor what happens in the tree: it is sent an `event` after the other, each by a request, and the next
  /// when it has handled the one before. Events wait for a slow listener, up to `most`; then the oldest are dropped, and
  /// the next says how many. On a tree that has ended it is told that.
  subscription subscribe(const caf::actor& listener, std::size_t most = 1000) const;
  /// The same by a function, which is called on a thread of the scheduler, once at a time: it must not block. What it
  /// throws is dropped.
  subscription subscribe(std::function<void(const event&)> listener, std::size_t most = 1000) const;

  /// Waits until every socket is connected.
  /// @par Errors The first refusal for good (a configuration error) at once; otherwise errc::timed_out with the
  /// sockets that are not connected, and why each is not.
  [[nodiscard]] caf::error wait_ready(std::chrono::milliseconds timeout) const;
  /// What the tree looks like now. A supervisor that does not answer within `timeout` is listed without its children;
  /// what other actors do not answer within a quarter of it is left out.
  [[nodiscard]] tree_snapshot inspect(std::chrono::milliseconds timeout = std::chrono::seconds{2}) const;
  /// Where the monitor listens, which `options::monitor` may leave to the system; nothing where there is none.
  [[nodiscard]] std::optional<std::uint16_t> monitor_port() const;
  /// The top supervisor, for those who supervise or monitor the tree themselves.
  [[nodiscard]] caf::actor supervisor() const;
  /// The tree's name, `options::name`.
  [[nodiscard]] const std::string& name() const;

  // -- stopping ---------------------------------------------------------------

  /// Stops the tree: receivers finish what is in hand and acknowledge, producers flush, sockets close; in reverse
  /// start order, each within `options::shutdown`, then by force. Does nothing if it has stopped.
  /// @par Errors errc::timed_out when it took longer than `timeout`; it was then killed.
  caf::error stop(std::chrono::milliseconds timeout = std::chrono::seconds{30}) const;

  /// Whether it is a handle to a tree, running or not.
  [[nodiscard]] explicit operator bool() const { return context_ != nullptr; }
  /// A handle that does not keep the tree running: for handlers, which the tree itself keeps.
  [[nodiscard]] weak_tree weak() const;

private:
  void hand_over(const registry_key& producer, std::vector<message> contents,
                 const std::function<internal::receipt_listener(std::size_t)>& answer) const;
  [[nodiscard]] std::vector<caf::expected<message_id>> produce_list(const registry_key& producer,
                                                                    std::vector<message> contents) const;

  friend caf::expected<tree> internal::start_in(caf::actor_system&, options, std::shared_ptr<internal::environment>);
  friend class weak_tree;
  std::shared_ptr<internal::tree_context> context_;
  std::shared_ptr<internal::tree_guard> guard_;
};

/// Starts a tree and returns when it stands. A broker that cannot be reached yet is no error: its sockets connect when
/// it can (`tree::wait_ready`). The actor system must outlive the tree; see `tree_scope`.
/// @par Threads any thread but one of the scheduler's; blocks until the tree stands
/// @par Errors errc::invalid_option with every mistake; errc::start_failed when an actor could not start.
[[nodiscard]] caf::expected<tree> start(caf::actor_system& system, options o);

/// Starts a tree and returns at once; `then` is told when it stands, or why it does not, on a thread of the scheduler.
/// @par Threads any thread, from within actors as well @par Errors as above
void start(caf::actor_system& system, options o, std::function<void(caf::expected<tree>)> then);

/// A tree as a child of anybody's supervisor: it starts below it, is stopped and restarted with it, and its handle is
/// had by its name (`find_tree`), anew after a restart. It stands when its supervisor goes on to the next child.
/// @param o as for `start`; what is wrong with them is a start that fails @param id empty: the tree's name
[[nodiscard]] child_spec tree_spec(options o, child_id id = {}, stargate::restart restart = restart::permanent);

/// The tree of a name that runs in an actor system; an empty handle when there is none. @par Threads any thread
[[nodiscard]] tree find_tree(const caf::actor_system& system, std::string_view name = "default");

/// Stops all trees of an actor system, one after the other, as `tree::stop` does.
/// @param timeout for all of them @par Threads any thread but one of the scheduler's
/// @par Errors errc::timed_out for the first that took longer; it was then killed
caf::error stop_all(caf::actor_system& system, std::chrono::milliseconds timeout = std::chrono::seconds{30});

/// Stops all trees of an actor system when it goes. The destructor of an actor system waits until all its actors have
/// ended, so it would wait for ever for a tree of which a handle is left. Declare one of these right behind the actor
/// system, and handles may live for as long as they like; a handle whose system has gone may only be destroyed.
/// @par Threads as `stop_all`
class [[nodiscard]] tree_scope {
public:
  /// Of which actor system.
  explicit tree_scope(caf::actor_system& system) : system_{system} {}
  tree_scope(const tree_scope&) = delete;
  tree_scope& operator=(const tree_scope&) = delete;
  ~tree_scope() { static_cast<void>(stop_all(system_)); }

private:
  caf::actor_system& system_;
};

} // namespace stargate

#define STARGATE_TREE_MESSAGES(X) X(stargate::produced)
#define STARGATE_ID(type) STARGATE_TYPE(stargate_tree, type)
STARGATE_BEGIN_TYPES(stargate_tree, STARGATE_FIRST_TYPE_ID + 60)
STARGATE_TREE_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_tree)
#undef STARGATE_ID
STARGATE_TREE_MESSAGES(STARGATE_LOCAL_MESSAGE)
