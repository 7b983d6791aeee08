#include "libstargate/connection/masking.hpp"
#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/instant.hpp"

#include <stargate/error.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace stargate;
using namespace stargate::protocol;

namespace {

template <class T>
T receipt_of(std::string frame) {
  auto result = decode_receipt(frame);
  REQUIRE(result);
  REQUIRE(std::holds_alternative<T>(*result));
  return std::get<T>(*result);
}

received_message message_of(std::string frame) {
  auto result = decode_delivery(frame);
  REQUIRE(result);
  REQUIRE(std::holds_alternative<received_message>(*result));
  return std::get<received_message>(*result);
}

/// What a client's frame of less than 64 KiB says.
std::string unmasked(const connection::byte_buffer& frame) {
  const std::size_t mask = (frame[1] & 0x7f) == 126 ? 4 : 2;
  std::string plain;
  for (std::size_t i = mask + 4; i < frame.size(); ++i)
    plain += static_cast<char>(frame[i] ^ frame[mask + (i - mask) % 4]);
  return plain;
}

} // namespace

TEST_CASE("a message is encoded as the broker reads it") {
  CHECK(encode_message({.payload = "hello"}, 7)->str() == R"({"payload":"aGVsbG8=","context":"7"})");
  CHECK(encode_message({.payload = "", .key = "k\"ey", .properties = {{"a", "1"}, {"b\n", "ü"}}}, 0)->str()
        == R"({"payload":"","context":"0","key":"k\"ey","properties":{"a":"1","b\n":"ü"}})");
}

TEST_CASE("a payload is encoded to where its frame is written, whether it is the message's own or shared") {
  std::mt19937 random{7};
  for (int round = 0; round < 2'000; ++round) {
    std::string bytes(random() % 200, '\0');
    for (auto& c : bytes)
      c = static_cast<char>(random());
    message own{.payload = bytes, .key = round % 2 == 0 ? std::optional{"k" + std::to_string(round)} : std::nullopt};
    auto shared = own;
    shared.payload = "not this";
    shared.shared_payload = std::make_shared<const std::string>(bytes);
    const auto frame = encode_message(own, 7);
    REQUIRE(frame);
    std::string expected = R"({"payload":")";
    protocol::append_base64(expected, bytes);
    expected += R"(","context":"7")";
    if (own.key)
      expected += R"(,"key":")" + *own.key + '"';
    expected += '}';
    REQUIRE(frame->str() == expected);
    REQUIRE(encode_message(shared, 7)->str() == expected);
    connection::byte_buffer from_text, from_frame;
    connection::append_masked_frame(from_text, expected);
    connection::append_masked_frame(from_frame, *frame);
    REQUIRE(unmasked(from_frame) == expected);
    REQUIRE(unmasked(from_frame) == unmasked(from_text));
  }
}

TEST_CASE("a shared payload is copied by no message that has it") {
  const auto bytes = std::make_shared<const std::string>(100'000, 'x');
  std::vector<protocol::frame_text> frames;
  for (std::uint64_t i = 0; i < 10; ++i)
    frames.push_back(*encode_message({.shared_payload = bytes}, i));
  CHECK(bytes.use_count() == 11);
  frames.clear();
  CHECK(bytes.use_count() == 1);
}

TEST_CASE("a key or property that is not UTF-8 is refused, and named") {
  for (const auto& bad :
       {message{.key = "\xff"}, message{.properties = {{"\xff", "x"}}}, message{.properties = {{"x", "\xc3"}}}}) {
    const auto frame = encode_message(bad, 0);
    REQUIRE_FALSE(frame);
    CHECK(code_of(frame.error()) == errc::invalid_message);
  }
}

TEST_CASE("a message that a broker would not take is refused before it is sent") {
  CHECK(encode_message({.payload = std::string(780'000, 'x')}, 0));
  const auto frame = encode_message({.payload = std::string(790'000, 'x')}, 0);
  REQUIRE_FALSE(frame);
  CHECK(code_of(frame.error()) == errc::message_too_large);
  CHECK(describe(frame.error()).find("1048576") != std::string::npos);
}

TEST_CASE("receipts are read") {
  const auto ok =
    receipt_of<receipt>(R"({"result":"ok","messageId":"CAUQADAA","context":"42","errorCode":0,"schemaVersion":0})");
  CHECK(ok.sequence == 42);
  CHECK(ok.id.value == "CAUQADAA");
  CHECK(ok.failure.empty());
  const auto refused =
    receipt_of<receipt>(R"({"result":"send-error:8","errorMsg":"queue is full","context":"43","errorCode":0})");
  CHECK(refused.sequence == 43);
  CHECK(refused.failure == "send-error:8: queue is full");
}

TEST_CASE("a failure without a context names no message") {
  CHECK(receipt_of<nameless_failure>(R"({"result":"send-error:3","errorMsg":"bad JSON","errorCode":0})").failure
        == "send-error:3: bad JSON");
}

TEST_CASE("what is no receipt is a violation") {
  for (std::string frame :
       {"", "x", "[]", "{}", R"({"result":1})", R"({"result":"ok"})", R"({"result":"ok","context":"x"})",
        R"({"result":"ok","context":"1"})", "{\"result\":\"ok\"", "null", "\xff"}) {
    INFO(frame);
    const auto result = decode_receipt(frame);
    REQUIRE_FALSE(result);
    CHECK(code_of(result.error()) == errc::protocol_violation);
  }
}

TEST_CASE("a delivered message is read whole") {
  const auto m = message_of(R"({"messageId":"CAgQADAA","payload":"AAECAw==","properties":{"a":"b"},)"
                            R"("publishTime":"2026-11-24T02:31:05.892Z","redeliveryCount":3,"key":"k",)"
                            R"("eventTime":"2026-11-24T03:31:05.892+01:00"})");
  CHECK(m.id.value == "CAgQADAA");
  CHECK(m.payload == std::string("\0\1\2\3", 4));
  CHECK(m.properties == properties{{"a", "b"}});
  CHECK(m.key == "k");
  CHECK(m.redelivery_count == 3);
  CHECK(format_instant(m.publish_time) == "2026-11-24T02:31:05.892Z");
  REQUIRE(m.event_time);
  CHECK(*m.event_time == m.publish_time);
}

TEST_CASE("a message without a key has none") {
  CHECK_FALSE(message_of(R"({"messageId":"a","payload":"","publishTime":"2026-01-01T00:00Z"})").key);
}

TEST_CASE("the answer about a topic's end is read") {
  std::string frame = R"({"endOfTopic":true})";
  const auto result = decode_delivery(frame);
  REQUIRE(result);
  CHECK(std::get<end_of_topic>(*result).reached);
}

TEST_CASE("what is no message is a violation that does not repeat the payload") {
  for (std::string frame :
       {"", "secret", "[]", "{}", R"({"messageId":"a","payload":"secret","publishTime":"2026-01-01T00:00:00Z"})",
        R"({"messageId":"a","payload":"","publishTime":"yesterday"})",
        R"({"messageId":"a\"}","payload":"","publishTime":"2026-01-01T00:00:00Z"})",
        R"({"messageId":"","payload":"","publishTime":"2026-01-01T00:00:00Z"})"}) {
    INFO(frame);
    const auto result = decode_delivery(frame);
    REQUIRE_FALSE(result);
    CHECK(code_of(result.error()) == errc::protocol_violation);
    CHECK(describe(result.error()).find("secret") == std::string::npos);
  }
}

TEST_CASE("the payload is found wherever it stands") {
  const std::string time = R"("publishTime":"2026-01-01T00:00:00Z")";
  for (std::string frame : {
         R"({"messageId":"a","payload":"eHl6",)" + time + "}",
         R"({"payload":"eHl6","messageId":"a",)" + time + "}",
         R"({"messageId":"a", "payload" : "eHl6",)" + time + "}",
         R"({"properties":{"a":"b","payload":"AAAA"},"messageId":"a","payload":"eHl6",)" + time + "}",
         R"({"properties":{"a":"\",\"payload\":\"AAAA\""},"messageId":"a","payload":"eHl6",)" + time + "}",
         R"({"messageId":"a","payload":"eHl6",)" + time + R"(,"properties":{"payload":"AAAA"}})",
         R"({"messageId":"a","payload":"\u0065Hl6",)" + time + "}",
       }) {
    INFO(frame);
    const auto result = decode_delivery(frame);
    REQUIRE(result);
    CHECK(std::get<received_message>(*result).payload == "xyz");
  }
  for (std::string frame :
       {R"({"messageId":"a,"payload":"eHl6",)" + time + "}", // broken with the payload and without it
        R"({"messageId":"a","payload":"eHl6)" + time + "}", std::string{R"({"messageId":"a","payload":"eHl6)"}}) {
    INFO(frame);
    CHECK_FALSE(decode_delivery(frame));
  }
}

TEST_CASE("deep nesting does not exhaust the stack") {
  std::string frame = R"({"x":)" + std::string(1'000'000, '[');
  CHECK_FALSE(decode_delivery(frame));
}

TEST_CASE("acknowledgements are what the broker knows") {
  CHECK(encode_acknowledgement({"CAg="}) == R"({"messageId":"CAg="})");
  CHECK(encode_negative_acknowledgement({"CAg="}) == R"({"type":"negativeAcknowledge","messageId":"CAg="})");
}

TEST_CASE("instants are ISO 8601 with a zone") {
  std::chrono::system_clock::time_point at;
  for (const auto* text : {"2026-02-28T23:59:59.999Z", "1969-12-31T23:59:59.001Z", "2024-02-29T00:00:00.000Z"}) {
    REQUIRE(parse_instant(text, at));
    CHECK(format_instant(at) == text);
  }
  REQUIRE(parse_instant("2026-01-01T00:30:00.123456789+0100", at));
  CHECK(format_instant(at) == "2025-12-31T23:30:00.123Z");
  for (const auto* text :
       {"", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zz", "2026-1-01T00:00:00Z", "2026-01-01T00:00:00+1"}) {
    INFO(text);
    CHECK_FALSE(parse_instant(text, at));
  }
}

TEST_CASE("the key of a message is found without decoding the rest") {
  using protocol::key_of;
  CHECK(key_of(R"({"messageId":"a","payload":"eA==","properties":{"key":"no"},"key":"yes"})") == "yes");
  CHECK(key_of(R"({"key":"\u00fc\n"})") == "ü\n");
  CHECK(key_of(R"({"messageId":"a","properties":{"key":"no"}})") == std::nullopt);
  CHECK(key_of(R"({"a":{"b":[{"key":"no"}]},"x":"key"})") == std::nullopt);
  CHECK(key_of("not json") == std::nullopt);
  CHECK(key_of(R"({"key":null})") == std::nullopt);
}

TEST_CASE("the answer about the topic's end is told from a message") {
  using protocol::decode_end_of_topic;
  CHECK(decode_end_of_topic(R"({"endOfTopic":true})") == true);
  CHECK(decode_end_of_topic(R"({"endOfTopic":false})") == false);
  CHECK(decode_end_of_topic(R"({"messageId":"endOfTopic"})") == std::nullopt);
  CHECK(decode_end_of_topic("") == std::nullopt);
}

TEST_CASE("a message goes out with all its fields") {
  message m{.payload = "p"};
  m.event_time = std::chrono::system_clock::time_point{std::chrono::milliseconds{1'700'000'000'123}};
  m.deliver_at = std::chrono::system_clock::time_point{std::chrono::milliseconds{1'700'000'001'000}};
  m.deliver_after = std::chrono::milliseconds{1500};
  m.replication_clusters = {"a", "b\""};
  const auto frame = protocol::encode_message(m, 7);
  REQUIRE(frame);
  CHECK(
    frame->str()
    == R"({"payload":"cA==","context":"7","replicationClusters":["a","b\""],"eventTime":"2023-11-14T22:13:20.123Z",)"
       R"("deliverAt":1700000001000,"deliverAfterMs":1500})");
}

TEST_CASE("an instant that the clock cannot hold is none") {
  std::chrono::system_clock::time_point at;
  CHECK(protocol::parse_instant("2261-12-31T23:59:59Z", at));
  CHECK_FALSE(protocol::parse_instant("6172-01-31T12:00:00Z", at)); // found by the fuzzer: it overflowed
  CHECK_FALSE(protocol::parse_instant("1600-01-31T12:00:00Z", at));
}

TEST_CASE("what takes the place of a delivery that is too large names its message") {
  using protocol::stand_in_for_oversized;
  const auto frame = R"({"messageId":"CAoQAA==","payload":")" + std::string(900, 'x');
  auto stand_in = stand_in_for_oversized(frame, 20'000'000);
  REQUIRE(stand_in);
  const auto decoded = decode_delivery(*stand_in);
  REQUIRE(decoded);
  const auto& oversized = std::get<protocol::oversized_message>(*decoded);
  CHECK(oversized.id.value == "CAoQAA==");
  CHECK(oversized.size == 20'000'000);
  for (const auto* other : {"", "xxxx", R"({"payload":"xxxx)", R"({"messageId":"CAoQ)",
                            R"({"messageId":"","payload":")", R"({"messageId":"a\","payload":")"})
    CHECK_FALSE(stand_in_for_oversized(other, 1));
}

TEST_CASE(
  "a payload of any size, with or without escapes, is read, and what is none is refused with the message's id") {
  const std::string head = R"({"messageId":"CAEQAQ==","key":"k","payload":")",
                    tail = R"(","properties":{"a":"b"},"publishTime":"2026-01-31T12:00:00.000Z","redeliveryCount":2})";
  for (const std::size_t size : {3u, 300u, 12'000u, 30'000u, 90'000u}) {
    CAPTURE(size);
    const std::string plain(size, '?'); // its base64 is Pz8/ again and again
    std::string text;
    for (std::size_t i = 0; i < size; i += 3)
      text += "Pz8/";
    const auto message = message_of(head + text + tail);
    CHECK(message.payload == plain);
    CHECK(message.key == "k");
    CHECK(message.properties.at("a") == "b");
    CHECK(message.redelivery_count == 2);
    auto escaped = text;
    escaped.replace(0, 4, R"(Pz8\/)");
    CHECK(message_of(head + escaped + tail).payload == plain);
    for (const auto* wrong : {"Pz8*", "Pz=/", "P"}) {
      auto bad = text;
      bad.replace(0, 4, wrong);
      auto frame = head + bad + tail;
      const auto refused = decode_delivery(frame);
      REQUIRE_FALSE(refused);
      CHECK_THAT(to_string(refused.error()), Catch::Contains("CAEQAQ=="));
    }
  }
}
