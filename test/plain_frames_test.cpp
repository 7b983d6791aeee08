#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/plain_frames.hpp"

#include <stargate/error.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

using namespace stargate;
using namespace stargate::protocol;

namespace {

/// The same JSON, with a space that the plain reader does not take: RapidJSON reads it.
std::string spaced(std::string frame) {
  return frame.insert(1, " ");
}

/// Frames with all that JSON can be, and with what it cannot.
class generator {
public:
  explicit generator(unsigned seed) : random_{seed} {}

  std::string receipt() {
    return object({member("result", R"("ok")"), member("messageId", R"("CAwQADAA")"), member("context", R"("12345")"),
                   member("errorCode", "0"), member("schemaVersion", "0")});
  }
  std::string delivery() {
    std::vector<std::string> properties;
    for (auto i = below(3); i > 0; --i)
      properties.push_back('"' + text() + R"(":"value")");
    // Some are so large that they are decoded where they stand.
    const std::string payload(4 * (below(20) == 0 ? below(6'000) : below(30)), below(50) == 0 ? '*' : 'A');
    std::vector<std::string> members{member("messageId", R"("CAwQADAA")"), member("payload", '"' + payload + '"'),
                                     member("properties", object(properties)),
                                     member("publishTime", R"("2026-01-31T12:00:00.123Z")"),
                                     member("redeliveryCount", "0")};
    if (below(2) == 0)
      members.push_back(member("key", R"("key-7")"));
    if (below(4) == 0)
      members.push_back(member("eventTime", R"("2026-01-31T12:00Z")"));
    if (below(20) == 0)
      members.push_back(member("encryptionContext", R"({"param":"AAAA"})"));
    if (below(50) == 0)
      members.push_back(member("endOfTopic", "true"));
    return object(std::move(members));
  }

private:
  std::size_t below(std::size_t n) { return random_() % n; }
  template <std::size_t Size>
  std::string one_of(const std::array<std::string_view, Size>& of) {
    return std::string{of[below(Size)]};
  }
  std::string text() {
    static constexpr std::array<std::string_view, 16> pieces{
      "a",     "key-7",      "12345",     "2026-01-31T12:00:00Z",
      "ok",    "\u00fc",     R"(\u00fc)", R"(\")",
      R"(\\)", R"(\/)",      "\x7f",      "\xff",
      "\x1f",  "payload\":", "'",         "twelve or more of them"};
    std::string text;
    for (auto i = below(4); i > 0; --i)
      text += below(3) == 0 ? one_of(pieces) : std::string(below(20), static_cast<char>('a' + below(26)));
    return text;
  }
  std::string value() {
    static constexpr std::array<std::string_view, 16> others{
      "0",    "1",    "7",  "-1", "01",           "1.5", "1e3", "4294967295", "4294967296", "99999999999999999999",
      "null", "true", "{}", "[]", R"({"a":"b"})", ""};
    return below(3) == 0 ? one_of(others) : '"' + text() + '"';
  }
  /// Mostly with this value.
  std::string member(std::string_view name, std::string_view usual) {
    return '"' + std::string{name} + "\":" + (below(20) == 0 ? value() : std::string{usual});
  }
  std::string other_value(std::string_view member) {
    static constexpr std::array<std::string_view, 4> values{"1", R"("other")", R"({"other":"value"})", R"("AAAA")"};
    return std::string{member.substr(0, member.find(':') + 1)} + one_of(values);
  }
  /// Of these, mostly as brokers write them: some are missing, or there twice, or in another order, or broken.
  std::string object(std::vector<std::string> members) {
    if (!members.empty() && below(10) == 0)
      members.erase(members.begin() + static_cast<std::ptrdiff_t>(below(members.size())));
    if (!members.empty() && below(10) == 0)
      members.push_back(other_value(members[below(members.size())]));
    if (below(20) == 0)
      members.push_back(member(text(), value()));
    if (below(5) == 0)
      std::shuffle(members.begin(), members.end(), random_);
    std::string all = "{";
    for (const auto& m : members)
      all.append(all.size() > 1 ? "," : "").append(m);
    all += '}';
    if (below(10) == 0 && all.size() > 2)
      all[1 + below(all.size() - 1)] = static_cast<char>(random_());
    if (below(20) == 0)
      all.resize(1 + below(all.size()));
    if (below(20) == 0)
      all += one_of<4>({" ", "x", "}", std::string_view{"\0", 1}});
    return all;
  }

  std::mt19937 random_;
};

} // namespace

TEST_CASE("what brokers write is read without a document of it") {
  const auto stored =
    read_plain_receipt(R"({"result":"ok","messageId":"CAUQADAA","context":"42","errorCode":0,"schemaVersion":0})");
  REQUIRE(stored);
  CHECK(stored->id.value == "CAUQADAA");
  CHECK(stored->sequence == 42);
  CHECK(read_plain_receipt(R"({"result":"ok","messageId":"CAUQADAA","context":"42"})"));
  CHECK_FALSE(read_plain_receipt(R"({"result":"send-error:8","errorMsg":"full","context":"43","errorCode":0})"));

  const auto delivered =
    read_plain_delivery(R"({"messageId":"CAgQADAA","payload":"AAECAw==","properties":{"a":"b","c":""},)"
                        R"("publishTime":"2026-11-24T02:31:05.892Z","redeliveryCount":3,"key":"k",)"
                        R"("eventTime":"2026-11-24T03:31:05.892+01:00"})");
  REQUIRE(delivered);
  CHECK(delivered->payload == "AAECAw==");
  CHECK(delivered->message.id.value == "CAgQADAA");
  CHECK(delivered->message.properties == properties{{"a", "b"}, {"c", ""}});
  CHECK(delivered->message.key == "k");
  CHECK(delivered->message.redelivery_count == 3);
  CHECK(delivered->message.event_time == delivered->message.publish_time);
  CHECK(read_plain_delivery(R"({"messageId":"a","payload":"","properties":{},"publishTime":"2026-01-01T00:00Z"})"));
}

namespace {

/// Frames that were read both ways, with the same outcome.
struct both_ways {
  std::size_t refused = 0;

  /// What `decode` says of a frame and of its `spaced` twin, where it takes them.
  template <class Decode>
  auto read(std::string frame, Decode decode) {
    auto other = spaced(frame);
    auto one = decode(frame), two = decode(other);
    REQUIRE(static_cast<bool>(one) == static_cast<bool>(two));
    std::optional<std::pair<std::decay_t<decltype(*one)>, std::decay_t<decltype(*two)>>> taken;
    if (one) {
      REQUIRE(one->index() == two->index());
      taken.emplace(*std::move(one), *std::move(two));
    } else {
      ++refused;
      REQUIRE(code_of(one.error()) == code_of(two.error()));
    }
    return taken;
  }
};

} // namespace

TEST_CASE("a receipt is read alike whether it is plain or not, whatever it is") {
  generator generate{7};
  both_ways frames;
  std::size_t plain = 0;
  for (int round = 0; round < 50'000; ++round) {
    const auto frame = generate.receipt();
    INFO(frame);
    plain += read_plain_receipt(frame) ? 1 : 0;
    const auto taken = frames.read(frame, decode_receipt);
    if (const auto* one = taken ? std::get_if<receipt>(&taken->first) : nullptr) {
      const auto& other = std::get<receipt>(taken->second);
      REQUIRE(one->sequence == other.sequence);
      REQUIRE(one->id == other.id);
      REQUIRE(one->failure == other.failure);
    }
  }
  CHECK(plain > 10'000);
  CHECK(frames.refused > 5'000);
}

TEST_CASE("a message is read alike whether its frame is plain or not, whatever it is") {
  generator generate{8};
  both_ways frames;
  std::size_t plain = 0;
  for (int round = 0; round < 50'000; ++round) {
    const auto frame = generate.delivery();
    INFO(frame);
    plain += read_plain_delivery(frame) ? 1 : 0;
    const auto taken = frames.read(frame, decode_delivery);
    if (const auto* one = taken ? std::get_if<received_message>(&taken->first) : nullptr) {
      const auto& other = std::get<received_message>(taken->second);
      REQUIRE(one->id == other.id);
      REQUIRE(one->payload == other.payload);
      REQUIRE(one->key == other.key);
      REQUIRE(one->properties == other.properties);
      REQUIRE(one->publish_time == other.publish_time);
      REQUIRE(one->event_time == other.event_time);
      REQUIRE(one->redelivery_count == other.redelivery_count);
      REQUIRE(key_of(frame) == key_of(spaced(frame)));
    }
  }
  CHECK(plain > 10'000);
  CHECK(frames.refused > 5'000);
}
