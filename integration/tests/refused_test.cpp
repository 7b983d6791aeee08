// What the broker refuses for good: known by its own word, said once, and given up. What may pass is tried again.
#include "integration/tests/support.hpp"

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::integration;

namespace {

struct refusing : fixture {
  stargate::admin broker_admin{base()};
  std::size_t errors = 0; // guarded by log_mutex

  options counted() {
    auto o = base();
    o.log = [this, keep = o.log](log_level level, std::string_view source, std::string_view text) {
      keep(level, source, text);
      const std::lock_guard guard{log_mutex};
      errors += level == log_level::error ? 1 : 0;
    };
    o.backoff = {.first = 50ms, .most = 200ms};
    return o;
  }
  std::size_t errors_said() {
    const std::lock_guard guard{log_mutex};
    return errors;
  }
  bool is_pipeline_down(const tree& t) const {
    const auto seen = t.inspect();
    return std::any_of(seen.entries.begin(), seen.entries.end(), [&](const tree_entry& e) {
      return e.key.find("_sup") != std::string::npos && e.key.find(topic.topic) != std::string::npos
             && e.state == child_state::stopped;
    });
  }
  void is_given_up(options o, errc code, const std::string& word) {
    const auto t = run(std::move(o));
    const auto why = t.wait_ready(20s);
    INFO(describe(why));
    CHECK(code_of(why) == code);
    CHECK(describe(why).find(word) != std::string::npos);
    CHECK(was_logged(word));
    CHECK(wait_until(within(10s), [&] { return is_pipeline_down(t); }));
    CHECK(errors_said() == 1);
    CHECK_FALSE(has_ended(t.supervisor())); // other topics go on
  }
};

} // namespace

TEST_CASE_METHOD(refusing, "a producer for a terminated topic is given up with the broker's word", "[refused]") {
  store(std::vector<std::string>{"one"});
  REQUIRE_FALSE(broker_admin.terminate(topic));
  auto o = counted();
  o.producers = {{.topic = topic}};
  is_given_up(std::move(o), errc::topic_terminated, "already terminated");
}

TEST_CASE_METHOD(refusing, "a topic that is terminated under a producer rejects, and is given up at the next handshake",
                 "[refused]") {
  auto o = counted();
  o.producers = {{.topic = topic}};
  const auto t = run_connected(o);
  const registry_key terminated{"producer", topic, t.name()};
  REQUIRE(t.produce(terminated, message{.payload = "one"}));
  REQUIRE_FALSE(broker_admin.terminate(topic));
  auto answer = t.produce(terminated, message{.payload = "two"});
  REQUIRE_FALSE(answer);
  CHECK(code_of(answer.error()) == errc::rejected);
  CHECK(describe(answer.error()).find("terminated") != std::string::npos);
  send_exit(t.whereis(terminated), caf::exit_reason::kill);
  CHECK(wait_until(within(20s), [&] { return is_pipeline_down(t); }));
  answer = t.produce(terminated, message{.payload = "three"});
  REQUIRE_FALSE(answer);
  CHECK(code_of(answer.error()) == errc::topic_terminated);
  CHECK(errors_said() == 1);
}

TEST_CASE_METHOD(refusing, "a producer without the topic's schema is given up with the broker's word", "[refused]") {
  topic.ns = "strict-" + std::to_string(getpid());
  REQUIRE_FALSE(broker_admin.create_namespace("public/" + topic.ns));
  REQUIRE(broker_admin.request("POST", "namespaces/public/" + topic.ns + "/schemaValidationEnforced", "true"));
  REQUIRE(broker_admin.request("POST", "schemas/public/" + topic.ns + "/" + topic.topic + "/schema",
                               R"({"type":"STRING","schema":"","properties":{}})"));
  auto o = counted();
  o.producers = {{.topic = topic}};
  is_given_up(std::move(o), errc::bad_request, "IncompatibleSchema");
}

TEST_CASE_METHOD(refusing, "a partition that the topic has not is given up with the broker's word", "[refused]") {
  REQUIRE_FALSE(broker_admin.create_partitioned_topic(topic, 2));
  topic.topic += "-partition-7";
  auto o = counted();
  o.producers = {{.topic = topic}};
  const auto version = broker_admin.version();
  REQUIRE(version);
  if (*version == "4.0.0")
    return is_given_up(std::move(o), errc::bad_request, "Illegal topic partition");
  // From 4.0.1 on it says no word, and 404: what may be made later is tried some times.
  const auto t = run(std::move(o));
  CHECK(code_of(t.wait_ready(20s)) == errc::not_found);
}

TEST_CASE_METHOD(refusing, "a reader from an id that the broker cannot read is given up with its word", "[refused]") {
  inbox box;
  auto o = counted();
  o.readers = {{.topic = topic, .start = message_id{"AAAA"}, .handler = box.keeps()}};
  is_given_up(std::move(o), errc::bad_request, "exceeds writerIndex");
}

TEST_CASE_METHOD(refusing, "a reader of a partitioned topic is refused at the start, with what to do", "[refused]") {
  REQUIRE_FALSE(broker_admin.create_partitioned_topic(topic, 3));
  inbox box;
  auto o = counted();
  o.readers = {{.topic = topic, .handler = box.keeps()}};
  is_given_up(std::move(o), errc::invalid_option, "3 partitions");

  topic.topic += "-partition-0";
  store(std::vector<std::string>{"1", "2", "3"});
  const auto t = run_connected(with_reader(box.keeps()));
  CHECK(box.has(3));
}

TEST_CASE_METHOD(refusing, "a subscription that another holds is waited for", "[refused]") {
  inbox of_first, of_second;
  auto o = counted();
  o.consumers = {consumer(of_first.keeps())};
  o.consumers[0].type = subscription_type::exclusive;
  auto first = run_connected(o);
  o.consumers[0].handler = of_second.keeps();
  const auto second = run(std::move(o));
  CHECK(code_of(second.wait_ready(2s)) == errc::timed_out);
  CHECK(was_logged("Exclusive consumer is already connected"));
  CHECK_FALSE(has_ended(second.supervisor()));
  REQUIRE_FALSE(first.stop(10s));
  CHECK_FALSE(second.wait_ready(20s));
}
