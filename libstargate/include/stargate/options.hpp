/// @file
/// The description of a tree: where the broker is, and which producers, consumers and readers there are.
#pragma once

#include <stargate/encryption.hpp>
#include <stargate/export.hpp>
#include <stargate/handler.hpp>
#include <stargate/key.hpp>
#include <stargate/log.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace STARGATE_API stargate {

class span_hook;

/// A broker's web port.
struct host {
  std::string name = "localhost"; ///< A name or an address.
  std::uint16_t port = 8080;      ///< Of HTTP or HTTPS, on which WebSocket is served as well.

  /// Member by member.
  friend bool operator==(const host&, const host&) = default;
};

/// `wss` is `ws` in TLS. (The option `protocol` of the Elixir original.)
enum class url_scheme : std::uint8_t { ws, wss };

/// What `wss` trusts and shows. The files are read when the tree starts, where they must be right, and again at the
/// next connect after they were changed: what is then wrong in them fails that attempt.
struct tls_options {
  std::string ca_file = {};          ///< PEM. Empty: the certificate authorities of the operating system.
  std::string certificate_file = {}; ///< PEM, the chain of this side, for mutual TLS. Empty: none is shown.
  std::string key_file = {};         ///< PEM, without a passphrase; it belongs to the certificate.

  /// Takes any certificate of anybody for the broker's: who sits on the way reads and changes everything, tokens
  /// included. For experiments on one's own machine.
  bool dangerously_trust_any_certificate = false;
};

/// An HTTP face of a tree: metrics for Prometheus (`/metrics`), probes (`/healthz`, `/readyz`), the tree as JSON
/// (`/tree.json`), and a page that shows it live (`/`). It speaks no TLS: beyond this machine, put a proxy in front.
struct monitor_options {
  std::string address = "127.0.0.1";      ///< Where it listens; any other than this machine's own needs a token.
  std::optional<std::uint16_t> port = {}; ///< Unset: there is none. 0: any that is free, which the log says.

  /// Who asks shows it as `Authorization: Bearer`; the probes need none. It is demanded of an address that is not this
  /// machine's own.
  std::string token = {};
  bool control = false; ///< Whether who asks may restart and remove producers, consumers and readers.
};

/// Where the token comes from that is sent with each handshake as `Authorization: Bearer`. It has no text form: a
/// token never appears in a log, an error or a listing.
class token_source {
public:
  token_source() = default;
  /// A token that never changes.
  [[nodiscard]] static token_source text(std::string token);
  /// As Pulsar's own clients write it: `token:TEXT`, `file:///path` (or `file:/path`), or the token itself.
  [[nodiscard]] static token_source from(const std::string& text);
  /// A file that is read again at each connect, for tokens that expire. Blanks around the token are left out.
  [[nodiscard]] static token_source file(std::string path);
  /// A function that is called at each connect, for tokens that expire. What it throws is an outage: it is called
  /// again at the next attempt. @par Threads called on a socket's actor, so it must not block for long
  [[nodiscard]] static token_source call(std::function<std::string()> make);

  /// Whether there is one.
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(make_); }
  /// @par Errors errc::no_token when the file cannot be read, the function throws, or what it gave cannot be a token
  [[nodiscard]] caf::expected<std::string> operator()() const;

private:
  std::function<std::string()> make_;
};

/// How long a socket waits before it connects again: the wait doubles from `first` up to `most`, and a random part of
/// it, up to a half, is taken off so that many sockets do not return at the same moment.
struct backoff_options {
  std::chrono::milliseconds first{100};     ///< The first wait.
  std::chrono::milliseconds most{30'000};   ///< The longest.
  std::chrono::milliseconds stable{10'000}; ///< A connection that lived this long starts the count anew.
};

/// Where a processor's handler runs.
enum class run_on : std::uint8_t {
  own_thread, ///< On a thread that is nobody else's while the handler takes its time: it may block.
  scheduler,  ///< On the actor system's threads: a handler that blocks stalls others.
};

/// Which partition of a partitioned topic takes a message that has no key.
enum class message_routing : std::uint8_t { round_robin, single };
/// How the broker's side of the socket compresses what it stores.
enum class compression_type : std::uint8_t { none, lz4, zlib, zstd, snappy };
/// How a key is turned into a partition.
enum class hashing_scheme : std::uint8_t { java_string_hash, murmur3_32_hash };

/// A producer: `{.topic = {.topic = "orders"}}` is enough. What is not set is the broker's to choose.
struct producer_options {
  topic_name topic = {}; ///< Required.

  /// How long a message may wait for its receipt, reconnects included; after it, the answer is an error.
  std::chrono::milliseconds send_timeout{30'000};
  /// How many messages may await their receipts: then a blocking produce waits, an asynchronous one is refused.
  std::size_t max_pending = 1000;
  std::optional<std::string> producer_name = {}; ///< Unset: the broker makes one up.

  /// Each message is stored once, in order, also when the connection is lost in between: what is sent again has the
  /// number it had, and the broker drops it. The namespace needs deduplication, which is checked at the first
  /// connection; the topic must have no partitions. The producer's name becomes `producer_name`, or `stargate`, with a
  /// random part. A message that the broker had stored already has an id that says only so.
  bool effectively_once = false;
  std::optional<bool> batching = {};                         ///< Messages are stored many at a time.
  std::optional<std::uint32_t> batch_size = {};              ///< Messages at most in a batch.
  std::optional<std::chrono::milliseconds> batch_delay = {}; ///< How long a batch waits for more.
  std::optional<std::uint32_t> broker_max_pending = {};      ///< How many messages the broker's side lets wait.
  std::optional<message_routing> routing = {};               ///< For partitioned topics.
  std::optional<compression_type> compression = {};          ///< Of what is stored.
  std::optional<std::int64_t> initial_sequence_id = {};      ///< The first message has the number after it.
  std::optional<hashing_scheme> hashing = {};                ///< For partitioned topics.
  std::vector<std::string> server_encryption_keys = {};      ///< Names of keys that the broker's own reader has.
  stargate::encryption encryption = {};                      ///< Encrypts on this side.
};

/// How the consumers of one subscription share its messages. @par Source Pulsar: `subscriptionType`
enum class subscription_type : std::uint8_t { exclusive, failover, shared, key_shared };
/// Whether a subscription outlives its consumers. @par Source Pulsar: `subscriptionMode`
enum class subscription_mode : std::uint8_t { durable, non_durable };
/// Where a new subscription begins. @par Source Pulsar: `subscriptionInitialPosition`
enum class initial_position : std::uint8_t { latest, earliest };

/// What becomes of a message whose handler threw, or took longer than `handler_timeout`.
enum class failure_action : std::uint8_t {
  crash,       ///< The processor ends, and its supervisor decides; the message comes again.
  nack,        ///< It is negatively acknowledged: the broker delivers it again after its delay.
  dead_letter, ///< It is produced to the dead-letter topic, and only then acknowledged.
};

/// What becomes of an encrypted message for which there is no key, or a wrong one.
enum class crypto_failure_action : std::uint8_t {
  fail,    ///< It is not handled and not acknowledged, so it comes again.
  discard, ///< It is acknowledged unseen.
  consume, ///< The handler gets it as it is, with its `received_message::encryption`.
};

/// A consumer: a topic (or topics, or a pattern), a subscription and a handler are required.
struct consumer_options {
  topic_name topic = {};               ///< Required, or one of the next two.
  std::vector<topic_name> topics = {}; ///< Instead of `topic`: several, by one socket.
  std::string topics_pattern = {};     ///< Instead of `topic`: `persistent://tenant/namespace/regular-expression`.
  std::string subscription = {};       ///< Required.
  std::optional<subscription_type> type = {};                ///< Unset: exclusive.
  std::optional<subscription_mode> mode = {};                ///< Unset: durable.
  std::optional<initial_position> position = {};             ///< Where a new subscription begins. Unset: latest.
  std::optional<std::string> consumer_name = {};             ///< Unset: the broker makes one up.
  std::optional<std::uint32_t> priority_level = {};          ///< 0 is served first. Unset: 0.
  std::optional<std::chrono::milliseconds> ack_timeout = {}; ///< Unacknowledged for so long, a message comes again.
  std::optional<std::chrono::milliseconds> negative_ack_redelivery_delay = {}; ///< Unset: the broker's, a minute.
  std::optional<std::uint32_t> max_redeliver_count = {}; ///< After so many deliveries the broker gives a message up.
  std::optional<std::string> dead_letter_topic = {};     ///< Unset: `<topic>-<subscription>-DLQ`.

  /// Made on the dead-letter topic before the first message, so that the broker keeps the topic; empty: none is made.
  std::string dead_letter_subscription = "dead-letters";
  bool pull_mode = false; ///< The broker sends only what the processors asked for.
  std::optional<stargate::crypto_failure_action> crypto_failure_action = {}; ///< Unset: fail.
  decryption decryption_keys = {};                                           ///< Opens encrypted messages on this side.
  std::size_t processors = 1;                             ///< How many handlers work at the same time.
  handler_factory handler = {};                           ///< Required.
  std::size_t max_demand = 100;                           ///< At most this many messages wait at a processor.
  std::size_t min_demand = 50;                            ///< A processor asks for more when so few are left.
  std::optional<std::uint32_t> receiver_queue_size = {};  ///< At most so many messages are unacknowledged. Unset: 1000.
  stargate::run_on run_on = stargate::run_on::own_thread; ///< Where the handlers run.
  failure_action on_failure = failure_action::crash;      ///< When a handler throws or takes too long.
  std::chrono::milliseconds handler_timeout{0};           ///< For one message or batch; 0 is as long as it takes.
  std::size_t batch_size = 1;                             ///< More than one: the handler gets batches.
  std::chrono::milliseconds batch_delay{100};             ///< How long a batch waits to become full.
  /// How long acknowledgements may wait for others that go with them, while they come often; 0: they never wait.
  std::chrono::milliseconds ack_group_time{10};
  bool partition_by_key = false; ///< Messages of one key always go to one processor.
  double rate_limit = 0;         ///< Messages a second at most; 0 is no limit.
};

/// Where a reader begins: `start_at::latest()`, `start_at::earliest()`, or after the message of an id.
class start_at {
public:
  start_at() = default;
  /// Behind the message of this id.
  start_at(message_id id) : text_{std::move(id.value)} {}
  /// At what is published from now on.
  [[nodiscard]] static start_at latest() { return start_at{message_id{"latest"}}; }
  /// At the oldest message that is there.
  [[nodiscard]] static start_at earliest() { return start_at{message_id{"earliest"}}; }
  /// As the broker's parameter `messageId` has it.
  [[nodiscard]] const std::string& text() const { return text_; }

private:
  std::string text_ = "latest";
};

/// A reader: a topic and a handler are required. It has no subscription: it begins where `start` says, and after a
/// lost connection behind the last message up to which all were acknowledged.
struct reader_options {
  topic_name topic = {};                       ///< Required.
  start_at start = {};                         ///< Where it begins when it has no place of its own yet.
  std::optional<std::string> reader_name = {}; ///< Unset: the broker makes one up. Two readers of one topic need names.
  std::optional<stargate::crypto_failure_action> crypto_failure_action = {}; ///< Unset: fail.
  std::size_t processors = 1;                             ///< How many handlers work at the same time.
  handler_factory handler = {};                           ///< Required.
  std::size_t max_demand = 100;                           ///< At most this many messages wait at a processor.
  std::size_t min_demand = 50;                            ///< A processor asks for more when so few are left.
  std::optional<std::uint32_t> receiver_queue_size = {};  ///< At most so many messages are unacknowledged. Unset: 1000.
  stargate::run_on run_on = stargate::run_on::own_thread; ///< Where the handlers run.
  failure_action on_failure = failure_action::crash;      ///< When a handler throws or takes too long; never `nack`.
  std::optional<std::string> dead_letter_topic = {};      ///< Required for `failure_action::dead_letter`.

  /// Made on the dead-letter topic before the first message, so that the broker keeps the topic; empty: none is made.
  std::string dead_letter_subscription = "dead-letters";
  std::chrono::milliseconds handler_timeout{0}; ///< For one message or batch; 0 is as long as it takes.
  std::size_t batch_size = 1;                   ///< More than one: the handler gets batches.
  std::chrono::milliseconds batch_delay{100};   ///< How long a batch waits to become full.
  /// How long acknowledgements may wait for others that go with them, while they come often; 0: they never wait.
  std::chrono::milliseconds ack_group_time{10};
  bool partition_by_key = false; ///< Messages of one key always go to one processor.
  double rate_limit = 0;         ///< Messages a second at most; 0 is no limit.
};

/// What runs on topics: the part of a description that can be added to a running tree.
struct pipelines {
  std::vector<producer_options> producers = {}; ///< Of which topics.
  std::vector<consumer_options> consumers = {}; ///< Of which topics and subscriptions.
  std::vector<reader_options> readers = {};     ///< Of which topics.
};

/// Makes pipelines that belong together, such as all of one tenant, from an argument, such as the tenant's name.
/// @par Threads the one that calls `tree::start_child`
using pipeline_template = std::function<pipelines(const std::string& argument)>;

/// A whole tree.
struct options {
  std::string name = "default";       ///< Tells trees in one actor system apart.
  std::vector<host> hosts = {host{}}; ///< Tried in turn.
  std::string base_path = {};         ///< Before every path, WebSocket's and REST's: `/pulsar` behind an ingress.
  std::vector<producer_options> producers = {};            ///< At the start; `tree::add` adds others.
  std::vector<consumer_options> consumers = {};            ///< At the start; `tree::add` adds others.
  std::vector<reader_options> readers = {};                ///< At the start; `tree::add` adds others.
  std::map<std::string, pipeline_template> templates = {}; ///< For `tree::start_child`, by name.
  url_scheme scheme = url_scheme::ws;                      ///< Of all hosts.
  tls_options tls = {};                                    ///< For `url_scheme::wss`.
  token_source token = {};                                 ///< Unset: none is sent.
  std::chrono::milliseconds connect_timeout{10'000};       ///< Bounds one attempt to connect, the handshake included.
  std::chrono::seconds ping_interval{10};                  ///< A ping is sent when nothing was heard for so long.

  /// A ping unanswered for so long is a lost connection, unless the peer still takes what stands before it.
  std::chrono::seconds pong_timeout{5};
  backoff_options backoff = {}; ///< Between attempts to connect.

  /// A consumer or reader that nothing came for, for so long, has the broker asked whether it still has it: behind a
  /// connection that stands, a topic may have been deleted and made again. If not, it connects anew. 0: never asked.
  /// A tree asks 50 times a second at most.
  std::chrono::milliseconds idle_check{10'000};
  std::uint32_t intensity = 3;             ///< More restarts than this within `period` make a supervisor give up.
  std::chrono::seconds period{5};          ///< In which restarts are counted.
  std::uint32_t max_frame_size = 8u << 20; ///< Bytes: a message in a larger frame is logged, and not handled.
  std::uint32_t event_loops = 1;           ///< Threads for the sockets of the tree, which are spread over them.

  /// While messages stream, 4,000 a second and more, how long one of them may wait for others that come after it, at
  /// most: each batch wakes threads, which costs more than the messages. By one or two connections it is 0.2 ms at most,
  /// and by many as long as waiting still brings more. 0: each is handed on as it comes.
  std::chrono::milliseconds gather_time{2};
  std::chrono::milliseconds shutdown{5'000}; ///< How long each actor may take to drain when the tree stops.

  /// A Unix domain socket that tells whoever connects, which only this user may, what the tree looks like:
  /// `stargate tree`. Empty: none.
  std::string inspection_socket = {};
  monitor_options monitor = {};          ///< An HTTP face for operators; off unless it has a port.
  std::shared_ptr<span_hook> spans = {}; ///< For distributed tracing (`<stargate/tracing.hpp>`). Unset: none.
  log_hook log = {};                     ///< Unset: CAF's logger.
};

/// Checks a whole description; nothing is started.
/// @par Threads any thread
/// @par Errors errc::invalid_option, with every mistake in one text: the option, its value, and what is allowed.
[[nodiscard]] caf::error validate(const options& o);

/// How a dump of the table of options looks to a reader of the documentation: GitHub's Markdown.
[[nodiscard]] std::string options_as_markdown();

} // namespace stargate
