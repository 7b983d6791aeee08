// What a span hook is told, and what goes out with messages.
#include "actors/shared/spans.hpp"

#include <stargate/tracing.hpp>

#include <catch2/catch.hpp>

#include <stdexcept>

using namespace stargate;
using namespace std::string_literals;

namespace {

const auto known = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"s;

/// Notes what it is told, and numbers the spans that it makes.
struct noting : span_hook {
  std::vector<std::string> said;
  int made = 0;
  bool throws = false;

  span begin(span_kind kind, const topic_name& topic, const std::optional<trace_context>& parent) override {
    if (throws)
      throw std::runtime_error{"no room for spans"};
    auto id = std::to_string(++made);
    said.push_back((kind == span_kind::producer ? "produces " : "consumes ") + topic.topic + " "
                   + (parent ? parent->span_id : "alone") + " " + id);
    return {{parent ? parent->trace_id : std::string(32, 'a'), std::string(16 - id.size(), '0') + id, 1,
             parent ? parent->state : ""}};
  }
  void end(const span& which, const caf::error& failure) override {
    said.push_back("ends " + which.context.span_id.substr(15) + (failure ? " badly" : ""));
  }
};

struct tree_fixture {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::shared_ptr<noting> hook = std::make_shared<noting>();
  std::vector<std::string> log;
  std::shared_ptr<internal::tree_context> tree = [this] {
    options o;
    o.hosts = {{"localhost", 1}};
    o.spans = hook;
    o.log = [this](log_level, std::string_view, std::string_view text) { log.emplace_back(text); };
    return std::make_shared<internal::tree_context>(system, o);
  }();
};

} // namespace

TEST_CASE("a traceparent is read as W3C has it") {
  const auto c = parse_traceparent(known);
  REQUIRE(c);
  CHECK(c->trace_id == "0af7651916cd43dd8448eb211c80319c");
  CHECK(c->span_id == "b7ad6b7169203331");
  CHECK(c->flags == 1);
  CHECK(to_traceparent(*c) == known);
  CHECK(parse_traceparent("cc" + known.substr(2) + "-what the future brings")); // of a version to come
  for (const auto& wrong : {""s, known.substr(1), known + "-", known + "x", "ff" + known.substr(2),
                            "0g" + known.substr(2), "00-00000000000000000000000000000000-b7ad6b7169203331-01"s,
                            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"s,
                            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"s,
                            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0X"s,
                            "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01"s})
    CHECK_FALSE(parse_traceparent(wrong));
}

TEST_CASE("a context goes into properties and comes out of them") {
  properties p{{"other", "stays"}, {"tracestate", "of nobody"}};
  CHECK_FALSE(trace_context_of(p));
  auto c = *parse_traceparent(known);
  set_trace_context(p, c);
  CHECK(p.size() == 2); // the state that belonged to no parent is gone
  c.state = "vendor=1";
  set_trace_context(p, c);
  CHECK(trace_context_of(p) == c);
  CHECK(p["other"] == "stays");
}

TEST_CASE_METHOD(tree_fixture, "what is produced has a span until its receipt, below whatever its maker said") {
  message m{.payload = "x"};
  m.properties["traceparent"] = known;
  m.properties["tracestate"] = "vendor=1";
  int answers = 0;
  const auto answer = internal::traced(*tree, {.topic = "t"}, m, [&](const caf::expected<message_id>&) { ++answers; });
  const auto sent = trace_context_of(m.properties);
  REQUIRE(sent);
  CHECK(sent->trace_id == "0af7651916cd43dd8448eb211c80319c");
  CHECK(sent->span_id == "0000000000000001");
  CHECK(sent->state == "vendor=1");
  answer(make_error(errc::outcome_unknown, "lost"));
  CHECK(answers == 1);
  CHECK(hook->said == std::vector{"produces t b7ad6b7169203331 1"s, "ends 1 badly"s});
}

TEST_CASE_METHOD(tree_fixture, "what a handler produces belongs to the message that it has in hand") {
  received_message in;
  in.properties["traceparent"] = known;
  {
    internal::handling_spans spans;
    spans.begin(tree, {in});
    {
      const internal::trace_in_hand here{spans};
      REQUIRE(current_trace());
      message out{.payload = "y"};
      internal::traced(*tree, {.topic = "out"}, out, {})(message_id{"1"});
    }
    CHECK_FALSE(current_trace());
    spans.end({});
    spans.begin(tree, {in, in});
    const internal::trace_in_hand several{spans};
    CHECK_FALSE(current_trace()); // of which of them?
  }                               // whoever handled them ended
  CHECK(hook->said
        == std::vector{"consumes  b7ad6b7169203331 1"s, "produces out 0000000000000001 2"s, "ends 2"s, "ends 1"s,
                       "consumes  b7ad6b7169203331 3"s, "consumes  b7ad6b7169203331 4"s, "ends 3 badly"s,
                       "ends 4 badly"s});
}

TEST_CASE_METHOD(tree_fixture, "a hook that throws stops no message") {
  hook->throws = true;
  message m{.payload = "x"};
  bool answered = false;
  internal::traced(*tree, {.topic = "t"}, m,
                   [&](const caf::expected<message_id>&) { answered = true; })(message_id{"1"});
  CHECK(answered);
  CHECK(m.properties.empty());
  internal::handling_spans spans;
  spans.begin(tree, {received_message{}});
  CHECK(log.size() == 2);
  CHECK(log.front().find("no room for spans") != std::string::npos);
}
