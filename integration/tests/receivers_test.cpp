// What a pipeline needs beyond push and acknowledge: pull mode, several topics, dead letters, batches, keys, rates.
#include "integration/proxy.hpp"
#include "integration/tests/support.hpp"

#include <map>
#include <set>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::integration;
using list = std::vector<std::string>;

namespace {

struct admin_fixture : fixture {
  stargate::admin broker_admin{base()};

  registry_key consumer_key(const std::string& subscription = "s") const { return {"consumer/" + subscription, topic}; }

  void fill(std::size_t count) {
    std::vector<message> messages;
    for (std::size_t i = 0; i < count; ++i)
      messages.push_back({.payload = std::to_string(i), .key = std::to_string(i % 10)});
    store(std::move(messages));
  }
};

} // namespace

TEST_CASE_METHOD(admin_fixture, "in pull mode 1500 messages come, over a cut as well") {
  fill(1500);
  proxy between{broker().port};
  std::set<std::string> seen;
  std::mutex mutex;
  auto o = with_consumer([&](const received_message& m) {
    const std::lock_guard guard{mutex};
    seen.insert(m.payload);
    return disposition::ack;
  });
  o.consumers[0].pull_mode = true;
  o.consumers[0].processors = 2;
  o.consumers[0].max_demand = 20;
  o.consumers[0].min_demand = 10;
  o.hosts = {{"127.0.0.1", between.port()}};
  const auto t = run(std::move(o));
  const auto handled = [&] {
    const std::lock_guard guard{mutex};
    return seen.size();
  };
  REQUIRE(wait_until(within(60s), [&] { return handled() >= 300; }));
  CHECK(between.cut() == 1); // permits do not survive it
  CHECK(wait_until(within(60s), [&] { return handled() == 1500; }));
}

TEST_CASE_METHOD(admin_fixture, "several topics by one socket: acknowledging and refusing work on each") {
  std::vector<topic_name> topics{fresh_topic("multi-a"), fresh_topic("multi-b"), fresh_topic("multi-c")};
  const bool by_pattern = GENERATE(false, true);
  for (const auto& name : topics) {
    topic = name;
    producer = registry_key{topic};
    store(list{"1 " + name.topic, "2 " + name.topic});
  }
  std::mutex mutex;
  std::multiset<std::string> seen;
  auto o = base();
  consumer_options c{.subscription = "multi",
                     .type = subscription_type::shared,
                     .position = initial_position::earliest,
                     .negative_ack_redelivery_delay = 300ms,
                     .handler = [&](const received_message& m) {
                       const std::lock_guard guard{mutex};
                       seen.insert(m.payload);
                       return m.payload[0] == '2' && seen.count(m.payload) == 1 ? disposition::nack : disposition::ack;
                     }};
  if (by_pattern)
    c.topics_pattern = "persistent://public/default/multi-[abc]-" + std::to_string(getpid()) + "-.*";
  else
    c.topics = topics;
  o.consumers = {c};
  {
    const auto t = run_connected(o);
    CHECK(wait_until(within(40s), [&] {
      const std::lock_guard guard{mutex};
      bool all = true;
      for (const auto& name : topics)
        all = all && seen.count("1 " + name.topic) >= 1 && seen.count("2 " + name.topic) >= 2;
      return all;
    }));
  }
  for (const auto& name : topics) // and nothing is left unacknowledged on any of them
    CHECK(wait_until(within(30s), [&] {
      const auto text = broker_admin.stats(name);
      return text && text->find(R"("msgBacklog":0)") != std::string::npos;
    }));
}

TEST_CASE_METHOD(admin_fixture, "a terminated topic says when it was read to its end") {
  fill(10);
  inbox in, other;
  auto o = with_consumer(in.keeps());
  o.readers = with_reader(other.keeps()).readers;
  const auto t = run_connected(std::move(o));
  REQUIRE(in.has(10));
  REQUIRE(other.has(10));
  const registry_key reader{"reader", topic};
  auto at_end = t.is_end_of_topic(consumer_key());
  REQUIRE(at_end);
  CHECK_FALSE(*at_end);
  REQUIRE_FALSE(broker_admin.terminate(topic));
  for (const auto& key : {consumer_key(), reader})
    CHECK(wait_until(within(30s), [&] {
      const auto answer = t.is_end_of_topic(key);
      return answer && *answer;
    }));
  CHECK(code_of(t.is_end_of_topic(registry_key{"consumer/nobody", topic}).error()) == errc::not_registered);
}

TEST_CASE_METHOD(admin_fixture, "unsubscribe ends the consumer for good, and leaves the tree whole") {
  inbox in, other;
  auto o = with_producer();
  o.consumers = {consumer(in.keeps(), "goes"), consumer(other.keeps(), "stays")};
  const auto t = run_connected(std::move(o));
  REQUIRE(t.produce(producer, "1"));
  REQUIRE(in.has(1));
  REQUIRE_FALSE(t.unsubscribe(consumer_key("goes")));
  CHECK_FALSE(t.whereis(consumer_key("goes")));
  CHECK(wait_until(within(30s), [&] {
    const auto left = broker_admin.subscriptions(topic);
    return left && *left == list{"stays"};
  }));
  REQUIRE(t.produce(producer, "2"));
  CHECK(other.has(2));
  CHECK_FALSE(t.wait_ready(10s));
  CHECK(in.size() == 1);
  CHECK(t.inspect().restarts == 0);
  CHECK(code_of(t.unsubscribe(consumer_key("goes"))) == errc::not_registered);
}

TEST_CASE_METHOD(admin_fixture, "acknowledge_up_to acknowledges everything before it") {
  fill(300);
  const auto processors = GENERATE(std::size_t{1}, std::size_t{3});
  const auto name = "cumulative-" + std::to_string(processors);
  {
    inbox in;
    auto o = base();
    o.consumers = {consumer(in.keeps(disposition::continue_), name)};
    o.consumers[0].processors = processors;
    const auto t = run_connected(std::move(o));
    REQUIRE(in.has(300));
    for (const auto& m : in.all())
      if (m.payload == "249")
        m.acknowledge_up_to();
  }
  CHECK(left_over(name) == 50);
}

TEST_CASE_METHOD(admin_fixture, "messages that were produced in batches are acknowledged for good") {
  {
    auto o = with_producer();
    o.producers[0].batching = true;
    o.producers[0].batch_delay = 100ms;
    const auto t = run_connected(std::move(o));
    for (const auto& answer : t.produce(producer, std::vector<message>(200, message{.payload = "x"})))
      REQUIRE(answer);
  }
  const auto stored = broker_admin.stats(topic);
  REQUIRE(stored);
  CHECK(stored->find(R"("msgInCounter":200)") != std::string::npos);
  {
    inbox in;
    const auto t = run(with_consumer(in.keeps()));
    REQUIRE(in.has(200));
  }
  CHECK(left_over() == 0);
}

TEST_CASE_METHOD(fixture, "a topic that is not persistent works, to those who are there") {
  topic.persistence = persistence::non_persistent;
  producer = registry_key{topic};
  inbox in;
  auto o = with_producer();
  o.consumers = {consumer(in.keeps())};
  o.consumers[0].position = {};
  const auto t = run_connected(std::move(o));
  for (int i = 0; i < 20; ++i)
    REQUIRE(t.produce(producer, "x"));
  CHECK(in.has(20));
  CHECK(in.all().front().topic() == topic);
}

TEST_CASE_METHOD(admin_fixture, "on a partitioned topic messages of one key stay in one partition, in order") {
  REQUIRE_FALSE(broker_admin.create_partitioned_topic(topic, 4));
  CHECK(*broker_admin.partitions(topic) == 4);
  inbox in;
  auto o = with_producer();
  o.producers[0].routing = message_routing::round_robin;
  o.producers[0].hashing = hashing_scheme::murmur3_32_hash;
  o.consumers = {consumer(in.keeps())};
  const auto t = run_connected(std::move(o));
  std::vector<message> messages;
  for (int i = 0; i < 400; ++i)
    messages.push_back(keyed("key " + std::to_string(i % 20), std::to_string(i)));
  for (const auto& answer : t.produce(producer, std::move(messages)))
    REQUIRE(answer);
  REQUIRE(in.has(400));
  std::map<std::string, int> last;
  bool in_order = true;
  for (const auto& m : in.all()) {
    const auto number = std::stoi(m.payload);
    if (const auto i = last.find(*m.key); i != last.end())
      in_order = in_order && i->second < number;
    last[*m.key] = number;
  }
  CHECK(in_order);
  std::size_t used = 0;
  for (int i = 0; i < 4; ++i) {
    auto partition = topic;
    partition.topic += "-partition-" + std::to_string(i);
    const auto text = broker_admin.stats(partition);
    used += text && text->find(R"("msgInCounter":0,)") == std::string::npos;
  }
  CHECK(used > 1);
}

TEST_CASE_METHOD(admin_fixture, "after its redeliveries a message is on the dead-letter topic of the broker") {
  const auto dead = fresh_topic("dead");
  store(list{"poison", "food"});
  std::atomic<int> tries = 0;
  inbox in;
  auto o = with_consumer(
    [&](const received_message& m) { return m.payload == "poison" ? (++tries, disposition::nack) : disposition::ack; });
  o.consumers[0].negative_ack_redelivery_delay = 100ms;
  o.consumers[0].max_redeliver_count = 2;
  o.consumers[0].dead_letter_topic = to_string(dead);
  const auto t = run_connected(std::move(o));
  CHECK(read(dead, 1) == list{"poison"});
  CHECK(tries == 3);
}

TEST_CASE_METHOD(admin_fixture,
                 "on_failure dead_letter puts a message on the dead-letter topic, then acknowledges it") {
  const auto type = GENERATE(subscription_type::exclusive, subscription_type::failover, subscription_type::shared);
  store(std::vector<message>{
    {.payload = "1"}, {.payload = "poison", .key = "k", .properties = {{"a", "b"}}}, {.payload = "2"}});
  const auto name = "dead-" + std::to_string(static_cast<int>(type));
  inbox good, dead;
  auto o = base();
  o.consumers = {consumer(
    [&good](const received_message& m) {
      if (m.payload == "poison")
        throw std::runtime_error{"cannot eat this"};
      return good.keep(m);
    },
    name)};
  o.consumers[0].type = type;
  o.consumers[0].on_failure = failure_action::dead_letter;
  topic_name dead_topic = topic;
  dead_topic.topic += "-" + name + "-DLQ"; // Pulsar's own name for it
  o.readers = {{.topic = dead_topic, .start = start_at::earliest(), .handler = dead.keeps()}};
  {
    const auto t = run_connected(std::move(o));
    REQUIRE(good.has(2));
    REQUIRE(dead.has(1));
    const auto m = dead.all().front();
    CHECK(m.payload == "poison");
    CHECK(m.key == "k");
    CHECK(m.properties.at("a") == "b");
    CHECK(m.properties.at("REAL_TOPIC") == to_string(topic));
    CHECK(m.properties.at("EXCEPTION").find("cannot eat this") != std::string::npos);
    CHECK(t.inspect().restarts == 0);
    CHECK(wait_until(within(30s), [&] {
      const auto text = broker_admin.stats(topic);
      return text && text->find(R"("msgBacklog":0)") != std::string::npos;
    }));
  }
  CHECK(left_over(name, type) == 0);
  // Without a subscription the broker would delete the topic, and the message with it.
  const auto held = broker_admin.subscriptions(dead_topic);
  REQUIRE(held);
  CHECK(std::find(held->begin(), held->end(), "dead-letters") != held->end());
}

TEST_CASE_METHOD(admin_fixture, "on_failure nack restarts nothing; the message comes again") {
  fill(10);
  std::atomic<int> failures = 0;
  inbox in;
  auto o = with_consumer([&](const received_message& m) {
    if (m.payload == "5" && ++failures < 3)
      throw std::runtime_error{"not now"};
    return in.keep(m);
  });
  o.consumers[0].on_failure = failure_action::nack;
  o.consumers[0].negative_ack_redelivery_delay = 100ms;
  const auto t = run_connected(std::move(o));
  CHECK(in.has(10));
  CHECK(failures == 3);
  CHECK(t.inspect().restarts == 0);
  CHECK(was_logged("not now"));
}

TEST_CASE_METHOD(admin_fixture,
                 "a handler that takes too long: its message is refused, buried, or the consumer restarts") {
  const auto action = GENERATE(failure_action::nack, failure_action::dead_letter, failure_action::crash);
  topic = fresh_topic();
  producer = registry_key{topic};
  store(list{"slow", "quick"});
  struct state {
    std::atomic<int> slow = 0;
    std::atomic<int> quick = 0;
  };
  // A handler that is left behind outlives the test.
  const auto s = std::make_shared<state>();
  inbox dead;
  auto o = base();
  o.consumers = {consumer([s](const received_message& m) {
    if (m.payload == "slow" && ++s->slow == 1)
      std::this_thread::sleep_for(3s);
    if (m.payload == "quick")
      ++s->quick;
    return disposition::ack;
  })};
  auto& c = o.consumers[0];
  c.handler_timeout = 300ms;
  c.on_failure = action;
  c.negative_ack_redelivery_delay = 100ms;
  c.processors = 2;
  c.max_demand = 1;
  c.min_demand = 0;
  o.shutdown = 200ms;
  if (action == failure_action::dead_letter)
    o.readers = {{.topic = {.topic = topic.topic + "-s-DLQ"}, .start = start_at::earliest(), .handler = dead.keeps()}};
  const auto t = run_connected(std::move(o));
  CHECK(wait_until(within(30s), [&] { return s->quick >= 1; }));
  if (action == failure_action::dead_letter)
    CHECK(dead.has(1));
  else
    CHECK(wait_until(within(30s), [&] { return s->slow >= 2; }));
  CHECK(was_logged("took longer than handler_timeout"));
  CHECK((t.inspect().restarts > 0) == (action == failure_action::crash));
}

TEST_CASE_METHOD(admin_fixture, "batches come by size, and by time when they are not full") {
  fill(25);
  std::mutex mutex;
  std::vector<std::size_t> sizes;
  auto o = with_consumer([&](std::span<const received_message> batch) {
    const std::lock_guard guard{mutex};
    sizes.push_back(batch.size());
    return std::vector<disposition>(batch.size(), disposition::ack);
  });
  o.consumers[0].batch_size = 10;
  o.consumers[0].batch_delay = 2s; // a broker under load pauses between two messages, too
  {
    const auto t = run_connected(std::move(o));
    CHECK(wait_until(within(30s), [&] {
      const std::lock_guard guard{mutex};
      return sizes == std::vector<std::size_t>{10, 10, 5};
    }));
    CHECK(wait_until(within(30s), [&] {
      const auto text = broker_admin.stats(topic);
      return text && text->find(R"("msgBacklog":0)") != std::string::npos;
    }));
  }
  CHECK(left_over() == 0);
}

TEST_CASE_METHOD(admin_fixture, "messages of one key are handled by one processor, in order") {
  fill(500);
  std::mutex mutex;
  std::map<std::string, std::set<int>> workers;
  std::map<std::string, int> last;
  bool in_order = true;
  std::atomic<int> handlers = 0, handled = 0;
  auto o = with_consumer(stateful([&] { return ++handlers; },
                                  [&](const received_message& m, int me) {
                                    {
                                      const std::lock_guard guard{mutex};
                                      workers[*m.key].insert(me);
                                      const auto number = std::stoi(m.payload);
                                      if (const auto i = last.find(*m.key); i != last.end())
                                        in_order = in_order && i->second < number;
                                      last[*m.key] = number;
                                    }
                                    ++handled;
                                    return disposition::ack;
                                  }));
  o.consumers[0].processors = 4;
  o.consumers[0].partition_by_key = true;
  o.consumers[0].max_demand = 10;
  o.consumers[0].min_demand = 5;
  const auto t = run_connected(std::move(o));
  REQUIRE(wait_until(within(30s), [&] { return handled == 500; }));
  std::set<int> all;
  for (const auto& [key, who] : workers) {
    CHECK(who.size() == 1);
    all.insert(who.begin(), who.end());
  }
  CHECK(all.size() > 1);
  CHECK(in_order);
}

TEST_CASE_METHOD(admin_fixture, "a rate limit holds messages back") {
  fill(200);
  std::atomic<int> handled = 0;
  auto o = with_consumer([&](const received_message&) {
    ++handled;
    return disposition::ack;
  });
  o.consumers[0].rate_limit = 100; // a tenth of it at once
  const auto t = run_connected(std::move(o));
  REQUIRE(wait_until(within(5s), [&] { return handled >= 1; }));
  const auto began = std::chrono::steady_clock::now();
  REQUIRE(wait_until(within(30s), [&] { return handled == 200; }));
  CHECK(std::chrono::steady_clock::now() - began >= 1700ms);
}

TEST_CASE_METHOD(fixture, "fifty odd numbers go to a reader with two processors, from the earliest") {
  list odd;
  for (int i = 1; i < 100; i += 2)
    odd.push_back(std::to_string(i));
  store(odd);
  inbox in;
  auto o = with_reader(in.keeps());
  o.readers[0].processors = 2;
  const auto t = run_connected(std::move(o));
  REQUIRE(in.has(50));
  auto got = in.payloads();
  CHECK(std::set<std::string>(got.begin(), got.end()) == std::set<std::string>(odd.begin(), odd.end()));
  CHECK(got.size() == 50);
}

TEST_CASE_METHOD(admin_fixture, "of a fail-over pair one is killed, and the other takes over") {
  inbox first, second;
  auto o = with_producer();
  o.consumers = {consumer(first.keeps())};
  o.consumers[0].type = subscription_type::failover;
  o.consumers[0].consumer_name = "a";
  auto one = run_connected(o);
  o.producers = {};
  o.consumers[0].consumer_name = "b";
  o.consumers[0].handler = second.keeps();
  const auto two = run_connected(o);
  o.producers = {};
  for (int i = 0; i < 10; ++i)
    REQUIRE(one.produce(producer, std::to_string(i)));
  REQUIRE(wait_until(within(30s), [&] { return first.size() + second.size() == 10; }));
  send_exit(one.supervisor(), caf::exit_reason::kill);
  store(list{"after"});
  CHECK(wait_until(within(30s), [&] {
    const auto seen = second.payloads();
    return !seen.empty() && seen.back() == "after";
  }));
}

TEST_CASE_METHOD(fixture, "an ad-hoc produce by URL: repeated calls share a connection, which then goes") {
  const auto base_url = "ws://" + broker().name + ":" + std::to_string(broker().port);
  const auto url = base_url + "/ws/v2/producer/persistent/public/default/" + topic.topic;
  temporary_options with;
  with.keep = 300ms;
  temporary_producers temporary{system, with};
  for (int i = 0; i < 3; ++i)
    REQUIRE(temporary.produce(url, {.payload = std::to_string(i)}));
  CHECK(temporary.size() == 1);
  CHECK(temporary.produce(url, std::vector<message>(2, message{.payload = "list"})).size() == 2);
  std::vector<std::thread> callers; // concurrent calls do not refuse each other
  std::atomic<int> stored = 0;
  for (int i = 0; i < 8; ++i)
    callers.emplace_back(
      [&] { stored += temporary.produce(url + "?producerName=one", {.payload = "x"}).operator bool(); });
  for (auto& c : callers)
    c.join();
  CHECK(stored == 8);
  CHECK(wait_until(within(10s), [&] { return temporary.size() == 0; }));
  REQUIRE(produce(system, url, {.payload = "alone"}));
  for (const auto& wrong :
       {std::string{"http://localhost/x"}, base_url, base_url + "/ws/v2/consumer/persistent/a/b/c",
        base_url + "/ws/v2/producer/persistent/public/default", url + "?nothing=1", url + "?batchingMaxMessages=many"})
    CHECK(code_of(temporary.produce(wrong, {.payload = "x"}).error()) == errc::invalid_url);
  const auto nowhere = temporary.produce(base_url + "/ws/v2/producer/persistent/public/nowhere/t", {.payload = "x"});
  CHECK(code_of(nowhere.error()) == errc::not_found);
  CHECK(temporary.size() == 0);
  inbox in;
  const auto t = run(with_reader(in.keeps()));
  CHECK(in.has(14));
}

TEST_CASE_METHOD(fixture, "an ad-hoc produce by URL speaks TLS and shows a token") {
  const auto* port = std::getenv("STARGATE_SECURE_PORT");
  const auto* credentials = std::getenv("STARGATE_CREDENTIALS");
  REQUIRE(port != nullptr); // scripts/test starts a broker that demands both
  REQUIRE(credentials != nullptr);
  const auto url = "wss://localhost:" + std::to_string(std::stoi(port) + 2)
                   + "/ws/v2/producer/persistent/public/default/" + topic.topic;
  temporary_options with;
  with.tls.ca_file = credentials + std::string{"/ca.pem"};
  CHECK(code_of(produce(system, url, {.payload = "x"}, with).error()) == errc::unauthorized);
  with.token = token_source::file(credentials + std::string{"/admin.token"});
  const auto stored = produce(system, url, {.payload = "x"}, with);
  INFO(describe(stored ? caf::error{} : stored.error()));
  CHECK(stored);
  with.tls.ca_file.clear();
  CHECK(code_of(produce(system, url, {.payload = "x"}, with).error()) == errc::untrusted);
}

TEST_CASE_METHOD(admin_fixture, "administration: what is created is listed, and can be changed and deleted") {
  const auto tenant = fresh_topic("tenant").topic;
  const auto ns = tenant + "/ns";
  const auto& a = broker_admin;
  REQUIRE_FALSE(a.health());
  REQUIRE_FALSE(a.create_tenant(tenant));
  CHECK(code_of(a.create_tenant(tenant)) == errc::conflict);
  const auto tenants = a.tenants();
  REQUIRE(tenants);
  CHECK(std::count(tenants->begin(), tenants->end(), tenant) == 1);
  REQUIRE_FALSE(a.create_namespace(ns));
  CHECK(*a.namespaces(tenant) == list{ns});
  CHECK(*a.deduplication(ns) == std::nullopt);
  REQUIRE_FALSE(a.set_deduplication(ns, true));
  CHECK(*a.deduplication(ns) == std::optional{true});
  REQUIRE_FALSE(a.grant(ns, "role", {"produce", "consume"}));
  CHECK(a.permissions(ns)->find("role") != std::string::npos);
  REQUIRE_FALSE(a.revoke(ns, "role"));
  CHECK(a.permissions(ns)->find("role") == std::string::npos);
  const topic_name plain{tenant, "ns", "plain topic ü"};
  const topic_name split{tenant, "ns", "split"};
  REQUIRE_FALSE(a.create_topic(plain));
  REQUIRE_FALSE(a.create_partitioned_topic(split, 3));
  CHECK(*a.partitions(plain) == 0);
  CHECK(*a.partitions(split) == 3);
  CHECK(a.topics(ns)->size() >= 1);
  CHECK(a.stats(split));
  topic = plain;
  producer = registry_key{topic};
  const auto ids = store(list{"1", "2", "3", "4"});
  REQUIRE_FALSE(a.create_subscription(plain, "sub", initial_position::earliest));
  CHECK(*a.subscriptions(plain) == list{"sub"});
  REQUIRE_FALSE(a.skip(plain, "sub", 1));
  const auto rest = [&] {
    inbox in;
    auto o = base();
    o.consumers = {consumer(in.keeps(disposition::continue_), "sub")};
    const auto t = run(std::move(o));
    static_cast<void>(in.has(1, 10s));
    return in.payloads().empty() ? std::string{} : in.payloads().front();
  };
  CHECK(rest() == "2");
  REQUIRE_FALSE(a.reset(plain, "sub", ids[2]));
  CHECK(rest() == "3");
  REQUIRE_FALSE(a.reset(plain, "sub", std::chrono::system_clock::now() - 1h));
  CHECK(rest() == "1");
  REQUIRE_FALSE(a.skip_all(plain, "sub"));
  REQUIRE_FALSE(a.terminate(plain));
  REQUIRE_FALSE(a.delete_subscription(plain, "sub", true));
  REQUIRE_FALSE(a.delete_topic(plain, true));
  REQUIRE_FALSE(a.delete_topic(split, true));
  CHECK(code_of(a.stats(plain).error()) == errc::not_found);
  const auto nowhere = a.create_namespace("no-such-tenant/ns");
  CHECK(code_of(nowhere) == errc::not_found);
  CHECK(describe(nowhere).find("status 404: Tenant does not exist") != std::string::npos);
  CHECK(wait_until(within(20s), [&] { return !a.delete_namespace(ns); }));
  CHECK_FALSE(a.delete_tenant(tenant));
  options unreachable = base();
  unreachable.hosts = {{"127.0.0.1", 1}};
  CHECK(code_of(stargate::admin{unreachable}.health()) == errc::connection_failed);
  unreachable.hosts.push_back(broker());
  CHECK_FALSE(stargate::admin{unreachable}.health());
}
