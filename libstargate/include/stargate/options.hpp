/// @file
/// The description of a tree: where the broker is, and which producers, consumers and readers there are.
#pragma once

#include <stargate/handler.hpp>
#include <stargate/key.hpp>
#include <stargate/log.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace stargate {

/// A broker's web port.
struct host {
  std::string name = "localhost";
  std::uint16_t port = 8080;
  friend bool operator==(const host&, const host&) = default;
};

/// How long a socket waits before it connects again: the wait doubles from `first` up to `most`, and a random part of
/// it, up to a half, is taken off so that many sockets do not return at the same moment.
struct backoff_options {
  std::chrono::milliseconds first{100};
  std::chrono::milliseconds most{30'000};
  std::chrono::milliseconds stable{10'000}; ///< A connection that lived this long starts the count anew.
};

/// Where a processor's handler runs.
enum class run_on : std::uint8_t {
  own_thread, ///< On a thread of the processor's own: the handler may block.
  scheduler,  ///< On the actor system's threads: cheaper for many processors, but a handler that blocks stalls others.
};

/// A producer: `{.topic = {.topic = "orders"}}` is enough.
struct producer_options {
  topic_name topic = {};
  /// How long a message may wait for its receipt, reconnects included; after it, the answer is an error.
  std::chrono::milliseconds send_timeout{30'000};
  /// How many messages may await their receipts: then a blocking produce waits, an asynchronous one is refused.
  std::size_t max_pending = 1000;
  std::optional<std::string> producer_name = {}; ///< Unset: the broker makes one up.
};

enum class subscription_type : std::uint8_t { exclusive, failover, shared, key_shared };
enum class initial_position : std::uint8_t { latest, earliest };

/// A consumer: a topic, a subscription and a handler are required.
struct consumer_options {
  topic_name topic = {};
  std::string subscription = {};
  std::optional<subscription_type> type = {};    ///< Unset: exclusive.
  std::optional<initial_position> position = {}; ///< Where a new subscription begins. Unset: latest.
  std::optional<std::string> consumer_name = {}; ///< Unset: the broker makes one up.
  std::optional<std::chrono::milliseconds> negative_ack_redelivery_delay = {}; ///< Unset: the broker's, a minute.
  std::size_t processors = 1;                             ///< How many handlers work at the same time.
  handler_factory handler = {};                           ///< Required.
  std::size_t max_demand = 100;                           ///< At most this many messages wait at a processor.
  std::size_t min_demand = 50;                            ///< A processor asks for more when so few are left.
  std::optional<std::uint32_t> receiver_queue_size = {};  ///< At most so many messages are unacknowledged. Unset: 1000.
  stargate::run_on run_on = stargate::run_on::own_thread; ///< Where the handlers run.
};

/// Where a reader begins: `start_at::latest()`, `start_at::earliest()`, or after the message of an id.
class start_at {
public:
  start_at() = default;
  start_at(message_id id) : text_{std::move(id.value)} {}
  [[nodiscard]] static start_at latest() { return start_at{message_id{"latest"}}; }
  [[nodiscard]] static start_at earliest() { return start_at{message_id{"earliest"}}; }
  /// As the broker's parameter `messageId` has it.
  [[nodiscard]] const std::string& text() const { return text_; }

private:
  std::string text_ = "latest";
};

/// A reader: a topic and a handler are required. It has no subscription: it begins where `start` says, and after a
/// lost connection behind the last message up to which all were acknowledged.
struct reader_options {
  topic_name topic = {};
  start_at start = {};
  std::optional<std::string> reader_name = {}; ///< Unset: the broker makes one up. Two readers of one topic need names.
  std::size_t processors = 1;                  ///< How many handlers work at the same time.
  handler_factory handler = {};                ///< Required.
  std::size_t max_demand = 100;                ///< At most this many messages wait at a processor.
  std::size_t min_demand = 50;                 ///< A processor asks for more when so few are left.
  std::optional<std::uint32_t> receiver_queue_size = {};  ///< At most so many messages are unacknowledged. Unset: 1000.
  stargate::run_on run_on = stargate::run_on::own_thread; ///< Where the handlers run.
};

/// A whole tree.
struct options {
  std::string name = "default";       ///< Tells trees in one actor system apart.
  std::vector<host> hosts = {host{}}; ///< Tried in turn.
  std::vector<producer_options> producers = {};
  std::vector<consumer_options> consumers = {};
  std::vector<reader_options> readers = {};
  std::chrono::milliseconds connect_timeout{10'000}; ///< Bounds one attempt to connect, the handshake included.
  std::chrono::seconds ping_interval{10};            ///< A ping is sent when nothing was heard for so long.
  std::chrono::seconds pong_timeout{5};              ///< A ping unanswered for so long is a lost connection.
  backoff_options backoff = {};
  std::uint32_t intensity = 3; ///< More restarts than this within `period` make a supervisor give up.
  std::chrono::seconds period{5};
  std::chrono::milliseconds shutdown{5'000}; ///< How long each actor may take to drain when the tree stops.
  log_hook log = {};                         ///< Unset: CAF's logger.
};

/// Checks a whole description; nothing is started.
/// @par Threads any thread
/// @par Errors errc::invalid_option, with every mistake in one text: the option, its value, and what is allowed.
[[nodiscard]] caf::error validate(const options& o);

/// How a dump of the table of options looks to a reader of the documentation: GitHub's Markdown.
[[nodiscard]] std::string options_as_markdown();

} // namespace stargate
