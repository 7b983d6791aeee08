#include "libstargate/protocol/option_table.hpp"

#include "libstargate/protocol/option_values.hpp"
#include "libstargate/protocol/percent.hpp"

#include <stargate/error.hpp>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace stargate {

namespace protocol {

namespace {

template <class T>
struct unwrapped {
  using type = T;
};
template <class T>
struct unwrapped<std::optional<T>> {
  using type = T;
};

template <class T>
const T* value_in(const T& member) {
  return &member;
}
template <class T>
const T* value_in(const std::optional<T>& member) {
  return member ? &*member : nullptr;
}

/// Builds one row from a way to reach the option; the calls that follow say what else there is to it.
template <class Options, class Get>
class row {
  using member = std::remove_cvref_t<std::invoke_result_t<Get, Options&>>;
  using type = typename unwrapped<member>::type;

public:
  row(std::string name, Get get, std::string help) : get_{get} {
    made_.name = std::move(name);
    made_.type = kind_of<type>();
    made_.help = std::move(help);
    made_.is_list = is_list<type>;
    made_.is_flag = std::is_same_v<type, bool>;
    made_.value = [get](const Options& o) -> std::optional<std::string> {
      const auto* set = value_in(get(o));
      return set != nullptr ? std::optional{text_of(*set)} : std::nullopt;
    };
    made_.query = [](const Options&) { return std::optional<std::string>{}; };
    made_.is_allowed = [](const Options&) { return true; };
    if constexpr (!std::is_same_v<type, handler_factory> && !std::is_same_v<type, token_source>)
      made_.set = [get](Options& o, const std::string& text) {
        auto& place = get(o);
        if constexpr (std::is_same_v<member, std::optional<type>>)
          return parse_value(text, place.emplace());
        else
          return parse_value(text, place);
      };
    made_.standard = made_.value(Options{}).value_or("the broker's");
    if (made_.standard.empty())
      made_.standard = "none";
  }

  row&& otherwise(std::string standard) && {
    made_.standard = std::move(standard);
    return std::move(*this);
  }
  /// Named so in the query string. What is false or empty is left out, as is what is not set.
  row&& parameter(std::string name) && {
    made_.parameter = std::move(name);
    made_.query = [get = get_](const Options& o) -> std::optional<std::string> {
      const auto* set = value_in(get(o));
      if (set == nullptr)
        return std::nullopt;
      if constexpr (std::is_same_v<member, bool> || is_list<member>)
        if (*set == member{})
          return std::nullopt;
      return parameter_of(*set);
    };
    return std::move(*this);
  }
  /// The query parameter goes out only when `when` holds; without, something else builds it.
  row&& parameter(std::string name, std::function<bool(const Options&)> when) && {
    auto query = std::move(*this).parameter(std::move(name)).made_.query;
    made_.query = [query = std::move(query), when = std::move(when)](const Options& o) {
      return when && when(o) ? query(o) : std::nullopt;
    };
    return std::move(*this);
  }
  /// Named so in the query string, with a value of its own making.
  row&& parameter_with(std::string name, std::function<std::optional<std::string>(const Options&)> query) && {
    made_.parameter = std::move(name);
    made_.query = std::move(query);
    return std::move(*this);
  }
  template <class Bound>
  row&& between(Bound low, Bound high, std::string words = {}) && {
    made_.allowed = words.empty() ? text_of(low) + " to " + text_of(high) : std::move(words);
    return std::move(*this).also([get = get_, low, high](const Options& o) {
      const auto* set = value_in(get(o));
      return set == nullptr || (*set >= type(low) && *set <= type(high));
    });
  }
  row&& not_empty() && {
    made_.allowed = "not empty";
    return std::move(*this).also([get = get_](const Options& o) {
      const auto* set = value_in(get(o));
      return set == nullptr || !set->empty();
    });
  }
  row&& allowed(std::string words, std::function<bool(const Options&)> check) && {
    made_.allowed += (made_.allowed.empty() ? "" : "; ") + std::move(words);
    return std::move(*this).also(std::move(check));
  }
  operator option_row<Options>() && { return std::move(made_); }

private:
  row&& also(std::function<bool(const Options&)> check) && {
    made_.is_allowed = [before = std::move(made_.is_allowed), check = std::move(check)](const Options& o) {
      return before(o) && check(o);
    };
    return std::move(*this);
  }

  Get get_;
  option_row<Options> made_;
};

template <class Options>
struct of {
  template <class Get>
  static row<Options, Get> option(std::string name, Get get, std::string help) {
    return {std::move(name), get, std::move(help)};
  }
  template <class Member>
  static auto option(std::string name, Member Options::*member, std::string help) {
    return option(
      std::move(name), [member](auto& o) -> auto& { return o.*member; }, std::move(help));
  }
};

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

bool is_multi_topic(const consumer_options& o) {
  return !o.topics.empty() || !o.topics_pattern.empty();
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
constexpr const char* up_to_a_day = "1 ms to a day";
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
              "Where handlers run: on a thread of each processor, where they may block, or on the actor system's."),
    o::option("on_failure", &Options::on_failure,
              "What becomes of a message whose handler threw or took too long: the processor ends and is restarted, "
              "the broker delivers it again, or it goes to the dead-letter topic.")
      .allowed(std::is_same_v<Options, reader_options> ? "not nack, which a reader has not"
                                                       : "with several topics, dead_letter needs dead_letter_topic",
               [](const Options& r) {
                 if constexpr (std::is_same_v<Options, reader_options>)
                   return r.on_failure != failure_action::nack;
                 else
                   return r.on_failure != failure_action::dead_letter || r.dead_letter_topic || !is_multi_topic(r);
               }),
    o::option(
      "dead_letter_subscription", &Options::dead_letter_subscription,
      "A subscription that on_failure makes on the dead-letter topic, since the broker deletes a topic that has "
      "none; empty for none."),
    o::option("handler_timeout", &Options::handler_timeout,
              "How long a handler may take for a message or a batch; 0 is as long as it takes.")
      .between(milliseconds{0}, day, "0 to a day"),
    o::option("batch_size", &Options::batch_size, "With more than one, the handler gets batches of up to so many.")
      .between(1, 100'000)
      .allowed("at most max_demand", [](const Options& r) { return r.batch_size <= r.max_demand; }),
    o::option("batch_delay", &Options::batch_delay, "How long a batch waits to become full.")
      .between(milliseconds{1}, day, up_to_a_day),
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

// -- query strings ------------------------------------------------------------

template <class Options>
void append_query(std::string& path, const Options& o) {
  for (char separator = path.find('?') == std::string::npos ? '?' : '&'; const auto& row : rows<Options>())
    if (const auto value = row.query(o)) {
      path.append(1, separator).append(row.parameter).append("=").append(percent_encode(*value));
      separator = '&';
    }
}

std::string topic_path(std::string_view endpoint, const topic_name& topic) {
  return "/ws/v2/" + std::string{endpoint} + "/" + std::string{stargate::name_of(topic.persistence)} + "/"
         + percent_encode(topic.tenant) + "/" + percent_encode(topic.ns) + "/" + percent_encode(topic.topic);
}

} // namespace

bool parse_host(std::string_view text, host& value) {
  value = {};
  std::string_view port;
  if (text.starts_with('[')) { // an IPv6 address
    const auto end = text.find(']');
    if (end == std::string_view::npos)
      return false;
    value.name = text.substr(1, end - 1);
    port = text.substr(end + 1);
  } else {
    const auto colon = text.find(':');
    value.name = text.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
  }
  if (!port.empty() && (port.front() != ':' || !parse_number(port.substr(1), value.port)))
    return false;
  return !value.name.empty() && value.port != 0 && value.name.find_first_of("/?#@ ") == std::string::npos;
}

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
      .between(milliseconds{1}, day, up_to_a_day),
    o::option("ping_interval", &options::ping_interval, "A ping is sent when nothing was heard for so long.")
      .between(seconds{1}, seconds{250}, "1 to 250; the broker closes after 300 s of silence, proxies after 30"),
    o::option("pong_timeout", &options::pong_timeout, "A ping unanswered for so long is a lost connection.")
      .between(seconds{1}, seconds{250}),
    o::option("backoff", &options::backoff,
              "The wait before a reconnect doubles from first to most, less up to a half at random; a connection that "
              "lived for stable, or that brought a receipt or a handled message, starts it anew.")
      .allowed("first at least 1, most at least first",
               [](const options& t) {
                 return t.backoff.first.count() >= 1 && t.backoff.most >= t.backoff.first
                        && t.backoff.stable.count() >= 0;
               }),
    o::option("idle_check", &options::idle_check,
              "When nothing came for so long, the broker is asked by REST whether it still has the consumer or reader, "
              "whose topic may have been deleted and made again behind a connection that stands; if not, it connects "
              "anew. Not for a topics_pattern. 0 is never.")
      .between(milliseconds{0}, day, "0 to a day"),
    o::option("intensity", &options::intensity, "A supervisor with more restarts than this within period gives up.")
      .between(0, 1'000'000),
    o::option("period", &options::period, "See intensity.").between(seconds{1}, seconds{86'400}, "1 s to a day"),
    o::option("shutdown", &options::shutdown, "How long each actor may take to drain when the tree stops.")
      .between(milliseconds{1}, day, up_to_a_day),
    o::option("max_frame_size", &options::max_frame_size,
              "A larger frame of the broker is not taken: its message is not handled, which is logged with its id. The "
              "default has room for the largest message of a broker with its own defaults, in base64.")
      .between(65'536, 1 << 30, "64 KiB to 1 GiB, in bytes"),
    o::option("inspection_socket", &options::inspection_socket,
              "A Unix domain socket that tells this user what the tree looks like: `stargate tree`.")
      .allowed("a path of at most 107 bytes", [](const options& t) { return t.inspection_socket.size() <= 107; }),
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
      .between(milliseconds{1}, day, up_to_a_day),
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
      .between(milliseconds{1}, day, up_to_a_day)
      .allowed("needs batching", needs_batching(&p::batch_delay))
      .otherwise("the broker's, 1"),
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
                 [](const c& r) { return is_multi_topic(r) ? r.topic.topic.empty() : is_whole(r.topic); }),
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
        .between(milliseconds{0}, day, "0 to a day")
        .allowed(
          "not 1 to 999",
          [](const c& r) { return !r.ack_timeout || r.ack_timeout->count() == 0 || r.ack_timeout->count() >= 1000; })
        .otherwise("the broker's, 0: never"),
      o::option("negative_ack_redelivery_delay", &c::negative_ack_redelivery_delay,
                "How long after a nack the message is delivered again.")
        .parameter("negativeAckRedeliveryDelay")
        .between(milliseconds{0}, day, "0 to a day")
        .otherwise("the broker's, 60000"),
      o::option("max_redeliver_count", &c::max_redeliver_count,
                "After so many redeliveries the broker moves a message to the dead-letter topic.")
        .parameter("maxRedeliverCount")
        .between(1, 1'000'000)
        .allowed("needs type shared or key_shared", [](const c& r) { return !r.max_redeliver_count || is_shared(r); })
        .allowed("with several topics, dead_letter_topic",
                 [](const c& r) { return !r.max_redeliver_count || r.dead_letter_topic || !is_multi_topic(r); })
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

std::string request_path(const producer_options& o) {
  auto path = topic_path("producer", o.topic);
  append_query(path, o);
  return path;
}

std::string request_path(const consumer_options& o) {
  auto path = is_multi_topic(o) ? "/ws/v3/consumer/" + percent_encode(o.subscription)
                                : topic_path("consumer", o.topic) + "/" + percent_encode(o.subscription);
  append_query(path, o);
  return path;
}

std::string request_path(const reader_options& o) {
  auto path = topic_path("reader", o.topic);
  append_query(path, o);
  return path;
}

std::vector<std::string> doubts(const options& o) {
  std::set<std::string> in_batches;
  for (const auto& p : o.producers)
    if (p.batching == true)
      in_batches.insert(to_string(p.topic));
  std::vector<std::string> all;
  for (const auto& c : o.consumers)
    if (c.type == subscription_type::key_shared)
      for (const auto& topic : c.topics.empty() ? std::vector{c.topic} : c.topics)
        if (in_batches.contains(to_string(topic)))
          all.push_back("the producer of " + to_string(topic) + " has batching, and the consumer '" + c.subscription
                        + "' has type key_shared: a batch goes to one consumer, whatever the keys of its messages, so "
                          "that a key comes to several; leave batching off");
  return all;
}

topic_name dead_letter_topic_of(const consumer_options& o) {
  if (o.dead_letter_topic)
    if (auto given = parse_topic(*o.dead_letter_topic))
      return std::move(*given);
  auto topic = registered_topic(o);
  topic.topic += "-" + o.subscription + "-DLQ";
  return topic;
}

topic_name dead_letter_topic_of(const reader_options& o) {
  auto given = parse_topic(o.dead_letter_topic.value_or(""));
  return given ? std::move(*given) : topic_name{};
}

topic_name registered_topic(const consumer_options& o) {
  if (!o.topics_pattern.empty()) {
    auto parsed = parse_topic(o.topics_pattern);
    return parsed ? std::move(*parsed) : topic_name{};
  }
  if (o.topics.empty())
    return o.topic;
  auto topic = o.topics.front();
  for (std::size_t i = 1; i < o.topics.size(); ++i)
    topic.topic += "," + o.topics[i].topic;
  return topic;
}

} // namespace protocol

// -- validation and documentation ---------------------------------------------

namespace {

template <class Options>
void check(const std::string& where, const Options& o, std::vector<std::string>& mistakes) {
  for (const auto& row : protocol::rows<Options>())
    if (!row.is_allowed(o))
      mistakes.push_back(where + row.name + " is '" + row.value(o).value_or("") + "', allowed is " + row.allowed);
}

template <class Options, class Identity>
void check_list(const std::string& list, const std::vector<Options>& parts, Identity identity, std::string_view once,
                std::vector<std::string>& mistakes) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto where = list + "[" + std::to_string(i) + "].";
    check(where, parts[i], mistakes);
    const auto [topic, all] = identity(parts[i]);
    if (!seen.insert(all).second)
      mistakes.push_back(where + "topic is '" + topic + "' again, allowed is " + std::string{once});
  }
}

template <class Options>
void describe(std::string& out, std::string_view title) {
  out.append("### ").append(title).append("\n\n");
  out.append("| option | type | default | allowed | parameter | what it does |\n|---|---|---|---|---|---|\n");
  for (const auto& row : protocol::rows<Options>()) {
    out.append("| `").append(row.name).append("` | ").append(row.type).append(" | ").append(row.standard).append(" | ");
    out.append(row.allowed).append(" | ");
    if (!row.parameter.empty())
      out.append("`").append(row.parameter).append("`");
    out.append(" | ").append(row.help).append(" |\n");
  }
  out.append("\n");
}

} // namespace

caf::error validate(const options& o) {
  using identity = std::pair<std::string, std::string>;
  std::vector<std::string> mistakes;
  check("", o, mistakes);
  check_list(
    "producers", o.producers,
    [](const producer_options& p) {
      return identity{to_string(p.topic), to_string(p.topic)};
    },
    "one producer a topic in one tree", mistakes);
  check_list(
    "consumers", o.consumers,
    [](const consumer_options& c) {
      const auto topic = to_string(protocol::registered_topic(c));
      return identity{topic, topic + '\n' + c.subscription};
    },
    "one consumer a topic and subscription in one tree", mistakes);
  check_list(
    "readers", o.readers,
    [](const reader_options& r) {
      return identity{to_string(r.topic), to_string(r.topic) + '\n' + r.reader_name.value_or("")};
    },
    "one reader a topic in one tree, unless each has a reader_name of its own", mistakes);
  if (mistakes.empty())
    return {};
  std::string text;
  for (const auto& mistake : mistakes)
    text += (text.empty() ? "" : "; ") + mistake;
  return make_error(errc::invalid_option, std::move(text));
}

std::string options_as_markdown() {
  std::string out;
  describe<options>(out, "The tree: `stargate::options`");
  describe<producer_options>(out, "A producer: `stargate::producer_options`");
  describe<consumer_options>(out, "A consumer: `stargate::consumer_options`");
  describe<reader_options>(out, "A reader: `stargate::reader_options`");
  return out;
}

} // namespace stargate
