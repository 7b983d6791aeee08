#include "actors/producer/ledger.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

using namespace stargate;
using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

/// A ledger with room for three, and the answers it gave.
struct fixture {
  std::vector<caf::expected<message_id>> answers;
  std::vector<int> order;
  ledger::clock::time_point now{};
  std::shared_ptr<pipeline_metrics> counts = std::make_shared<pipeline_metrics>();
  ledger l{"persistent://t/n/x", 3, 10s, {}, counts}; // the first to go: it answers what it still has

  void publish(int name, bool waits = false, std::string payload = "p") {
    l.publish(std::make_shared<publication>(message{.payload = std::move(payload)},
                                            [this, name](caf::expected<message_id> a) {
                                              order.push_back(name);
                                              answers.push_back(std::move(a));
                                            }),
              waits, now);
  }
  errc last() const { return answers.back() ? errc::none : code_of(answers.back().error()); }
};

} // namespace

TEST_CASE_METHOD(fixture, "a receipt answers the message it names") {
  publish(1);
  publish(2);
  CHECK(l.take_new().size() == 2);
  CHECK(l.stored(1, {"b"}, now));
  CHECK(order == std::vector{2});
  CHECK(answers[0]->value == "b");
  CHECK(l.stored(0, {"a"}, now));
  CHECK(l.is_empty());
}

TEST_CASE_METHOD(fixture, "whatever the order in which many receipts come, each answers its own message, once") {
  std::mt19937 chance{GENERATE(take(20, random(0u, 1'000'000u)))};
  ledger many{"persistent://t/n/x", 200, 10s};
  const int count = static_cast<int>(chance() % 150);
  std::vector<std::string> seen(static_cast<std::size_t>(count));
  std::vector<std::uint64_t> receipts;
  for (int i = 0; i < count; ++i) {
    many.publish(std::make_shared<publication>(
                   message{.payload = "p"},
                   [&, i](const caf::expected<message_id>& a) { seen[static_cast<std::size_t>(i)] += a->value; }),
                 false, now);
    receipts.push_back(static_cast<std::uint64_t>(i));
  }
  CHECK(many.take_new().size() == receipts.size());
  for (auto swaps = chance() % 200; swaps > 0 && count > 0; --swaps)
    std::swap(receipts[chance() % receipts.size()], receipts[chance() % receipts.size()]);
  for (const auto sequence : receipts)
    CHECK(many.stored(sequence, {std::to_string(sequence)}, now));
  CHECK(many.is_empty());
  for (std::size_t i = 0; i < seen.size(); ++i)
    CHECK(seen[i] == std::to_string(i));
}

TEST_CASE_METHOD(fixture, "a receipt that comes twice, late or for nobody harms nothing") {
  publish(1);
  static_cast<void>(l.take_new());
  CHECK_FALSE(l.stored(5, {"x"}, now));
  CHECK(l.stored(0, {"a"}, now));
  CHECK_FALSE(l.stored(0, {"a"}, now));
  CHECK_FALSE(l.rejected(0, "no"));
  CHECK(answers.size() == 1);
}

TEST_CASE_METHOD(fixture, "a message is kept until it is answered, and no connection has it any more") {
  publish(1, false, std::string(50'000, 'x'));
  auto frames = l.take_new();
  const std::weak_ptr<const protocol::frame_text> kept = frames[0];
  frames.clear();
  CHECK_FALSE(kept.expired());
  frames = l.take_all(); // by the next connection
  CHECK(frames[0] == kept.lock());
  CHECK(l.stored(0, {"a"}, now));
  CHECK_FALSE(kept.expired());
  frames.clear();
  CHECK(kept.expired());
}

TEST_CASE_METHOD(fixture, "beyond max_pending a message is refused, or waits for room") {
  for (int i = 0; i < 3; ++i)
    publish(i);
  publish(3);
  CHECK(last() == errc::queue_full);
  publish(4, true);
  CHECK(answers.size() == 1);
  CHECK(l.take_new().size() == 3);
  l.stored(1, {"x"}, now);
  CHECK(l.take_new().size() == 1);
  CHECK(l.stored(3, {"y"}, now));
  CHECK(order == std::vector{3, 1, 4});
}

TEST_CASE_METHOD(fixture, "who waits is not overtaken") {
  for (int i = 0; i < 3; ++i)
    publish(i);
  publish(3, true);
  publish(4);
  CHECK(last() == errc::queue_full);
}

TEST_CASE_METHOD(fixture, "a new connection gets everything that is unanswered, in order") {
  for (int i = 0; i < 3; ++i)
    publish(i, false, std::string(1, static_cast<char>('a' + i)));
  const auto first = l.take_new();
  l.stored(1, {"x"}, now);
  const auto again = l.take_all();
  REQUIRE(again.size() == 2);
  CHECK(again[0] == first[0]);
  CHECK(again[1] == first[2]);
  CHECK(l.take_new().empty());
}

TEST_CASE_METHOD(fixture, "time tells the unknown from the unsent") {
  publish(1);
  static_cast<void>(l.take_new());
  now += 5s;
  publish(2);
  CHECK(*l.next_expiry() == ledger::clock::time_point{} + 10s);
  l.expire(now + 4s);
  CHECK(answers.empty());
  l.expire(now + 5s);
  CHECK(last() == errc::outcome_unknown);
  l.expire(now + 10s);
  CHECK(last() == errc::not_sent);
  CHECK(l.is_empty());
  CHECK_FALSE(l.next_expiry());
  CHECK_FALSE(l.stored(0, {"late"}, now));
}

TEST_CASE_METHOD(fixture, "what waits for room expires too") {
  for (int i = 0; i < 3; ++i)
    publish(i);
  publish(3, true);
  l.expire(now + 10s);
  CHECK(order == std::vector{0, 1, 2, 3});
  CHECK(last() == errc::not_sent);
}

TEST_CASE_METHOD(fixture, "a message that expired is not sent again") {
  publish(1);
  now += 5s;
  publish(2);
  l.expire(now + 5s);
  CHECK(l.take_all().size() == 1);
  CHECK(l.stored(1, {"b"}, now));
}

TEST_CASE_METHOD(fixture, "a message that cannot be encoded is answered at once and takes no room") {
  publish(1, false, std::string(1u << 20, 'x'));
  CHECK(last() == errc::message_too_large);
  CHECK(describe(answers.back().error()).find("persistent://t/n/x") != std::string::npos);
  CHECK(l.is_empty());
}

TEST_CASE_METHOD(fixture, "a rejection carries the broker's words") {
  publish(1);
  static_cast<void>(l.take_new());
  l.rejected(0, "send-error:8: full");
  CHECK(last() == errc::rejected);
  CHECK(describe(answers.back().error()).find("send-error:8: full") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "a closed ledger takes nothing more, and drains") {
  publish(1);
  l.close();
  publish(2);
  CHECK(last() == errc::stopping);
  l.stored(0, {"a"}, now);
  CHECK(l.is_empty());
}

TEST_CASE("whoever drops a publication answers it, once") {
  std::vector<errc> answers;
  const auto note = [&](caf::expected<message_id> a) { answers.push_back(a ? errc::none : code_of(a.error())); };
  {
    ledger l{"x", 10, 10s};
    l.publish(std::make_shared<publication>(message{}, note), false, {});
    static_cast<void>(l.take_new());
    l.publish(std::make_shared<publication>(message{}, note), false, {});
  }
  CHECK(answers == std::vector{errc::outcome_unknown, errc::not_sent});
}

TEST_CASE("a ledger that ends leaves nobody waiting for as long as a connection has the frames") {
  std::vector<connection::frame> sent;
  int told = 0;
  {
    ledger l{"x", 10, 10s};
    l.publish(std::make_shared<publication>(message{.payload = "one"},
                                            [&](caf::expected<message_id> a) {
                                              CHECK(code_of(a.error()) == errc::outcome_unknown);
                                              ++told;
                                            }),
              false, {});
    sent = l.take_new();
  }
  CHECK(told == 1);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0]->str() == R"({"payload":"b25l","context":"0"})");
  sent.clear();
  CHECK(told == 1);
}

TEST_CASE("a message's frame outlives its receipt where a connection has it still") {
  ledger l{"x", 10, 10s};
  l.publish(std::make_shared<publication>(message{.payload = "one"}, receipt_listener{}), false, {});
  const auto sent = l.take_new();
  CHECK(l.stored(0, {"a"}, {}));
  CHECK(l.is_empty());
  CHECK(sent.at(0)->str() == R"({"payload":"b25l","context":"0"})");
}

TEST_CASE("one function is told of many messages, each with its place") {
  std::vector<std::pair<std::size_t, std::string>> told;
  const auto all = std::make_shared<const receipt_listener::of_many>(
    [&](std::size_t place, caf::expected<message_id> a) { told.emplace_back(place, a ? a->value : "no"); });
  ledger l{"x", 2, 10s};
  for (std::size_t place = 0; place < 3; ++place)
    l.publish(std::make_shared<publication>(message{}, receipt_listener{all, place}), false, {});
  l.publish(
    std::make_shared<publication>(message{}, receipt_listener{std::make_shared<const receipt_listener::of_many>(), 0}),
    false, {}); // refused, and nobody is there to be told
  static_cast<void>(l.take_new());
  CHECK(l.stored(1, {"b"}, {}));
  CHECK(l.stored(0, {"a"}, {}));
  CHECK(told == std::vector<std::pair<std::size_t, std::string>>{{2, "no"}, {1, "b"}, {0, "a"}});
}

TEST_CASE("a callback that throws takes nobody along") {
  ledger l{"x", 10, 10s};
  int answered = 0;
  l.publish(std::make_shared<publication>(message{}, [](caf::expected<message_id>) { throw 1; }), false, {});
  l.publish(std::make_shared<publication>(message{}, [&](caf::expected<message_id>) { ++answered; }), false, {});
  CHECK(l.stored(0, {"a"}, {}));
  CHECK(l.stored(1, {"b"}, {}));
  CHECK(answered == 1);
}

TEST_CASE_METHOD(fixture, "what an earlier connection sent, and is refused when it is sent again, may be stored") {
  publish(1);
  publish(2);
  CHECK(l.take_new().size() == 2);
  CHECK(l.rejected(0, "no"));
  CHECK(last() == errc::rejected); // sent once, refused once
  CHECK(l.take_all().size() == 1);
  CHECK(l.rejected(1, "no"));
  CHECK(last() == errc::outcome_unknown);
}

TEST_CASE_METHOD(fixture, "it says how many were given up that were never sent") {
  publish(1);
  CHECK(l.take_new().size() == 1);
  publish(2);
  CHECK(l.expire(now + 10s) == 1);
  CHECK(l.first() == 2);
}

TEST_CASE_METHOD(fixture, "a ledger that was closed can be opened again") {
  l.close();
  publish(1);
  CHECK(last() == errc::stopping);
  l.open();
  publish(2);
  CHECK(l.pending() == 1);
}

TEST_CASE("every message is counted once as it comes and once as it is answered, whatever becomes of its ledger") {
  const auto counts = std::make_shared<pipeline_metrics>();
  ledger::clock::time_point now{};
  int answers = 0;
  {
    ledger l{"persistent://t/n/x", 4, 10s, {}, counts};
    const auto publish = [&](bool waits, std::optional<std::string> key = {}) {
      l.publish(std::make_shared<publication>(message{.payload = "p", .key = std::move(key)},
                                              [&](const caf::expected<message_id>&) { ++answers; }),
                waits, now);
    };
    for (int i = 0; i < 3; ++i)
      publish(false);
    CHECK(l.take_new().size() == 3);
    publish(false);
    publish(false);                        // too many
    publish(true);                         // waits for room
    publish(true, "\xff");                 // and turns out to be none
    CHECK(l.stored(0, {"a"}, now + 30ms)); // makes room for the one that waits
    CHECK(l.rejected(1, "no"));            // and for the one that is none
    CHECK(counts->produced.value() == 7);
    CHECK(counts->stored.value() == 1);
    CHECK(counts->failed.value() == 3);
    CHECK(counts->unknown.value() == 0);
  } // one was transmitted and two were not
  CHECK(answers == 7);
  CHECK(counts->unknown.value() == 1);
  CHECK(counts->failed.value() == 5);
  CHECK(counts->stored.value() + counts->failed.value() + counts->unknown.value() == counts->produced.value());
  CHECK(counts->receipts.seconds() == Approx(0.03));
  CHECK(counts->receipts.in_bucket(8) == 1); // 25 to 50 ms
}
