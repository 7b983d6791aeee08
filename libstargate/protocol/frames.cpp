#include "libstargate/protocol/frames.hpp"

#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/crypto.hpp"
#include "libstargate/protocol/instant.hpp"
#include "libstargate/protocol/json.hpp"
#include "libstargate/protocol/plain_frames.hpp"

#include <stargate/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace stargate::protocol {

namespace {

using rapidjson::Value;

caf::error not_utf8(std::string_view what) {
  return make_error(errc::invalid_message, std::string{what} + " is not UTF-8; only a payload may hold any bytes");
}

caf::error violation(std::string_view what) {
  return make_error(errc::protocol_violation, "the broker sent " + std::string{what});
}

// An error names where a frame is wrong and how long it is, never what it holds: payloads do not belong into logs.
caf::error not_json(const json::document& document, std::size_t size) {
  return violation("a frame of " + std::to_string(size) + " bytes that is not a JSON object (offset "
                   + std::to_string(document.GetErrorOffset()) + ")");
}

caf::error without_payload(const message_id& id) {
  return violation("the message " + id.value + " without a payload in base64");
}

template <class Integer>
bool parse_integer(std::string_view text, Integer& value) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc{} && end == text.data() + text.size();
}

// An id goes back into frames as it came, so it must not end a JSON string.
bool is_message_id(std::string_view id) {
  return !id.empty()
         && std::none_of(id.begin(), id.end(), [](unsigned char c) { return c == '"' || c == '\\' || c < ' '; });
}

bool decode_member(const Value& object, const char* name, std::string& out) {
  const auto* text = json::find_string(object, name);
  return text == nullptr || decode_base64(json::view(*text), out);
}

std::shared_ptr<const encryption_context> decode_encryption(const Value& object) {
  auto context = std::make_shared<encryption_context>();
  if (const auto keys = object.FindMember("keys"); keys != object.MemberEnd() && keys->value.IsObject())
    for (const auto& [name, value] : keys->value.GetObject()) {
      auto& key = context->keys[std::string{json::view(name)}];
      if (!value.IsObject() || !decode_member(value, "keyValue", key.value))
        return nullptr;
      if (const auto metadata = value.FindMember("metadata");
          metadata != value.MemberEnd() && metadata->value.IsObject())
        for (const auto& [field, text] : metadata->value.GetObject())
          if (text.IsString())
            key.metadata.emplace(json::view(field), json::view(text));
    }
  if (!decode_member(object, "param", context->param))
    return nullptr;
  if (const auto* algorithm = json::find_string(object, "algorithm"))
    context->algorithm = json::view(*algorithm);
  if (const auto* compression = json::find_string(object, "compressionType"))
    context->compression = json::view(*compression);
  if (const auto size = object.FindMember("uncompressedMessageSize");
      size != object.MemberEnd() && size->value.IsUint())
    context->uncompressed_size = size->value.GetUint();
  if (const auto size = object.FindMember("batchSize"); size != object.MemberEnd()) {
    if (size->value.IsInt())
      context->batch_size = size->value.GetInt();
    else if (size->value.IsObject()) // Java's Optional, as some brokers write it
      if (const auto inner = size->value.FindMember("value"); inner != size->value.MemberEnd() && inner->value.IsInt())
        context->batch_size = inner->value.GetInt();
  }
  return context;
}

} // namespace

caf::expected<frame_text> encode_message(message content, std::uint64_t sequence, const encryptor* encrypts) {
  auto payload = content.shared_payload ? payload_bytes{std::move(content.shared_payload)}
                                        : payload_bytes{std::move(content.payload)};
  encryptor::sealed sealed;
  if (encrypts != nullptr) {
    try {
      sealed = encrypts->seal(payload.view());
    } catch (const std::exception& e) {
      return make_error(errc::crypto_failed, e.what());
    }
    payload = payload_bytes{std::move(sealed.payload)};
  }
  constexpr std::string_view begin = R"({"payload":")";
  std::string frame;
  frame.reserve(64 + (content.key ? content.key->size() + 16 : 0) + content.properties.size() * 48);
  frame += begin;
  frame += R"(","context":")";
  frame += std::to_string(sequence);
  frame += '"';
  if (encrypts != nullptr) {
    frame += R"(,"encryptionParam":")";
    append_base64(frame, sealed.param);
    frame += '"';
  }
  if (content.key) {
    frame += R"(,"key":)";
    if (!json::append_string(frame, *content.key))
      return not_utf8("the message's key");
  }
  if (!content.properties.empty()) {
    frame += R"(,"properties":)";
    char separator = '{';
    for (const auto& [name, value] : content.properties) {
      frame += separator;
      if (!json::append_string(frame, name))
        return not_utf8("the name of a property");
      frame += ':';
      if (!json::append_string(frame, value))
        return not_utf8("the property '" + name + "'");
      separator = ',';
    }
    frame += '}';
  }
  if (!content.replication_clusters.empty()) {
    frame += R"(,"replicationClusters":)";
    char separator = '[';
    for (const auto& cluster : content.replication_clusters) {
      frame += separator;
      if (!json::append_string(frame, cluster))
        return not_utf8("the name of a cluster");
      separator = ',';
    }
    frame += ']';
  }
  if (content.event_time)
    frame += R"(,"eventTime":")" + format_instant(*content.event_time) + '"';
  if (content.deliver_at)
    frame +=
      R"(,"deliverAt":)"
      + std::to_string(std::chrono::floor<std::chrono::milliseconds>(content.deliver_at->time_since_epoch()).count());
  if (content.deliver_after)
    frame += R"(,"deliverAfterMs":)" + std::to_string(content.deliver_after->count());
  frame += '}';
  frame_text result{std::move(frame), begin.size(), std::move(payload)};
  if (const auto size = result.size(); size > max_frame_size)
    return make_error(errc::message_too_large,
                      "the message is " + std::to_string(size) + " bytes once encoded, and a broker takes "
                        + std::to_string(max_frame_size) + " (a payload of about 780,000 bytes): split it");
  return result;
}

bool is_end_of_producer(std::string_view failure) {
  constexpr std::array<std::string_view, 4> texts{"roducer already closed", "AlreadyClosedException",
                                                  "roducer was fenced", "ProducerFencedException"};
  return std::any_of(texts.begin(), texts.end(),
                     [&](std::string_view text) { return failure.find(text) != std::string_view::npos; });
}

caf::expected<std::variant<receipt, nameless_failure>> decode_receipt(std::string& frame) {
  if (auto plain = read_plain_receipt(frame))
    return std::variant<receipt, nameless_failure>{*std::move(plain)};
  const auto size = frame.size();
  json::document document;
  document.ParseInsitu<json::parse_flags>(frame.data());
  if (document.HasParseError() || !document.IsObject())
    return not_json(document, size);
  const auto* result = json::find_string(document, "result");
  if (result == nullptr)
    return violation("a receipt without a result");
  const auto* context = json::find_string(document, "context");
  receipt answer;
  const bool named = context != nullptr && parse_integer(json::view(*context), answer.sequence);
  if (json::view(*result) == "ok") {
    const auto* id = json::find_string(document, "messageId");
    if (!named || id == nullptr)
      return violation("a receipt without a context or a message id");
    answer.id.value = json::view(*id);
    return std::variant<receipt, nameless_failure>{std::move(answer)};
  }
  answer.failure = json::view(*result);
  if (const auto* text = json::find_string(document, "errorMsg"))
    answer.failure.append(": ").append(json::view(*text));
  if (!named)
    return std::variant<receipt, nameless_failure>{nameless_failure{std::move(answer.failure)}};
  return std::variant<receipt, nameless_failure>{std::move(answer)};
}

namespace {

constexpr std::size_t worth_keeping = 16u << 10; // characters; a frame of that size is mostly payload

/// Decodes a payload that stands in `frame`. A large one is decoded where it stands, and takes over the frame's memory.
bool take_payload(std::string& frame, std::string_view text, std::string& payload) {
  if (text.size() < worth_keeping)
    return decode_base64(text, payload);
  const bool is_good = decode_base64_in_place(frame, static_cast<std::size_t>(text.data() - frame.data()), text.size());
  payload = std::move(frame);
  return is_good;
}

/// Where in a frame its payload seems to be; empty when it is not written as brokers write it.
std::string_view find_payload(std::string_view frame) {
  constexpr std::string_view member = R"(,"payload":")";
  const auto begin = frame.find(member);
  if (begin == std::string_view::npos)
    return {};
  frame.remove_prefix(begin + member.size());
  return frame.substr(0, frame.find('"'));
}

/// Parses in place what describes a message, and decodes its payload. The payload is most of a frame, and RapidJSON
/// would look at every character of it to find that there is nothing to see: so `rest`, the frame without it, is
/// parsed.
enum class payload_state : std::uint8_t {
  decoded,
  bad,
  in_document, ///< The whole frame was parsed.
};
payload_state read_delivery(std::string& frame, std::string& rest, json::document& document, std::string& payload) {
  if (const auto text = find_payload(frame); !text.empty()) {
    const auto at = static_cast<std::size_t>(text.data() - frame.data());
    rest.reserve(frame.size() - text.size());
    rest.append(frame, 0, at).append(frame, at + text.size(), std::string::npos);
    document.ParseInsitu<json::parse_flags>(rest.data());
    const auto* member =
      !document.HasParseError() && document.IsObject() ? json::find_string(document, "payload") : nullptr;
    // A property may have that name: then the payload's place is another.
    const bool is_it = member != nullptr && member->GetString() == rest.data() + at;
    if (is_it && text.find('\\') == std::string_view::npos)
      return take_payload(frame, text, payload) ? payload_state::decoded : payload_state::bad;
  }
  document.ParseInsitu<json::parse_flags>(frame.data());
  return payload_state::in_document;
}

} // namespace

std::optional<std::string> stand_in_for_oversized(std::string_view beginning, std::uint64_t size) {
  constexpr std::string_view member = R"("messageId":")";
  const auto at = beginning.find(member);
  if (at == std::string_view::npos)
    return std::nullopt;
  const auto rest = beginning.substr(at + member.size());
  const auto end = rest.find('"');
  if (end == std::string_view::npos || !is_message_id(rest.substr(0, end)))
    return std::nullopt;
  return "{" + std::string{member} + std::string{rest.substr(0, end)} + R"(","oversized":)" + std::to_string(size)
         + "}";
}

caf::expected<std::variant<received_message, end_of_topic, oversized_message>> decode_delivery(std::string& frame) {
  using result = std::variant<received_message, end_of_topic, oversized_message>;
  if (auto plain = read_plain_delivery(frame)) {
    if (!take_payload(frame, plain->payload, plain->message.payload))
      return without_payload(plain->message.id);
    return result{std::move(plain->message)};
  }
  const auto size = frame.size();
  received_message message;
  std::string rest;
  json::document document;
  const auto state = read_delivery(frame, rest, document, message.payload);
  if (document.HasParseError() || !document.IsObject())
    return not_json(document, size);
  if (const auto end = document.FindMember("endOfTopic"); end != document.MemberEnd() && end->value.IsBool())
    return result{end_of_topic{end->value.GetBool()}};
  const auto* id = json::find_string(document, "messageId");
  if (id == nullptr || !is_message_id(json::view(*id)))
    return violation("a message without an id");
  message.id.value = json::view(*id);
  if (const auto found = document.FindMember("oversized"); found != document.MemberEnd() && found->value.IsUint64())
    return result{oversized_message{std::move(message.id), found->value.GetUint64()}};
  const auto* payload = json::find_string(document, "payload");
  if (payload == nullptr || state == payload_state::bad
      || (state == payload_state::in_document && !decode_base64(json::view(*payload), message.payload)))
    return without_payload(message.id);
  const auto* published = json::find_string(document, "publishTime");
  if (published == nullptr || !parse_instant(json::view(*published), message.publish_time))
    return violation("the message " + message.id.value + " without a time at which it was published");
  if (const auto* key = json::find_string(document, "key"))
    message.key = json::view(*key);
  if (const auto found = document.FindMember("properties"); found != document.MemberEnd() && found->value.IsObject())
    for (const auto& [name, value] : found->value.GetObject())
      if (value.IsString())
        message.properties.emplace(json::view(name), json::view(value));
  if (const auto* event = json::find_string(document, "eventTime")) {
    std::chrono::system_clock::time_point at;
    if (parse_instant(json::view(*event), at))
      message.event_time = at;
  }
  if (const auto found = document.FindMember("encryptionContext");
      found != document.MemberEnd() && found->value.IsObject()) {
    auto context = decode_encryption(found->value);
    if (!context)
      return violation("the message " + message.id.value + " with an encryption context that cannot be read");
    message.encryption = std::move(context);
  }
  if (const auto count = document.FindMember("redeliveryCount"); count != document.MemberEnd() && count->value.IsUint())
    message.redelivery_count = count->value.GetUint();
  return result{std::move(message)};
}

std::optional<bool> decode_end_of_topic(const std::string& frame) {
  constexpr std::size_t longest = 64; // no message is that short
  if (frame.size() > longest || frame.find("endOfTopic") == std::string::npos)
    return std::nullopt;
  auto copy = frame;
  const auto decoded = decode_delivery(copy);
  const auto* end = decoded ? std::get_if<end_of_topic>(&*decoded) : nullptr;
  return end != nullptr ? std::optional{end->reached} : std::nullopt;
}

std::string encode_permit(std::size_t messages) {
  return R"({"type":"permit","permitMessages":)" + std::to_string(messages) + "}";
}

std::string encode_is_end_of_topic() {
  return R"({"type":"isEndOfTopic"})";
}

std::string encode_unsubscribe() {
  return R"({"type":"unsubscribe"})";
}

std::string encode_acknowledgement(const message_id& id) {
  std::string frame;
  frame.reserve(id.value.size() + 16);
  return frame.append(R"({"messageId":")").append(id.value).append(R"("})");
}

std::string encode_negative_acknowledgement(const message_id& id) {
  std::string frame;
  frame.reserve(id.value.size() + 48);
  return frame.append(R"({"type":"negativeAcknowledge","messageId":")").append(id.value).append(R"("})");
}

} // namespace stargate::protocol
