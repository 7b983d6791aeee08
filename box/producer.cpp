#include "box/producer.hpp"

#include "box/hashing.hpp"
#include "box/java.hpp"

#include "libstargate/protocol/instant.hpp"
#include "libstargate/protocol/json.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace stargate::box {

namespace {

constexpr micros reconnect_delay = 100 * millisecond;
constexpr micros time_to_write = 2 * millisecond;
constexpr std::size_t batch_bytes = 128u << 10u;   // batchingMaxBytes
constexpr std::int64_t latest = 9'999'999'999'999; // 2286: what is to be delivered later, nobody waits for
constexpr int cannot_parse = 3;
constexpr int cannot_decode = 7;
constexpr int unknown_error = 8;

using context = std::optional<std::string>;

class producer;

/// What goes to one topic, or to one partition.
class client_producer final : public publisher, public std::enable_shared_from_this<client_producer> {
public:
  client_producer(producer& of, std::shared_ptr<topic> to, std::uint64_t next)
    : owner_{of},
      topic_{std::move(to)},
      next_{next} {}
  ~client_producer() override;

  bool attach();
  void send(message m, context c);
  void flush();
  void be_cut_off() override;

  const std::shared_ptr<topic>& to() const { return topic_; }

private:
  struct group {
    std::vector<message> messages;
    std::vector<context> contexts;
    std::int64_t last_number = 0;
  };
  void publish(group g);

  producer& owner_;
  std::shared_ptr<topic> topic_;
  std::uint64_t next_; ///< The number of the next message; it goes round, as Java's does.
  group batch_;
  std::size_t batch_size_ = 0;
  bool flush_is_due_ = false;
  bool attached_ = false;
  std::vector<group> waiting_; ///< Until it is attached again.
};

class producer final : public connection, public std::enable_shared_from_this<producer> {
public:
  producer(catalogue& all, producer_settings s, std::shared_ptr<peer> to)
    : all_{all},
      settings_{std::move(s)},
      peer_{std::move(to)},
      name_{settings_.name ? *settings_.name : "standalone-0-" + std::to_string(all_.new_number())} {}

  void begin(const std::string& topic_name) {
    for (const auto& part : all_.parts_of(topic_name)) {
      auto to = all_.open(part);
      if (to->is_terminated)
        throw refusal{503,
                      "org.apache.pulsar.broker.service.BrokerServiceException$TopicTerminatedException: Topic was "
                      "already terminated"};
      const auto before = settings_.initial_sequence ? *settings_.initial_sequence : to->last_number(name_);
      const auto first = static_cast<std::uint64_t>(before) + 1;
      producers_.push_back(std::make_shared<client_producer>(*this, to, first));
      if (!producers_.back()->attach())
        throw refusal{409,
                      "org.apache.pulsar.broker.service.BrokerServiceException$NamingException: Producer with name '"
                        + name_ + "' is already connected to topic '" + part + "'"};
    }
  }

  void on_frame(std::string_view text) override;

  void refuse(int code, const std::string& why, const context& c) {
    std::string frame = R"({"result":"send-error:)" + std::to_string(code) + R"(","errorMsg":)";
    static_cast<void>(protocol::json::append_string(frame, why));
    end(std::move(frame), c);
  }
  void receipt(const message_id& id, const context& c) { end(R"({"result":"ok","messageId":")" + id.text() + '"', c); }
  void settled(std::size_t messages) { pending_ -= std::min(pending_, messages); }

  catalogue& all() { return all_; }
  const producer_settings& settings() const { return settings_; }
  const std::string& name() const { return name_; }

private:
  void end(std::string frame, const context& c) {
    if (c) {
      frame += R"(,"context":)";
      static_cast<void>(protocol::json::append_string(frame, *c));
    }
    peer_->send(frame + R"(,"errorCode":0,"schemaVersion":0})");
  }
  client_producer& route(const message& m) {
    if (producers_.size() == 1)
      return *producers_.front();
    if (m.key) {
      const auto hash = settings_.murmur ? murmur3_32_hash(*m.key) : java_string_hash(*m.key);
      return *producers_[static_cast<std::size_t>(hash) % producers_.size()];
    }
    return *producers_[settings_.round_robin ? turn_++ % producers_.size() : 0];
  }

  catalogue& all_;
  const producer_settings settings_;
  const std::shared_ptr<peer> peer_;
  const std::string name_;
  std::vector<std::shared_ptr<client_producer>> producers_;
  std::size_t turn_ = 0;
  std::size_t pending_ = 0; ///< Messages without a receipt.
};

// -- frames ---------------------------------------------------------------------------

/// @throws std::invalid_argument
std::vector<std::pair<std::string, std::string>> properties_of(const rapidjson::Value& json) {
  std::vector<std::pair<std::string, std::string>> all;
  const auto found = json.FindMember("properties");
  if (found == json.MemberEnd() || found->value.IsNull())
    return all;
  if (!found->value.IsObject())
    throw std::invalid_argument{
      "Cannot deserialize value of type `java.util.LinkedHashMap<java.lang.String,java.lang.String>`"};
  for (const auto& [name, value] : found->value.GetObject())
    all.emplace_back(protocol::json::view(name), text_member(found->value, name.GetString()).value_or(""));
  return all;
}

void producer::on_frame(std::string_view frame) {
  std::string text{frame};
  protocol::json::document json;
  context c;
  message m;
  std::optional<std::string> payload;
  std::optional<std::string> event_time;
  std::optional<std::int64_t> deliver_at;
  std::optional<std::int64_t> deliver_after;
  std::optional<std::string> encryption;
  try {
    parse_frame(text, json);
    c = text_member(json, "context");
    payload = text_member(json, "payload");
    m.key = text_member(json, "key");
    m.properties = properties_of(json);
    event_time = text_member(json, "eventTime");
    deliver_at = number_member<std::int64_t>(json, "deliverAt");
    deliver_after = number_member<std::int64_t>(json, "deliverAfterMs");
    encryption = text_member(json, "encryptionParam");
  } catch (const std::invalid_argument& e) {
    return refuse(cannot_parse, e.what(), std::nullopt);
  }
  if (!payload)
    return refuse(cannot_decode, R"-(Cannot invoke "String.getBytes(java.nio.charset.Charset)" because "src" is null)-",
                  c);
  if (const auto why = normalize_base64(*payload, m.payload))
    return refuse(cannot_decode, "Invalid Base64 message-payload error=" + *why, c);
  if (event_time) {
    std::chrono::system_clock::time_point at;
    if (!protocol::parse_instant(*event_time, at))
      return refuse(cannot_decode, "Text '" + *event_time + "' could not be parsed at index 0", c);
    m.event_time = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  }
  m.publish_time = all_.time.wall();
  if (deliver_at)
    m.deliver_at = std::clamp<std::int64_t>(*deliver_at, 0, latest);
  else if (deliver_after && *deliver_after > 0)
    m.deliver_at = m.publish_time + std::min(*deliver_after, latest - m.publish_time);
  if (encryption && !settings_.encryption_keys.empty()) {
    m.encryption = R"({"keys":)" + settings_.encryption_keys + R"(,"param":")" + *encryption
                   + R"(","algorithm":null,"compressionType":"NONE","uncompressedMessageSize":0,"batchSize":1})";
  }
  if (settings_.most_pending > 0 && pending_ >= settings_.most_pending)
    return refuse(unknown_error,
                  "org.apache.pulsar.client.api.PulsarClientException$ProducerQueueIsFullError: Producer send queue is "
                  "full",
                  c);
  ++pending_;
  route(m).send(std::move(m), std::move(c));
}

// -- one topic ------------------------------------------------------------------------

client_producer::~client_producer() {
  topic_->remove_publisher(owner_.name(), *this);
}

bool client_producer::attach() {
  attached_ = topic_->add_publisher(owner_.name(), *this);
  return attached_;
}

void client_producer::be_cut_off() {
  attached_ = false;
  topic_->time.after(reconnect_delay, weak_from_this(), [this] {
    if (attached_)
      return;
    try {
      topic_ = owner_.all().open(topic_->name);
    } catch (const refusal&) {
      return be_cut_off();
    }
    if (!attach())
      return be_cut_off();
    for (auto& g : std::exchange(waiting_, {}))
      publish(std::move(g));
  });
}

void client_producer::send(message m, context c) {
  const auto& s = owner_.settings();
  const auto number = static_cast<std::int64_t>(next_++);
  if (!s.batches || m.deliver_at != 0) {
    flush();
    return publish({{std::move(m)}, {std::move(c)}, number});
  }
  batch_size_ += m.payload.size() / 4 * 3;
  batch_.messages.push_back(std::move(m));
  batch_.contexts.push_back(std::move(c));
  batch_.last_number = number;
  if (batch_.messages.size() >= s.batch_messages || batch_size_ >= batch_bytes)
    return flush();
  if (std::exchange(flush_is_due_, true))
    return;
  topic_->time.after(s.batch_delay, weak_from_this(), [this] {
    flush_is_due_ = false;
    flush();
  });
}

void client_producer::flush() {
  batch_size_ = 0;
  if (!batch_.messages.empty())
    publish(std::exchange(batch_, {}));
}

void client_producer::publish(group g) {
  if (!attached_) {
    waiting_.push_back(std::move(g));
    return;
  }
  const auto size = g.messages.size();
  auto receipt = topic_->publish(owner_.name(), g.last_number, std::move(g.messages), size > 1);
  const auto answer = [this, receipt = std::move(receipt), contexts = std::move(g.contexts), on = topic_] {
    owner_.settled(contexts.size());
    for (std::size_t i = 0; i < contexts.size(); ++i) {
      if (!receipt.failure.empty()) {
        owner_.refuse(unknown_error, receipt.failure, contexts[i]);
        continue;
      }
      message_id id{receipt.at};
      if (receipt.at.ledger >= 0) {
        id.partition = on->partition;
        id.batch_index = contexts.size() > 1 ? static_cast<std::int32_t>(i) : -1;
      }
      owner_.receipt(id, contexts[i]);
    }
  };
  if (owner_.settings().most_pending == 0)
    answer();
  else // what comes at once finds the queue as full as it would be while the broker writes
    topic_->time.after(time_to_write, weak_from_this(), answer);
}

} // namespace

std::shared_ptr<connection> make_producer(catalogue& all, const std::string& topic, producer_settings s,
                                          std::shared_ptr<peer> to) {
  auto made = std::make_shared<producer>(all, std::move(s), std::move(to));
  made->begin(topic);
  return made;
}

} // namespace stargate::box
