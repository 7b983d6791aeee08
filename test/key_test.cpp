#include "actors/shared/roles.hpp"

#include <stargate/error.hpp>
#include <stargate/key.hpp>

#include <catch2/catch.hpp>

using namespace stargate;

TEST_CASE("a key's canonical form has five escaped parts") {
  CHECK(to_string(make_registry_key("public", "default", "orders")) == "producer/persistent/public/default/orders");
  CHECK(to_string(registry_key{"processor/billing/2", {"t", "n", "a b/ü", persistence::non_persistent}})
        == "processor%2Fbilling%2F2/non-persistent/t/n/a%20b%2F%C3%BC");
}

TEST_CASE("parts never run into each other") {
  CHECK(to_string(make_registry_key("a/b", "c", "t")) != to_string(make_registry_key("a", "b/c", "t")));
  CHECK(to_string(make_registry_key("a%2Fb", "c", "t")) != to_string(make_registry_key("a/b", "c", "t")));
}

TEST_CASE("make_registry_key has the original's defaults and options") {
  const auto key = make_registry_key("foo", "bar", "baz");
  CHECK(key.component == "producer");
  CHECK(key.name == "default");
  CHECK(key.topic.persistence == persistence::persistent);
  const auto other = make_registry_key(
    "foo", "bar", "baz", {.name = "app", .component = "producer_ack", .persistence = persistence::non_persistent});
  CHECK(to_string(other) == "producer_ack/non-persistent/foo/bar/baz");
  CHECK(other.name == "app");
}

TEST_CASE("a key comes back from its canonical form") {
  const registry_key key{"processor/a b/0", {"te/nant", "n%s", "päth/x", persistence::non_persistent}};
  const auto back = parse_registry_key(to_string(key));
  REQUIRE(back);
  CHECK(*back == key);
  for (const auto* text : {"", "a", "a/persistent/b/c", "a/persistent/b/c/d/e", "a/other/b/c/d", "a/persistent//c/d",
                           "a/persistent/b/c/%", "a/persistent/b/c/%2", "a/persistent/b/c/%zz"}) {
    INFO(text);
    CHECK_FALSE(parse_registry_key(text));
  }
}

TEST_CASE("a socket's key says which producer, consumer or reader is meant") {
  using internal::role;
  const topic_name topic{.topic = "x"};
  const auto kind = [&](const registry_key& key) {
    const auto keys = internal::role_keys::of(key);
    return keys && keys->topic() == topic ? std::optional{keys->role()} : std::nullopt;
  };
  CHECK(kind(producer_key(topic)) == role::producer);
  CHECK(kind(consumer_key(topic, "a/b")) == role::consumer);
  CHECK(kind(reader_key(topic)) == role::reader);
  CHECK(kind(reader_key(topic, "r")) == role::reader);
  for (const auto& key : {consumer_key(topic, "a/b"), reader_key(topic), reader_key(topic, "r")})
    CHECK(internal::role_keys::of(key)->socket() == to_string(key));
  for (const auto* component : {"", "/", "producer/x", "producer_ack", "consumers/x", "processor/x/0", "dispatcher/x"})
    CHECK_FALSE(kind(registry_key{component, topic}));
}

TEST_CASE("topics are read as Pulsar writes them") {
  CHECK(*parse_topic("orders") == topic_name{.topic = "orders"});
  CHECK(*parse_topic("persistent://t/n/orders") == topic_name{"t", "n", "orders"});
  CHECK(*parse_topic("non-persistent://t/n/a/b c/ü") == topic_name{"t", "n", "a/b c/ü", persistence::non_persistent});
  CHECK(*parse_topic("t/n/orders") == topic_name{"t", "n", "orders"});
  CHECK(to_string(*parse_topic("persistent://t/n/a/b")) == "persistent://t/n/a/b");
}

TEST_CASE("a topic that cannot be used is refused with what is wrong") {
  for (const auto* text : {"", "persistent://", "persistent://t/n/", "persistent://t/n", "persistent:///n/x", "t//x",
                           "kafka://t/n/x", "a/b"}) {
    INFO(text);
    const auto topic = parse_topic(text);
    REQUIRE_FALSE(topic);
    CHECK(code_of(topic.error()) == errc::invalid_topic);
    CHECK(describe(topic.error()).find("'" + std::string{text} + "'") != std::string::npos);
  }
}
