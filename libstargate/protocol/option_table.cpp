#include "libstargate/protocol/option_table.hpp"

#include "libstargate/protocol/percent.hpp"

#include <stargate/error.hpp>

#include <array>
#include <set>
#include <type_traits>
#include <vector>

namespace stargate {

namespace protocol {

namespace {

// -- values as text -----------------------------------------------------------

std::string text_of(const std::string& value) {
  return value;
}
std::string text_of(const topic_name& value) {
  return to_string(value);
}
std::string text_of(const start_at& value) {
  return value.text();
}
std::string text_of(const handler_factory& value) {
  return value ? "set" : "not set";
}
std::string text_of(subscription_type value) {
  return std::string{name_of(value)};
}
std::string text_of(initial_position value) {
  return std::string{name_of(value)};
}
std::string text_of(run_on value) {
  return value == run_on::own_thread ? "own_thread" : "scheduler";
}
std::string text_of(const backoff_options& value) {
  return std::to_string(value.first.count()) + " to " + std::to_string(value.most.count()) + " ms, stable after "
         + std::to_string(value.stable.count()) + " ms";
}
std::string text_of(const std::vector<host>& value) {
  std::string text;
  for (const auto& h : value)
    text += (text.empty() ? "" : ", ") + h.name + ":" + std::to_string(h.port);
  return text;
}
template <class Rep, class Period>
std::string text_of(std::chrono::duration<Rep, Period> value) {
  return std::to_string(value.count());
}
template <class Number>
requires std::is_arithmetic_v<Number> std::string text_of(Number value) {
  return std::to_string(value);
}

template <class Options, class Member>
auto value_of(Member Options::*member) {
  return [member](const Options& o) -> std::optional<std::string> { return text_of(o.*member); };
}
template <class Options, class Member>
auto value_of(std::optional<Member> Options::*member) {
  return [member](const Options& o) -> std::optional<std::string> {
    return o.*member ? std::optional{text_of(*(o.*member))} : std::nullopt;
  };
}

// -- what is allowed ----------------------------------------------------------

template <class Options>
bool anything(const Options&) {
  return true;
}

template <class Options, class Member, class Bound>
auto between(Member Options::*member, Bound low, Bound high) {
  return [=](const Options& o) { return o.*member >= Member(low) && o.*member <= Member(high); };
}
template <class Options, class Member, class Bound>
auto between(std::optional<Member> Options::*member, Bound low, Bound high) {
  return
    [=](const Options& o) { return !(o.*member) || (*(o.*member) >= Member(low) && *(o.*member) <= Member(high)); };
}
template <class Options>
auto not_empty(std::string Options::*member) {
  return [=](const Options& o) { return !(o.*member).empty(); };
}
template <class Options>
auto not_empty(std::optional<std::string> Options::*member) {
  return [=](const Options& o) { return !(o.*member) || !(o.*member)->empty(); };
}

template <class Options>
bool has_topic(const Options& o) {
  return !o.topic.tenant.empty() && !o.topic.ns.empty() && !o.topic.topic.empty();
}

bool has_hosts(const options& o) {
  bool fine = !o.hosts.empty();
  for (const auto& h : o.hosts)
    fine = fine && !h.name.empty() && h.port != 0 && h.name.find_first_of("/@ \t\r\n") == std::string::npos;
  return fine;
}

bool has_backoff(const options& o) {
  return o.backoff.first.count() >= 1 && o.backoff.most >= o.backoff.first && o.backoff.stable.count() >= 0;
}

constexpr std::chrono::milliseconds day{86'400'000};
using std::chrono::milliseconds;
using std::chrono::seconds;

template <class Options>
option_row<Options> topic_row() {
  return {"topic",
          "topic_name",
          "none",
          "tenant, namespace and topic, none of them empty",
          "",
          "The topic; it is part of the path.",
          value_of(&Options::topic),
          has_topic<Options>};
}

/// The rows that consumers and readers share.
template <class Options>
std::vector<option_row<Options>> receiver_rows() {
  return {
    {"processors", "count", "1", "1 to 1024", "", "How many handlers work at the same time.",
     value_of(&Options::processors), between(&Options::processors, 1, 1024)},
    {"handler", "handler_factory", "none", "a handler", "", "What is done with each message.",
     value_of(&Options::handler), [](const Options& o) { return static_cast<bool>(o.handler); }},
    {"max_demand", "messages", "100", "1 to 1000000", "", "At most this many messages wait at a processor.",
     value_of(&Options::max_demand), between(&Options::max_demand, 1, 1'000'000)},
    {"min_demand", "messages", "50", "less than max_demand", "", "A processor asks for more when so few are left.",
     value_of(&Options::min_demand), [](const Options& o) { return o.min_demand < o.max_demand; }},
    {"receiver_queue_size", "messages", "the broker's, 1000", "1 to 1000", "receiverQueueSize",
     "At most this many messages are unacknowledged.", value_of(&Options::receiver_queue_size),
     between(&Options::receiver_queue_size, 1, 1000)},
    {"run_on", "own_thread, scheduler", "own_thread", "", "",
     "Where handlers run: on a thread of each processor, where they may block, or on the actor system's.",
     value_of(&Options::run_on), anything<Options>},
  };
}

template <class Options>
std::vector<option_row<Options>> joined(std::vector<option_row<Options>> rows, std::vector<option_row<Options>> more) {
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

// -- query strings ------------------------------------------------------------

template <class Options>
std::string query(std::span<const option_row<Options>> rows, const Options& o) {
  std::string result;
  for (const auto& row : rows) {
    if (row.parameter.empty())
      continue;
    if (const auto value = row.value(o))
      result.append(result.empty() ? "?" : "&").append(row.parameter).append("=").append(percent_encode(*value));
  }
  return result;
}

std::string topic_path(std::string_view endpoint, const topic_name& topic) {
  return "/ws/v2/" + std::string{endpoint} + "/" + std::string{stargate::name_of(topic.persistence)} + "/"
         + percent_encode(topic.tenant) + "/" + percent_encode(topic.ns) + "/" + percent_encode(topic.topic);
}

} // namespace

// -- the table ----------------------------------------------------------------

std::span<const option_row<options>> tree_rows() {
  static const std::vector<option_row<options>> rows{
    {"name", "text", "default", "not empty", "", "Tells trees in one actor system apart.", value_of(&options::name),
     not_empty(&options::name)},
    {"hosts", "list of host and port", "localhost:8080", "at least one; names without blanks or slashes, ports from 1",
     "", "The brokers' web ports, tried in turn.", value_of(&options::hosts), has_hosts},
    {"connect_timeout", "ms", "10000", "1 ms to a day", "", "Bounds one attempt to connect, the handshake included.",
     value_of(&options::connect_timeout), between(&options::connect_timeout, milliseconds{1}, day)},
    {"ping_interval", "s", "10", "1 to 250; the broker closes after 300 s of silence, proxies after 30", "",
     "A ping is sent when nothing was heard for so long.", value_of(&options::ping_interval),
     between(&options::ping_interval, seconds{1}, seconds{250})},
    {"pong_timeout", "s", "5", "1 to 250", "", "A ping unanswered for so long is a lost connection.",
     value_of(&options::pong_timeout), between(&options::pong_timeout, seconds{1}, seconds{250})},
    {"backoff", "first, most, stable in ms", "100, 30000, 10000", "first at least 1, most at least first", "",
     "The wait before a reconnect doubles from first to most, less up to a half at random; a connection that lived "
     "for stable starts it anew.",
     value_of(&options::backoff), has_backoff},
    {"intensity", "restarts", "3", "0 to 1000000", "",
     "A supervisor with more restarts than this within period gives up.", value_of(&options::intensity),
     between(&options::intensity, 0u, 1'000'000u)},
    {"period", "s", "5", "1 s to a day", "", "See intensity.", value_of(&options::period),
     between(&options::period, seconds{1}, seconds{86'400})},
    {"shutdown", "ms", "5000", "1 ms to a day", "", "How long each actor may take to drain when the tree stops.",
     value_of(&options::shutdown), between(&options::shutdown, milliseconds{1}, day)},
  };
  return rows;
}

std::span<const option_row<producer_options>> producer_rows() {
  using o = producer_options;
  static const std::vector<option_row<o>> rows{
    topic_row<o>(),
    {"send_timeout", "ms", "30000", "1 ms to a day", "sendTimeoutMillis",
     "How long a message may wait for its receipt, reconnects included.", value_of(&o::send_timeout),
     between(&o::send_timeout, milliseconds{1}, day)},
    {"max_pending", "messages", "1000", "1 to 1000000", "",
     "How many messages may await their receipts: then a blocking produce waits, an asynchronous one is refused.",
     value_of(&o::max_pending), between(&o::max_pending, 1, 1'000'000)},
    {"producer_name", "text", "the broker makes one up", "not empty", "producerName", "The producer's name.",
     value_of(&o::producer_name), not_empty(&o::producer_name)},
  };
  return rows;
}

std::span<const option_row<consumer_options>> consumer_rows() {
  using o = consumer_options;
  static const auto rows = joined<o>(
    {
      topic_row<o>(),
      {"subscription", "text", "none", "not empty", "", "The subscription; it is part of the path.",
       value_of(&o::subscription), not_empty(&o::subscription)},
      {"type", "exclusive, failover, shared, key_shared", "exclusive", "", "subscriptionType",
       "How the consumers of one subscription share its messages.", value_of(&o::type), anything<o>},
      {"position", "latest, earliest", "latest", "", "subscriptionInitialPosition", "Where a new subscription begins.",
       value_of(&o::position), anything<o>},
      {"consumer_name", "text", "the broker makes one up", "not empty", "consumerName", "The consumer's name.",
       value_of(&o::consumer_name), not_empty(&o::consumer_name)},
      {"negative_ack_redelivery_delay", "ms", "the broker's, 60000", "0 to a day", "negativeAckRedeliveryDelay",
       "How long after a nack the message is delivered again.", value_of(&o::negative_ack_redelivery_delay),
       between(&o::negative_ack_redelivery_delay, milliseconds{0}, day)},
    },
    receiver_rows<o>());
  return rows;
}

std::span<const option_row<reader_options>> reader_rows() {
  using o = reader_options;
  static const auto rows = joined<o>(
    {
      topic_row<o>(),
      {"start", "latest, earliest, or an id", "latest", "not empty", "messageId",
       "Where the reader begins; with an id, behind that message.", value_of(&o::start),
       [](const o& r) { return !r.start.text().empty(); }},
      {"reader_name", "text", "the broker makes one up", "not empty", "readerName",
       "The reader's name; it tells readers of one topic in one tree apart.", value_of(&o::reader_name),
       not_empty(&o::reader_name)},
    },
    receiver_rows<o>());
  return rows;
}

std::string_view name_of(subscription_type type) noexcept {
  switch (type) {
    case subscription_type::exclusive: return "Exclusive";
    case subscription_type::failover: return "Failover";
    case subscription_type::shared: return "Shared";
    case subscription_type::key_shared: return "Key_Shared";
  }
  return "Exclusive";
}

std::string_view name_of(initial_position position) noexcept {
  return position == initial_position::latest ? "Latest" : "Earliest";
}

std::string request_path(const producer_options& o) {
  return topic_path("producer", o.topic) + query(producer_rows(), o);
}

std::string request_path(const consumer_options& o) {
  return topic_path("consumer", o.topic) + "/" + percent_encode(o.subscription) + query(consumer_rows(), o);
}

std::string request_path(const reader_options& o) {
  return topic_path("reader", o.topic) + query(reader_rows(), o);
}

} // namespace protocol

// -- validation and documentation ---------------------------------------------

namespace {

template <class Options>
void check(const std::string& where, std::span<const protocol::option_row<Options>> rows, const Options& o,
           std::vector<std::string>& mistakes) {
  for (const auto& row : rows)
    if (!row.is_allowed(o))
      mistakes.push_back(where + std::string{row.name} + " is '" + row.value(o).value_or("") + "', allowed is "
                         + std::string{row.allowed});
}

template <class Options, class Identity>
void check_list(const std::string& list, std::span<const protocol::option_row<Options>> rows,
                const std::vector<Options>& parts, Identity identity, std::string_view once,
                std::vector<std::string>& mistakes) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto where = list + "[" + std::to_string(i) + "].";
    check(where, rows, parts[i], mistakes);
    if (!seen.insert(identity(parts[i])).second)
      mistakes.push_back(where + "topic is '" + to_string(parts[i].topic) + "' again, allowed is " + std::string{once});
  }
}

template <class Options>
void describe(std::string& out, std::string_view title, std::span<const protocol::option_row<Options>> rows) {
  out.append("### ").append(title).append("\n\n");
  out.append("| option | type | default | allowed | parameter | what it does |\n|---|---|---|---|---|---|\n");
  for (const auto& row : rows) {
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
  std::vector<std::string> mistakes;
  check("", protocol::tree_rows(), o, mistakes);
  check_list(
    "producers", protocol::producer_rows(), o.producers, [](const producer_options& p) { return to_string(p.topic); },
    "one producer a topic in one tree", mistakes);
  check_list(
    "consumers", protocol::consumer_rows(), o.consumers,
    [](const consumer_options& c) { return to_string(c.topic) + '\n' + c.subscription; },
    "one consumer a topic and subscription in one tree", mistakes);
  check_list(
    "readers", protocol::reader_rows(), o.readers,
    [](const reader_options& r) { return to_string(r.topic) + '\n' + r.reader_name.value_or(""); },
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
  describe(out, "The tree: `stargate::options`", protocol::tree_rows());
  describe(out, "A producer: `stargate::producer_options`", protocol::producer_rows());
  describe(out, "A consumer: `stargate::consumer_options`", protocol::consumer_rows());
  describe(out, "A reader: `stargate::reader_options`", protocol::reader_rows());
  return out;
}

} // namespace stargate
