// What the broker takes away behind connections that stand. Here topics do not make themselves again, as in production:
// then the client inside the broker's WebSocket service gives its consumer up and says nothing.
#include "integration/tests/support.hpp"

#include <future>
#include <thread>

using namespace stargate;
using namespace stargate::integration;

namespace {

struct without_creation : fixture {
  stargate::admin broker_admin{base()};

  without_creation() {
    topic.ns = "made-by-hand-" + std::to_string(getpid());
    producer = registry_key{topic};
    const auto ns = "public/" + topic.ns;
    const auto why = broker_admin.create_namespace(ns);
    if (why && code_of(why) != errc::conflict)
      FAIL(describe(why));
    REQUIRE(
      broker_admin.request("POST", "namespaces/" + ns + "/autoTopicCreation", R"({"allowAutoTopicCreation":false})"));
    REQUIRE_FALSE(broker_admin.create_topic(topic));
  }
  void delete_topic() { REQUIRE_FALSE(broker_admin.delete_topic(topic, true)); }

  /// Deleted, made again after a while with a message, which has to be handled within 15 s.
  void comes_back(const tree& t, const inbox& box) {
    REQUIRE_FALSE(t.wait_ready(30s));
    store(std::vector<std::string>{"before"});
    REQUIRE(box.has(1));
    delete_topic();
    std::this_thread::sleep_for(7s); // while its client gives up
    REQUIRE_FALSE(broker_admin.create_topic(topic));
    store(std::vector<std::string>{"after"});
    CHECK(box.has(2, 15s));
    CHECK(box.payloads().back() == "after");
  }
};

} // namespace

TEST_CASE_METHOD(without_creation, "a consumer finds its topic that was deleted and made again", "[forgotten]") {
  inbox box;
  auto o = base();
  o.consumers = {consumer(box.keeps())};
  comes_back(run(std::move(o)), box);
}

TEST_CASE_METHOD(without_creation, "a consumer that pulls finds its topic that was deleted and made again",
                 "[forgotten]") {
  inbox box;
  auto o = base();
  o.consumers = {consumer(box.keeps())};
  o.consumers[0].pull_mode = true;
  o.consumers[0].consumer_name = "mine";
  comes_back(run(std::move(o)), box);
}

TEST_CASE_METHOD(without_creation, "a reader finds its topic that was deleted and made again", "[forgotten]") {
  inbox box;
  comes_back(run(with_reader(box.keeps())), box);
}

TEST_CASE_METHOD(without_creation, "a consumer finds its partitions, deleted, made again, and more of them than before",
                 "[forgotten]") {
  REQUIRE_FALSE(broker_admin.delete_topic(topic));
  REQUIRE_FALSE(broker_admin.create_partitioned_topic(topic, 2));
  inbox box;
  auto o = base();
  o.consumers = {consumer(box.keeps())};
  const auto t = run_connected(std::move(o));
  store(std::vector<std::string>{"1", "2", "3", "4"});
  REQUIRE(box.has(4));
  delete_topic();
  std::this_thread::sleep_for(7s); // while its client gives up
  REQUIRE_FALSE(broker_admin.create_partitioned_topic(topic, 3));
  store(std::vector<std::string>{"5", "6", "7", "8", "9", "10"});
  CHECK(box.has(10, 15s));
}

TEST_CASE_METHOD(without_creation, "a producer finds its topic that was deleted and made again", "[forgotten]") {
  auto o = with_producer();
  o.producers[0].send_timeout = 60s;
  o.backoff = {.first = 100ms, .most = 2s};
  const auto t = run_connected(std::move(o));
  REQUIRE(t.produce(producer, "before"));
  delete_topic();
  std::vector<std::future<bool>> answers;
  for (int i = 0; i < 20; ++i) {
    answers.push_back(std::async(std::launch::async, [&, i] { return bool{t.produce(producer, std::to_string(i))}; }));
    std::this_thread::sleep_for(250ms);
  }
  REQUIRE_FALSE(broker_admin.create_topic(topic));
  for (auto& answer : answers)
    CHECK(answer.get());
  inbox box;
  const auto reader = run(with_reader(box.keeps()));
  CHECK(box.has(20));
}
