// The broker in a box, without a socket and in virtual time. That it does what Pulsar does is another test's: integration/model.
#include "box/broker.hpp"
#include "box/hashing.hpp"
#include "box/java.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace stargate::box;
using std::string;

namespace {

struct far_end final : peer {
  void send(string frame) override { frames.push_back(std::move(frame)); }
  void close(int code, const string& reason) override { ended = std::to_string(code) + " " + reason; }
  std::vector<string> take() { return std::exchange(frames, {}); }
  std::vector<string> frames;
  string ended;
};

/// A client's end of a connection to the box.
struct client {
  std::shared_ptr<far_end> end = std::make_shared<far_end>();
  std::shared_ptr<connection> behind;
  answer refused;
};

struct fixture {
  broker box{1'767'225'600'000}; // 2026-01-01
  micros now = 0;

  client open(const string& target) {
    client c;
    c.behind = box.open(target, c.end, c.refused);
    pass(0);
    return c;
  }
  client producer(const string& query = "") { return open("/ws/v2/producer/persistent/public/default/t" + query); }
  client consumer(const string& query = "") {
    return open("/ws/v2/consumer/persistent/public/default/t/s?subscriptionInitialPosition=Earliest" + query);
  }
  void pass(micros time) { box.advance(now += time); }
  std::vector<string> say(client& c, const string& frame) {
    c.behind->on_frame(frame);
    pass(10 * millisecond);
    return c.end->take();
  }
  string rest(const string& method, const string& path, const string& body = "") {
    const auto said = box.request(method, "/admin/v2/" + path, body);
    return std::to_string(said.status) + " " + said.body;
  }
};

string id_in(const string& frame) {
  const auto at = frame.find("\"messageId\":\"") + 13;
  return frame.substr(at, frame.find('"', at) - at);
}

string ack(const string& frame, const string& type = "") {
  return "{" + (type.empty() ? "" : "\"type\":\"" + type + "\",") + "\"messageId\":\"" + id_in(frame) + "\"}";
}

bool has(const string& text, const string& part) {
  return text.find(part) != string::npos;
}

} // namespace

TEST_CASE("hashes are those by which Pulsar chooses") {
  CHECK(java_string_hash("hello") == 99'162'322);
  CHECK(java_string_hash("") == 0);
  CHECK(java_string_hash("é") == 233);
  CHECK(java_string_hash("😀") == 1'772'899); // two of Java's characters
  CHECK(murmur3_32_hash("") == 0);
  CHECK(murmur3_32_hash("test") == (0xba6bd213 & 0x7fffffff));
  CHECK(murmur3_32_hash("The quick brown fox jumps over the lazy dog") == 0x2e4ff723);
}

TEST_CASE("base64 is taken as Java takes it") {
  const auto normal = [](const char* text) {
    string out;
    const auto why = normalize_base64(text, out);
    return why ? "! " + *why : out;
  };
  CHECK(normal("") == "");
  CHECK(normal("YWJj") == "YWJj");
  CHECK(normal("YWI") == "YWI=");
  CHECK(normal("YQ==") == "YQ==");
  CHECK(normal("YR==") == "YQ==");
  CHECK(normal("Y") == "! Input byte[] should at least have 2 bytes for base64 bytes");
  CHECK(normal("YWJjY") == "! Last unit does not have enough valid bits");
  CHECK(normal("YQ=") == "! Input byte array has wrong 4-byte ending unit");
  CHECK(normal("YQ==YQ==") == "! Input byte array has incorrect ending byte at 4");
  CHECK(normal("*") == "! Input byte[] should at least have 2 bytes for base64 bytes");
  CHECK(normal("**") == "! Illegal base64 character 2a");
}

TEST_CASE_METHOD(fixture, "what is produced is stored, delivered and acknowledged") {
  auto p = producer();
  const auto receipts = say(p, R"({"payload":"YQ==","context":"1","key":"k","properties":{"a":"b"}})");
  REQUIRE(receipts.size() == 1);
  CHECK(has(receipts[0], R"("result":"ok")"));
  CHECK(has(receipts[0], R"("context":"1")"));
  auto c = consumer();
  const auto delivered = c.end->take();
  REQUIRE(delivered.size() == 1);
  CHECK(has(delivered[0], R"("payload":"YQ==","properties":{"a":"b"},"publishTime":"2026-01-01T00:00:00Z")"));
  CHECK(has(delivered[0], R"("key":"k")"));
  CHECK(id_in(delivered[0]) == id_in(receipts[0]));
  CHECK(has(rest("GET", "persistent/public/default/t/stats"), R"("msgBacklog":1)"));
  CHECK(say(c, ack(delivered[0])).empty());
  CHECK(has(rest("GET", "persistent/public/default/t/stats"), R"("msgBacklog":0)"));
}

TEST_CASE_METHOD(fixture, "a subscription stays, and what was not acknowledged comes again to who comes next") {
  auto p = producer();
  say(p, R"({"payload":"YQ=="})");
  auto first = consumer();
  CHECK(first.end->take().size() == 1);
  first.behind.reset();
  auto second = consumer();
  CHECK(second.end->take().size() == 1);
}

TEST_CASE_METHOD(fixture, "a negative acknowledgement brings a message again after its delay, with a count") {
  auto p = producer();
  say(p, R"({"payload":"YQ=="})");
  auto c = consumer("&subscriptionType=Shared&negativeAckRedeliveryDelay=30000");
  const auto delivered = c.end->take();
  REQUIRE(delivered.size() == 1);
  say(c, ack(delivered[0], "negativeAcknowledge"));
  pass(29 * second);
  CHECK(c.end->take().empty());
  pass(11 * second);
  const auto again = c.end->take();
  REQUIRE(again.size() == 1);
  CHECK(has(again[0], R"("redeliveryCount":1)"));
}

TEST_CASE_METHOD(fixture, "after the most redeliveries a message goes to the dead letters, and says where it is from") {
  auto p = producer();
  say(p, R"({"payload":"YQ=="})");
  auto c = consumer("&subscriptionType=Shared&negativeAckRedeliveryDelay=100&maxRedeliverCount=1");
  for (int i = 0; i < 2; ++i) {
    const auto delivered = c.end->take();
    REQUIRE(delivered.size() == 1);
    say(c, ack(delivered[0], "negativeAcknowledge"));
    pass(1 * second);
  }
  CHECK(c.end->take().empty());
  auto r = open("/ws/v2/reader/persistent/public/default/t-s-DLQ?messageId=earliest");
  const auto dead = r.end->take();
  REQUIRE(dead.size() == 1);
  CHECK(has(dead[0], R"("REAL_TOPIC":"persistent://public/default/t")"));
}

TEST_CASE_METHOD(fixture, "in pull mode nothing comes without a permit, and a queue bounds what is not acknowledged") {
  auto p = producer();
  for (int i = 0; i < 5; ++i)
    say(p, R"({"payload":"YQ=="})");
  auto pulls = consumer("&pullMode=true");
  CHECK(pulls.end->take().empty());
  CHECK(say(pulls, R"({"type":"permit","permitMessages":2})").size() == 2);
  auto pushed =
    open("/ws/v2/consumer/persistent/public/default/t/u?subscriptionInitialPosition=Earliest&receiverQueueSize=3");
  const auto delivered = pushed.end->take();
  REQUIRE(delivered.size() == 3);
  CHECK(say(pushed, ack(delivered[1])).size() == 1);
}

TEST_CASE_METHOD(fixture, "a namespace with deduplication stores each number of a producer once") {
  CHECK(rest("PUT", "namespaces/public/once") == "204 ");
  CHECK(rest("POST", "namespaces/public/once/deduplication", "true") == "204 ");
  const string path = "/ws/v2/producer/persistent/public/once/t?producerName=n&initialSequenceId=";
  auto p = open(path + "-1");
  const auto first = say(p, R"({"payload":"YQ=="})");
  p.behind.reset();
  auto again = open(path + "-1");
  const auto second_time = say(again, R"({"payload":"YQ=="})");
  CHECK(has(second_time.at(0), R"("result":"ok")"));
  CHECK(id_in(second_time[0]) == message_id{}.text());
  CHECK(id_in(first.at(0)) != id_in(second_time[0]));
}

TEST_CASE_METHOD(fixture, "handshakes are refused with Pulsar's status and words") {
  const auto refused = [&](const string& target) {
    const auto c = open(target);
    return c.behind ? string{"taken"} : std::to_string(c.refused.status) + " " + c.refused.body;
  };
  CHECK(has(refused("/ws/v2/producer/persistent/public/nowhere/t"), "Namespace not found"));
  CHECK(has(refused("/ws/v2/consumer/persistent/public/default/t/s?ackTimeoutMillis=5"), "400 "));
  auto holds = consumer();
  CHECK(has(refused("/ws/v2/consumer/persistent/public/default/t/s"), "Exclusive consumer is already connected"));
  CHECK(has(refused("/ws/v2/nothing/persistent/public/default/t"), "404 "));
  CHECK(has(refused("/ws/producer/persistent/public/cluster/default/t"), "use /ws/v2"));
}

TEST_CASE_METHOD(fixture, "what cannot be read ends a consumer's connection, and answers a producer's") {
  auto p = producer();
  CHECK(has(say(p, "nonsense").at(0), "send-error:3"));
  CHECK(has(say(p, R"({"payload":"***","context":"c"})").at(0), R"("context":"c")"));
  auto c = consumer();
  say(c, R"({"messageId":"***"})");
  CHECK(c.end->ended == "1011 Illegal base64 character 2a");
  auto d = consumer("&consumerName=d");
  CHECK_FALSE(d.behind); // the other one's connection stands until it is let go of
  c.behind.reset();
  for (const auto* frame :
       {R"({"messageId":{}})", R"({"messageId":[]})", R"({"type":{}})", R"({"type":"permit"})",
        R"({"type":"permit","permitMessages":99999999999})", R"({"type":"permit","permitMessages":"x"})"}) {
    auto one = consumer();
    REQUIRE(one.behind);
    say(one, frame);
    CHECK(one.end->ended == "0 ");
  }
  for (const auto* frame : {R"({"payload":"YQ==","deliverAt":9223372036854775807})",
                            R"({"payload":"YQ==","deliverAfterMs":9223372036854775807})"})
    CHECK(has(say(p, frame).at(0), R"("result":"ok")"));
  auto last = producer("?initialSequenceId=9223372036854775807");
  CHECK(has(say(last, R"({"payload":"YQ=="})").at(0), R"("result":"ok")"));
}

TEST_CASE_METHOD(fixture, "what the administration does not do, it refuses by name") {
  CHECK(has(rest("GET", "persistent/public/default/t/internalStats"), "broker in a box"));
  CHECK(rest("GET", "persistent/public/default/nothing/stats").starts_with("404 "));
  CHECK(rest("PUT", "persistent/public/default/t/partitions", "many").starts_with("406 "));
  CHECK(rest("GET", "brokers/health") == "200 ok");
}

TEST_CASE_METHOD(fixture, "a topic that nobody uses is gone after a minute or two, and one with a subscription stays") {
  auto p = producer();
  auto other = open("/ws/v2/consumer/persistent/public/default/kept/s");
  p.behind.reset();
  other.behind.reset();
  pass(150 * second);
  CHECK(rest("GET", "persistent/public/default") == R"(200 ["persistent://public/default/kept"])");
}

TEST_CASE_METHOD(fixture, "what all have acknowledged is forgotten when it is much") {
  auto p = producer();
  auto c = consumer();
  const string large(700'000, 'A');
  for (int i = 0; i < 200; ++i) {
    say(p, R"({"payload":")" + large + "\"}");
    for (const auto& frame : c.end->take())
      say(c, ack(frame));
  }
  const auto t = box.all().find("persistent://public/default/t");
  CHECK(t->end() == 200);
  CHECK(t->begin() > 50);
  auto r = open("/ws/v2/reader/persistent/public/default/t?messageId=earliest");
  CHECK(r.end->take().size() == t->end() - t->begin());
}

TEST_CASE_METHOD(fixture, "a message whose dead-letter topic cannot be made stays on its subscription") {
  auto p = producer();
  say(p, R"({"payload":"YQ=="})");
  auto c = consumer("&subscriptionType=Shared&negativeAckRedeliveryDelay=100&maxRedeliverCount=1"
                    "&deadLetterTopic=persistent%3A%2F%2Fpublic%2Fnowhere%2Fdead");
  for (int i = 0; i < 3; ++i)
    for (const auto& frame : c.end->take()) {
      say(c, ack(frame, "negativeAcknowledge"));
      pass(1 * second);
    }
  CHECK(has(rest("GET", "persistent/public/default/t/stats"), R"("msgBacklog":1)"));
}

TEST_CASE_METHOD(fixture, "what is skipped under a consumer and then forgotten harms nobody") {
  auto p = producer();
  auto c = consumer("&subscriptionType=Shared&negativeAckRedeliveryDelay=100&maxRedeliverCount=1");
  say(p, R"({"payload":"YQ=="})");
  const auto first = c.end->take();
  REQUIRE(first.size() == 1);
  say(c, ack(first[0], "negativeAcknowledge"));
  pass(1 * second);
  const auto last_time = c.end->take();
  REQUIRE(last_time.size() == 1);
  const string large(700'000, 'A');
  for (int i = 0; i < 200; ++i) {
    say(p, R"({"payload":")" + large + "\"}");
    rest("POST", "persistent/public/default/t/subscription/s/skip_all");
  }
  CHECK(box.all().find("persistent://public/default/t")->begin() > 0);
  CHECK(has(rest("GET", "persistent/public/default/t/stats"), R"("msgBacklog":0)"));
  say(c, ack(last_time[0], "negativeAcknowledge"));
  pass(1 * second);
  CHECK(c.end->ended.empty());
}

TEST_CASE("tokens are believed when they are signed, in time and somebody's") {
  const access_rules rules{"0123456789abcdef0123456789abcdef", {"admin"}};
  // By jwt.io's definition, made with Python's hmac.
  const string head = "eyJhbGciOiJIUzI1NiJ9.",
               admin = head + "eyJzdWIiOiJhZG1pbiJ9.0bxzb1SDWhnB92NzINxpHEYH5S-sdhp-eIIKOtGDgyg",
               expired = head + "eyJzdWIiOiJhZG1pbiIsImV4cCI6MTAwMH0.1eCp6XZRr8tn-Vcr_V0Kk9qYoga6z_zThr3fhGO-9K0";
  REQUIRE(caller_of(admin, rules, 2000));
  CHECK(caller_of(admin, rules, 2000)->role == "admin");
  CHECK(caller_of(expired, rules, 999));
  CHECK_FALSE(caller_of(expired, rules, 1000));
  CHECK_FALSE(caller_of(admin, {"another key, of thirty-two bytes", {}}, 2000));
  for (std::size_t i = 0; i < admin.size(); ++i) { // not one character may be another, but for bits that mean nothing
    auto other = admin;
    other[i] = other[i] == 'x' ? 'y' : 'x';
    if (i + 1 < admin.size())
      CHECK_FALSE(caller_of(other, rules, 2000));
    CHECK_FALSE(caller_of(admin.substr(0, i), rules, 2000));
  }
}

TEST_CASE("who is not let in learns why, and nothing is made") {
  broker box{1'767'225'600'000, {access_rules{"0123456789abcdef0123456789abcdef", {"admin"}}}};
  const auto end = std::make_shared<far_end>();
  answer refused;
  const string path = "/ws/v2/producer/persistent/public/default/t";
  CHECK_FALSE(box.open(path, end, refused));
  CHECK(refused.status == 401);
  CHECK_FALSE(box.open(path, end, refused, "Bearer nonsense"));
  CHECK(refused.status == 401);
  CHECK(box.all().topics().empty());
  CHECK(box.request("GET", "/admin/v2/tenants", "").status == 401);
}
