#include "libstargate/protocol/plain_frames.hpp"

#include "libstargate/protocol/instant.hpp"

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <utility>

namespace stargate::protocol {

namespace {

constexpr bool is_plain(char c) {
  return c >= ' ' && static_cast<unsigned char>(c) < 0x80 && c != '"' && c != '\\';
}

/// The highest bit of each byte that is not plain. Only the lowest of them is sure: a borrow goes upwards.
constexpr std::uint64_t not_plain(std::uint64_t eight) {
  constexpr std::uint64_t ones = 0x0101010101010101, highest = ones << 7;
  constexpr auto zeros = [](std::uint64_t x) { return (x - ones) & ~x; };
  return (eight | (eight - ones * ' ') | zeros(eight ^ ones * '"') | zeros(eight ^ ones * '\\')) & highest;
}

/// Takes tokens from the front of a text. After one that gave nothing it is to be used no more.
class plain_reader {
public:
  explicit plain_reader(std::string_view text) : at_{text.data()}, end_{at_ + text.size()} {}

  [[nodiscard]] bool is_at_end() const { return at_ == end_; }
  [[nodiscard]] bool take(char c) {
    if (at_ == end_ || *at_ != c)
      return false;
    ++at_;
    return true;
  }
  template <std::size_t Size>
  [[nodiscard]] bool take(const char (&token)[Size]) {
    if (static_cast<std::size_t>(end_ - at_) < Size - 1 || std::memcmp(at_, token, Size - 1) != 0)
      return false;
    at_ += Size - 1;
    return true;
  }
  /// A text in quotes, which are not part of it.
  [[nodiscard]] std::optional<std::string_view> text() {
    if (!take('"'))
      return std::nullopt;
    const auto* const begin = at_;
    if constexpr (std::endian::native == std::endian::little)
      for (std::uint64_t eight = 0; end_ - at_ >= 8; at_ += 8) {
        std::memcpy(&eight, at_, 8);
        if (const auto found = not_plain(eight); found != 0) {
          at_ += std::countr_zero(found) / 8;
          break;
        }
      }
    while (at_ != end_ && is_plain(*at_))
      ++at_;
    return until_here(begin);
  }
  /// A text in quotes that may have any other characters but escapes.
  [[nodiscard]] std::optional<std::string_view> text_without_escapes() {
    if (!take('"') || at_ == end_)
      return std::nullopt;
    const auto* const begin = at_;
    const auto* const quote = std::memchr(at_, '"', static_cast<std::size_t>(end_ - at_));
    if (quote == nullptr)
      return std::nullopt;
    at_ = static_cast<const char*>(quote);
    if (std::memchr(begin, '\\', static_cast<std::size_t>(at_ - begin)) != nullptr)
      return std::nullopt;
    return until_here(begin);
  }
  /// An integer without a sign.
  [[nodiscard]] std::optional<std::uint32_t> number() {
    std::uint32_t value = 0;
    const auto [end, failure] = std::from_chars(at_, end_, value);
    if (failure != std::errc{} || (*at_ == '0' && end - at_ > 1))
      return std::nullopt;
    at_ = end;
    return value;
  }

private:
  [[nodiscard]] std::optional<std::string_view> until_here(const char* begin) {
    const auto* const end = at_;
    if (!take('"'))
      return std::nullopt;
    return std::string_view{begin, static_cast<std::size_t>(end - begin)};
  }

  const char *at_, *end_;
};

/// Reads an object, each of whose members `member` takes from the reader. False where it, or one of them, is not plain.
template <class Member>
bool read_object(plain_reader& in, Member member) {
  if (!in.take('{'))
    return false;
  if (in.take('}'))
    return true;
  do {
    if (!member())
      return false;
  } while (in.take(','));
  return in.take('}');
}

/// Takes a text that is there once.
bool once(plain_reader& in, std::optional<std::string_view>& value) {
  if (value)
    return false;
  value = in.text();
  return value.has_value();
}

} // namespace

std::optional<receipt> read_plain_receipt(std::string_view frame) {
  plain_reader in{frame};
  std::optional<std::string_view> result, id, context;
  const bool is_plain = read_object(in, [&] {
    if (in.take(R"("result":)"))
      return once(in, result);
    if (in.take(R"("messageId":)"))
      return once(in, id);
    if (in.take(R"("context":)"))
      return once(in, context);
    return (in.take(R"("errorCode":)") || in.take(R"("schemaVersion":)")) && in.number().has_value();
  });
  if (!is_plain || !in.is_at_end() || result != "ok" || !id || !context)
    return std::nullopt;
  receipt answer;
  const auto* const end = context->data() + context->size();
  if (const auto read = std::from_chars(context->data(), end, answer.sequence);
      read.ec != std::errc{} || read.ptr != end)
    return std::nullopt;
  answer.id.value = *id;
  return answer;
}

namespace {

/// The members of a message, each as it stands in its frame.
struct delivery_members {
  std::optional<std::string_view> id, payload, published, key, event;
  std::optional<std::uint32_t> redelivered;
  bool has_properties = false;

  /// @param property(name, value) takes each of the properties
  template <class Property>
  [[nodiscard]] bool read(std::string_view frame, Property property) {
    plain_reader in{frame};
    const auto read_property = [&] {
      const auto name = in.text();
      if (!name || !in.take(':'))
        return false;
      const auto value = in.text();
      if (value)
        property(*name, *value);
      return value.has_value();
    };
    const auto read_member = [&] {
      if (in.take(R"("messageId":)"))
        return once(in, id);
      if (in.take(R"("payload":)"))
        return !payload && (payload = in.text_without_escapes()).has_value();
      if (in.take(R"("properties":)"))
        return !std::exchange(has_properties, true) && read_object(in, read_property);
      if (in.take(R"("publishTime":)"))
        return once(in, published);
      if (in.take(R"("redeliveryCount":)"))
        return !redelivered && (redelivered = in.number()).has_value();
      if (in.take(R"("key":)"))
        return once(in, key);
      return in.take(R"("eventTime":)") && once(in, event);
    };
    return read_object(in, read_member) && in.is_at_end();
  }
};

} // namespace

std::optional<plain_delivery> read_plain_delivery(std::string_view frame) {
  std::optional<plain_delivery> read{std::in_place};
  auto& message = read->message;
  delivery_members has;
  const bool is_plain = has.read(frame, [&](auto name, auto value) { message.properties.emplace(name, value); });
  if (!is_plain || !has.id || has.id->empty() || !has.payload || !has.published
      || !parse_instant(*has.published, message.publish_time)
      || (has.event && !parse_instant(*has.event, message.event_time.emplace())))
    return std::nullopt;
  message.id.value = *has.id;
  if (has.key)
    message.key = *has.key;
  message.redelivery_count = has.redelivered.value_or(0);
  read->payload = *has.payload;
  return read;
}

std::optional<plain_key> read_plain_key(std::string_view frame) {
  delivery_members has;
  if (!has.read(frame, [](auto, auto) {}))
    return std::nullopt;
  return plain_key{has.key};
}

} // namespace stargate::protocol
