#include "libstargate/protocol/option_table.hpp"

#include "libstargate/protocol/option_row.hpp"
#include "libstargate/protocol/option_values.hpp"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace stargate::protocol {

namespace {

// -- what is allowed ----------------------------------------------------------

bool is_whole(const topic_name& topic) {
  return !topic.tenant.empty() && !topic.ns.empty() && !topic.topic.empty();
}

bool has_hosts(const options& o) {
  bool fine = !o.hosts.empty();
  for (const auto& h : o.hosts)
    fine = fine && !h.name.empty() && h.port != 0 && h.name.find_first_of("/@ \t\r\n") == std::string::npos;
  return fine;
}

bool is_base_path(const std::string& path) {
  return path.empty()
         || (path.front() == '/' && path.back() != '/' && std::all_of(path.begin(), path.end(), [](char c) {
               return c > ' ' && c < 127 && c != '?' && c != '#';
             }));
}

template <class Options>
bool is_topic_or_unset(const Options& o) {
  return !o.dead_letter_topic || parse_topic(*o.dead_letter_topic);
}

bool is_shared(const consumer_options& o) {
  return o.type == subscription_type::shared || o.type == subscription_type::key_shared;
}

template <class Keys>
bool are_keys(const Keys& keys) {
  std::set<std::string> names;
  for (const auto& key : keys)
    if (key.name.empty() || !names.insert(key.name).second)
      return false;
  return true;
}

constexpr std::chrono::milliseconds day{86'400'000};
using std::chrono::milliseconds;
using std::chrono::seconds;

/// The rows that consumers and readers share.
template <class Options>
std::vector<option_row<Options>> receiver_rows() {
  using o = of<Options>;
  return {
    o::option("processors", &Options::processors, "How many handlers work at the same time.").between(1, 1024),
    o::option("handler", &Options::handler, "What is done with each message.")
      .otherwise("none")
      .allowed("a handler", [](const Options& r) { return static_cast<bool>(r.handler); }),
    o::option("max_demand", &Options::max_demand, "At most this many messages wait at a processor.")
      .between(1, 1'000'000),
    o::option("min_demand", &Options::min_demand, "A processor asks for more when so few are left.")
      .allowed("less than max_demand", [](const Options& r) { return r.min_demand < r.max_demand; }),
    o::option("receiver_queue_size", &Options::receiver_queue_size, "At most this many messages are unacknowledged.")
      .parameter("receiverQueueSize")
      .between(1, 1000)
      .otherwise("the broker's, 1000"),
    o::option("run_on", &Options::run_on,
              "Where handlers run: on threads of their own, where they may block, or on the actor system's."),
    o::option("on_failure", &Options::on_failure,
              "What becomes of a message whose handler threw or took too long: the processor ends and is restarted, "
              "the broker delivers it again, or it goes to the dead-letter topic.")
      .allowed(std::is_same_v<Options, reader_options> ? "not nack, which a reader has not"
                                                       : "with several topics, dead_letter needs dead_letter_topic",
               [](const Options& r) {
                 if constexpr (std::is_same_v<Options, reader_options>)
                   return r.on_failure != failure_action::nack;
                 else
                   return r.on_failure != failure_action::dead_letter || r.dead_letter_topic || !is_of_many_topics(r);
               }),
    o::option(
      "dead_letter_subscription", &Options::dead_letter_subscription,
      "A subscription that on_failure makes on the dead-letter topic, since the broker deletes a topic that has "
      "none; empty for none."),
    o::option("handler_timeout", &Options::handler_timeout,
              "How long a handler may take for a message or a batch; 0 is as long as it takes.")
      .between(milliseconds{0}, day),
    o::option("batch_size", &Options::batch_size, "With more than one, the handler gets batches of up to so many.")
      .between(1, 100'000)
      .allowed("at most max_demand", [](const Options& r) { return r.batch_size <= r.max_demand; }),
    o::option("batch_delay", &Options::batch_delay, "How long a batch waits to become full.")
      .between(milliseconds{1}, day),
    o::option(
      "ack_group_time", &Options::ack_group_time,
      "How long acknowledgements may wait for others that go with them, while they come often; 0: they never wait.")
      .between(milliseconds{0}, milliseconds{500}),
    o::option("partition_by_key", &Options::partition_by_key,
              "Messages of one key are always handled by the same processor, one after the other."),
    o::option("rate_limit", &Options::rate_limit,
              "Messages a second that are handed to handlers at most; 0 is no limit.")
      .between(0.0, 1e9, "0 to 1000000000"),
  };
}

template <class Options>
std::vector<option_row<Options>> joined(std::vector<option_row<Options>> first, std::vector<option_row<Options>> more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

} // namespace

// -- the table ----------------------------------------------------------------

template <>
std::span<const option_row<options>> rows() {
  using o = of<options>;
  static const std::vector<option_row<options>> table{
    o::option("name", &options::name, "Tells trees in one actor system apart.").not_empty(),
    o::option("hosts", &options::hosts, "The brokers' web ports, tried in turn.")
      .allowed("at least one; names without blanks or slashes, ports from 1", has_hosts),
    o::option("base_path", &options::base_path, "Before every path, WebSocket's and REST's, where an ingress has one.")
      .allowed("a path such as /pulsar, encoded, without a query and a slash at its end",
               [](const options& t) { return is_base_path(t.base_path); }),
    o::option("scheme", &options::scheme, "Whether the connections speak TLS."),
    o::option(
      "tls.ca_file", [](auto& t) -> auto& { return t.tls.ca_file; },
      "The certificate authorities to trust, in PEM format.")
      .otherwise("the operating system's"),
    o::option(
      "tls.certificate_file", [](auto& t) -> auto& { return t.tls.certificate_file; },
      "This side's certificate for mutual TLS, in PEM format.")
      .allowed("together with tls.key_file",
               [](const options& t) { return t.tls.certificate_file.empty() == t.tls.key_file.empty(); }),
    o::option(
      "tls.key_file", [](auto& t) -> auto& { return t.tls.key_file; },
      "The certificate's key, in PEM format without a passphrase."),
    o::option(
      "tls.dangerously_trust_any_certificate", [](auto& t) -> auto& { return t.tls.dangerously_trust_any_certificate; },
      "Takes anybody for the broker: who sits on the way reads and changes everything, tokens included."),
    o::option("token", &options::token,
              "Sent with each handshake as `Authorization: Bearer`: a text, a file that is read again at each connect, "
              "or a function that is called at each.")
      .parameter("token", [](const options&) { return false; }) // the header carries it
      .otherwise("none"),
    o::option("connect_timeout", &options::connect_timeout, "Bounds one attempt to connect, the handshake included.")
      .between(milliseconds{1}, day),
    o::option("ping_interval", &options::ping_interval, "A ping is sent when nothing was heard for so long.")
      .between(seconds{1}, seconds{250}, "1s to 250s; the broker closes after 300 s of silence, proxies after 30"),
    o::option("pong_timeout", &options::pong_timeout,
              "A ping unanswered for so long is a lost connection, unless the peer still takes what stands before it.")
      .between(seconds{1}, seconds{250}),
    o::option("backoff", &options::backoff,
              "The wait before a reconnect doubles from first to most, less up to a half at random; a connection that "
              "lived for stable, or that brought a receipt or a handled message, starts it anew.")
      .allowed("first at least 1ms, most at least first",
               [](const options& t) {
                 return t.backoff.first.count() >= 1 && t.backoff.most >= t.backoff.first
                        && t.backoff.stable.count() >= 0;
               }),
    o::option("idle_check", &options::idle_check,
              "When nothing came for so long, the broker is asked by REST whether it still has the consumer or reader, "
              "whose topic may have been deleted and made again behind a connection that stands; if not, it connects "
              "anew. A tree asks 50 times a second at most, so each of more than 500 is asked for less often. Not for "
              "a topics_pattern. 0 is never.")
      .between(milliseconds{0}, day),
    o::option("intensity", &options::intensity, "A supervisor with more restarts than this within period gives up.")
      .between(0, 1'000'000),
    o::option("period", &options::period, "See intensity.").between(seconds{1}, seconds{86'400}),
    o::option("shutdown", &options::shutdown, "How long each actor may take to drain when the tree stops.")
      .between(milliseconds{1}, day),
    o::option("max_frame_size", &options::max_frame_size,
              "A larger frame of the broker is not taken: its message is not handled, which is logged with its id. The "
              "default has room for the largest message of a broker with its own defaults, in base64.")
      .between(65'536, 1 << 30, "64 KiB to 1 GiB, in bytes"),
    o::option(
      "event_loops", &options::event_loops,
      "Threads for the sockets of the tree, each with its share of them. One serves thousands of topics; more help "
      "when it is what a processor is busy with.")
      .between(1, 64),
    o::option("gather_time", &options::gather_time,
              "While messages stream by many connections, how long one may wait for others, which then cost less; 0.2 "
              "ms at most by one or two connections, and where less than 4,000 come in a second not at all. 0: never.")
      .between(milliseconds{0}, milliseconds{100}),
    o::option("inspection_socket", &options::inspection_socket,
              "A Unix domain socket that tells this user what the tree looks like: `stargate tree`.")
      .allowed("a path of at most 107 bytes", [](const options& t) { return t.inspection_socket.size() <= 107; }),
    o::option(
      "monitor.port", [](auto& t) -> auto& { return t.monitor.port; },
      "An HTTP face for operators on this port: `/metrics` for Prometheus, `/healthz`, `/readyz`, `/tree.json`, and a "
      "live page at `/`; 0 is any free port, which the log says.")
      .between(0, 65'535)
      .otherwise("none"),
    o::option(
      "monitor.address", [](auto& t) -> auto& { return t.monitor.address; },
      "The address on which the monitor listens; all of this machine's are `0.0.0.0`.")
      .not_empty()
      .allowed("with a token unless it is 127.0.0.1, ::1 or localhost",
               [](const options& t) {
                 const auto& a = t.monitor.address;
                 return !t.monitor.port || !t.monitor.token.empty() || a == "localhost" || a == "::1"
                        || a.starts_with("127.");
               }),
    o::option(
      "monitor.token", [](auto& t) -> auto& { return t.monitor.token; },
      "What who asks the monitor has to show as `Authorization: Bearer`; the probes need none."),
    o::option(
      "monitor.control", [](auto& t) -> auto& { return t.monitor.control; },
      "Whether the page may restart and remove producers, consumers and readers."),
  };
  return table;
}

template <>
std::span<const option_row<producer_options>> rows() {
  using p = producer_options;
  using o = of<p>;
  const auto batches = [](const p& r) { return r.batching == true; };
  const auto needs_batching = [](auto member) {
    return [member](const p& r) { return !(r.*member) || r.batching == true; };
  };
  static const std::vector<option_row<p>> table{
    o::option("topic", &p::topic, "The topic; it is part of the path.")
      .otherwise("none")
      .allowed("tenant, namespace and topic, none of them empty", [](const p& r) { return is_whole(r.topic); }),
    o::option("send_timeout", &p::send_timeout, "How long a message may wait for its receipt, reconnects included.")
      .parameter("sendTimeoutMillis")
      .between(milliseconds{1}, day),
    o::option("max_pending", &p::max_pending,
              "How many messages may await their receipts: then a blocking produce waits, an asynchronous one is "
              "refused.")
      .between(1, 1'000'000),
    o::option("producer_name", &p::producer_name, "The producer's name.")
      .parameter("producerName")
      .not_empty()
      .otherwise("the broker makes one up"),
    o::option("effectively_once", &p::effectively_once,
              "Each message is stored once and in order, also across lost connections. The namespace needs "
              "deduplication; the topic must have no partitions.")
      .allowed("without batching and initial_sequence_id",
               [](const p& r) { return !r.effectively_once || (r.batching != true && !r.initial_sequence_id); }),
    o::option(
      "batching", &p::batching,
      "Whether messages are stored many at a time. Not where consumers have type key_shared: a batch goes to one of "
      "them, whatever its keys.")
      .parameter("batchingEnabled")
      .otherwise("the broker's, false"),
    o::option("batch_size", &p::batch_size, "Messages at most in a batch.")
      .parameter("batchingMaxMessages")
      .between(1, 1'000'000)
      .allowed("needs batching", needs_batching(&p::batch_size))
      .otherwise("the broker's, 1000"),
    o::option("batch_delay", &p::batch_delay, "How long a batch waits to become full.")
      .parameter("batchingMaxPublishDelay")
      .between(milliseconds{1}, day)
      .allowed("needs batching", needs_batching(&p::batch_delay))
      .otherwise("the broker's, 1ms"),
    o::option("broker_max_pending", &p::broker_max_pending,
              "How many messages wait on the broker's side at most; it refuses more, so let it be at least "
              "max_pending.")
      .parameter("maxPendingMessages")
      .between(1, 1'000'000)
      .allowed("at least max_pending; needs batching",
               [batches](const p& r) {
                 return !r.broker_max_pending || (batches(r) && *r.broker_max_pending >= r.max_pending);
               })
      .otherwise("the broker's, none"),
    o::option("routing", &p::routing, "Which partition takes a message without a key.")
      .parameter("messageRoutingMode")
      .otherwise("the broker's, single"),
    o::option("compression", &p::compression, "How what is stored is compressed.")
      .parameter("compressionType")
      .otherwise("the broker's, none"),
    o::option("initial_sequence_id", &p::initial_sequence_id,
              "The number before that of the first message, for a namespace with deduplication.")
      .parameter("initialSequenceId")
      .between(std::int64_t{-1}, std::int64_t{9'007'199'254'740'991}, "from -1 on")
      .otherwise("the broker's"),
    o::option("hashing", &p::hashing, "How a key is turned into a partition.")
      .parameter("hashingScheme")
      .otherwise("the broker's, java_string_hash"),
    o::option("server_encryption_keys", &p::server_encryption_keys,
              "Names of keys with which the broker's own key reader encrypts.")
      .parameter("encryptionKeys")
      .allowed("not together with encryption; names without commas",
               [](const p& r) {
                 bool fine = r.server_encryption_keys.empty() || r.encryption.empty();
                 for (const auto& key : r.server_encryption_keys)
                   fine = fine && !key.empty() && key.find(',') == std::string::npos;
                 return fine;
               }),
    o::option("encryption", &p::encryption,
              "Public keys for which messages are encrypted on this side; goes out as `encryptionKeys` too.")
      .allowed("names, each once; without batching and compression",
               [batches](const p& r) {
                 return r.encryption.empty()
                        || (are_keys(r.encryption) && !batches(r)
                            && r.compression.value_or(compression_type::none) == compression_type::none);
               }),
  };
  return table;
}

template <>
std::span<const option_row<consumer_options>> rows() {
  using c = consumer_options;
  using o = of<c>;
  static const auto table = joined<c>(
    {
      o::option("topic", &c::topic, "The topic; it is part of the path.")
        .otherwise("none")
        .allowed("tenant, namespace and topic, none of them empty; or topics, or topics_pattern, and no topic",
                 [](const c& r) { return is_of_many_topics(r) ? r.topic.topic.empty() : is_whole(r.topic); }),
      o::option("topics", &c::topics, "Several topics by one socket, instead of topic.")
        .parameter("topics")
        .allowed("whole topic names without commas",
                 [](const c& r) {
                   bool fine = true;
                   for (const auto& t : r.topics)
                     fine = fine && is_whole(t) && to_string(t).find(',') == std::string::npos;
                   return fine;
                 }),
      o::option("topics_pattern", &c::topics_pattern,
                "All topics of a namespace that match, instead of topic: "
                "`persistent://tenant/namespace/regular-expression`.")
        .parameter("topicsPattern", [](const c& r) { return !r.topics_pattern.empty(); })
        .allowed("a tenant, a namespace and an expression; not together with topics",
                 [](const c& r) {
                   return r.topics_pattern.empty()
                          || (r.topics.empty() && r.topics_pattern.find("://") != std::string::npos
                              && parse_topic(r.topics_pattern));
                 }),
      o::option("subscription", &c::subscription, "The subscription; it is part of the path.").not_empty(),
      o::option("type", &c::type, "How the consumers of one subscription share its messages.")
        .parameter("subscriptionType")
        .otherwise("exclusive"),
      o::option("mode", &c::mode, "Whether the subscription outlives its consumers.")
        .parameter("subscriptionMode")
        .otherwise("durable"),
      o::option("position", &c::position, "Where a new subscription begins.")
        .parameter("subscriptionInitialPosition")
        .otherwise("latest"),
      o::option("consumer_name", &c::consumer_name, "The consumer's name.")
        .parameter("consumerName")
        .not_empty()
        .otherwise("the broker makes one up"),
      o::option("priority_level", &c::priority_level, "Consumers of a lower level are served first.")
        .parameter("priorityLevel")
        .between(0, 1'000'000)
        .otherwise("the broker's, 0"),
      o::option("ack_timeout", &c::ack_timeout, "A message unacknowledged for so long comes again.")
        .parameter("ackTimeoutMillis")
        .between(milliseconds{0}, day)
        .allowed(
          "not 1ms to 999ms",
          [](const c& r) { return !r.ack_timeout || r.ack_timeout->count() == 0 || r.ack_timeout->count() >= 1000; })
        .otherwise("the broker's, 0: never"),
      o::option("negative_ack_redelivery_delay", &c::negative_ack_redelivery_delay,
                "How long after a nack the message is delivered again.")
        .parameter("negativeAckRedeliveryDelay")
        .between(milliseconds{0}, day)
        .otherwise("the broker's, 1min"),
      o::option("max_redeliver_count", &c::max_redeliver_count,
                "After so many redeliveries the broker moves a message to the dead-letter topic.")
        .parameter("maxRedeliverCount")
        .between(1, 1'000'000)
        .allowed("needs type shared or key_shared", [](const c& r) { return !r.max_redeliver_count || is_shared(r); })
        .allowed("with several topics, dead_letter_topic",
                 [](const c& r) { return !r.max_redeliver_count || r.dead_letter_topic || !is_of_many_topics(r); })
        .otherwise("the broker's, none"),
      o::option("dead_letter_topic", &c::dead_letter_topic,
                "Where the broker, or on_failure, puts what cannot be handled.")
        .parameter("deadLetterTopic", [](const c& r) { return r.max_redeliver_count.has_value(); })
        .allowed("a topic", is_topic_or_unset<c>)
        .allowed("needs max_redeliver_count, or on_failure dead_letter",
                 [](const c& r) {
                   return !r.dead_letter_topic || r.max_redeliver_count || r.on_failure == failure_action::dead_letter;
                 })
        .otherwise("`<topic>-<subscription>-DLQ`"),
      o::option("pull_mode", &c::pull_mode, "The broker sends only as many messages as the processors asked for.")
        .parameter("pullMode"),
      o::option(
        "crypto_failure_action", &c::crypto_failure_action,
        "What becomes of an encrypted message without the right key: it comes again, is acknowledged unseen, or "
        "is handled as it is.")
        .parameter_with("cryptoFailureAction",
                        [](const c& r) -> std::optional<std::string> {
                          if (!r.decryption_keys.empty()) // the broker hands over everything, and this side decides
                            return parameter_of(crypto_failure_action::consume);
                          return r.crypto_failure_action ? std::optional{parameter_of(*r.crypto_failure_action)}
                                                         : std::nullopt;
                        })
        .otherwise("fail"),
      o::option("decryption_keys", &c::decryption_keys, "Private keys that open encrypted messages on this side.")
        .allowed("names, each once", [](const c& r) { return are_keys(r.decryption_keys); }),
    },
    receiver_rows<c>());
  return table;
}

template <>
std::span<const option_row<reader_options>> rows() {
  using r = reader_options;
  using o = of<r>;
  static const auto table = joined<r>(
    {
      o::option("topic", &r::topic,
                "The topic, without partitions, or a partition: `name-partition-0`; it is part of the path.")
        .otherwise("none")
        .allowed("tenant, namespace and topic, none of them empty", [](const r& v) { return is_whole(v.topic); }),
      o::option("start", &r::start, "Where the reader begins; with an id, behind that message.")
        .parameter("messageId")
        .allowed("not empty", [](const r& v) { return !v.start.text().empty(); }),
      o::option("reader_name", &r::reader_name, "The reader's name; it tells readers of one topic in one tree apart.")
        .parameter("readerName")
        .not_empty()
        .otherwise("the broker makes one up"),
      o::option("dead_letter_topic", &r::dead_letter_topic, "Where on_failure puts what cannot be handled.")
        .allowed("a topic, exactly when on_failure is dead_letter",
                 [](const r& v) {
                   return is_topic_or_unset(v)
                          && v.dead_letter_topic.has_value() == (v.on_failure == failure_action::dead_letter);
                 })
        .otherwise("none"),
      o::option(
        "crypto_failure_action", &r::crypto_failure_action,
        "What becomes of an encrypted message: it is not delivered, is passed over, or is handled as it is. (To "
        "a reader the broker does not say how a message was encrypted; a consumer can open it.)")
        .parameter("cryptoFailureAction")
        .otherwise("fail"),
    },
    receiver_rows<r>());
  return table;
}

// -- paths ----------------------------------------------------------------------

} // namespace stargate::protocol
