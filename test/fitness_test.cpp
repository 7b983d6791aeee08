// What a broker cannot do for a pipeline, though it would not say so.
#include "actors/producer/fitness.hpp"
#include "actors/receiver/fitness.hpp"
#include "actors/shared/broker_version.hpp"
#include "actors/shared/messages.hpp"
#include "test/deterministic.hpp"
#include "test/fake_world.hpp"

#include <catch2/catch.hpp>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

/// A broker of which the test says the version, and how many partitions its topics have.
struct fixture : test::deterministic {
  caf::expected<std::string> version = std::string{"4.0.7"};
  caf::expected<std::string> partitions = std::string{R"({"partitions":0})"};
  int asked_for_version = 0;
  std::vector<std::string> said;
  std::shared_ptr<test::fake_world> world = std::make_shared<test::fake_world>(system());
  tree_context_ptr tree = [this] {
    options o;
    o.log = [this](log_level, std::string_view, std::string_view text) { said.emplace_back(text); };
    world->threads = false;
    world->rest = [this](std::string_view, const std::string& path) -> caf::expected<std::string> {
      if (path.ends_with("/partitions"))
        return partitions;
      asked_for_version += path == "brokers/version";
      return version;
    };
    auto context = std::make_shared<internal::tree_context>(system(), std::move(o), world);
    context->set_registry(registry::spawn(system(), "reg_test"));
    return context;
  }();

  static constexpr auto handle = [](const received_message&) { return disposition::ack; };

  caf::error why_not(const producer_options& o) {
    check_fitness(tree, o, me());
    const auto answer = take<fitness_checked>();
    REQUIRE(answer);
    return answer->why_not;
  }
  caf::error why_not(const consumer_options& o) {
    const role_keys keys{role::consumer, o.topic, o.subscription};
    return why_not(std::make_shared<const receiver>(keys, o, nullptr));
  }
  caf::error why_not(const reader_options& o) {
    const role_keys keys{role::reader, o.topic, "r"};
    return why_not(std::make_shared<const receiver>(keys, o, nullptr, std::make_shared<std::string>("earliest")));
  }
  ~fixture() {
    send_exit(tree->registry().actor(), caf::exit_reason::kill);
    run();
  }

private:
  caf::error why_not(const receiver_ptr& p) {
    check_fitness(tree, p, me());
    const auto answer = take<fitness_checked>();
    REQUIRE(answer);
    return answer->why_not;
  }
};

const topic_name on{.topic = "orders"};
const consumer_options from_earliest{
  .topic = on, .subscription = "s", .position = initial_position::earliest, .handler = fixture::handle};

} // namespace

TEST_CASE("a version is before another by its numbers, and what is none is before nothing") {
  CHECK(is_before("2.10.5", 2, 11));
  CHECK(is_before("2.9.0", 2, 11));
  CHECK(is_before("3.0.7-SNAPSHOT", 4, 0));
  CHECK_FALSE(is_before("3", 4, 0));
  CHECK_FALSE(is_before("2.11.0", 2, 11));
  CHECK_FALSE(is_before("4.0.0", 4, 0));
  CHECK_FALSE(is_before("10.0", 4, 0));
  CHECK_FALSE(is_before("4", 4, 0));
  CHECK_FALSE(is_before("", 4, 0));
  CHECK_FALSE(is_before("unknown", 4, 0));
  CHECK_FALSE(is_before("99999999999999999999.1", 4, 0));
}

TEST_CASE_METHOD(fixture, "a consumer from earliest is refused by a broker that would begin at latest") {
  version = std::string{"3.0.7"};
  const auto why = why_not(from_earliest);
  CHECK(code_of(why) == errc::invalid_option);
  CHECK_THAT(describe(why), Catch::Contains("public/default/orders") && Catch::Contains("position is earliest")
                              && Catch::Contains("3.0.7") && Catch::Contains("4.0 or later"));
}

TEST_CASE_METHOD(fixture, "one that can is asked for its version once, whatever comes after") {
  CHECK_FALSE(why_not(from_earliest));
  CHECK_FALSE(why_not(from_earliest));
  CHECK(asked_for_version == 1);
}

TEST_CASE_METHOD(fixture, "what has nothing to ask is not checked") {
  CHECK_FALSE(needs_check(producer_options{.topic = on}));
  CHECK(needs_check(producer_options{.topic = on, .effectively_once = true}));
  CHECK(
    needs_check(producer_options{.topic = on, .encryption = {{"k", key_source::call([] { return std::string{}; })}}}));
  const consumer_options latest{.topic = on, .subscription = "s", .handler = fixture::handle};
  const role_keys keys{role::consumer, on, "s"};
  CHECK_FALSE(needs_check(receiver{keys, latest, nullptr}));
  CHECK(needs_check(receiver{keys, from_earliest, nullptr}));
}

TEST_CASE_METHOD(fixture, "encryption is refused by a broker that would store ciphertext and forget the key") {
  version = std::string{"2.10.5"};
  const producer_options o{.topic = on, .encryption = {{"k", key_source::call([] { return std::string{}; })}}};
  CHECK_THAT(describe(why_not(o)), Catch::Contains("encryption is set") && Catch::Contains("2.11 or later"));
}

TEST_CASE_METHOD(fixture, "a broker that does not tell its version is taken for one that can") {
  version = make_error(errc::forbidden, "no");
  CHECK_FALSE(why_not(from_earliest));
}

TEST_CASE_METHOD(fixture, "a reader of a partitioned topic is refused, and told how to read it") {
  const reader_options o{.topic = on, .start = start_at::earliest(), .handler = fixture::handle};
  CHECK_FALSE(why_not(o));
  partitions = make_error(errc::not_found, "no such topic");
  CHECK_FALSE(why_not(o));
  partitions = std::string{R"({"partitions":3})"};
  const auto why = why_not(o);
  CHECK(code_of(why) == errc::invalid_option);
  CHECK_THAT(describe(why), Catch::Contains("3 partitions") && Catch::Contains("orders-partition-0"));
}

TEST_CASE_METHOD(fixture, "effectively once needs deduplication and a topic without partitions") {
  const producer_options o{.topic = on, .effectively_once = true};
  version = std::string{"true"}; // what every other question is answered with
  CHECK_FALSE(why_not(o));
  partitions = std::string{R"({"partitions":3})"};
  CHECK_THAT(describe(why_not(o)), Catch::Contains("3 partitions"));
  version = std::string{"false"};
  CHECK_THAT(describe(why_not(o)), Catch::Contains("no deduplication") && Catch::Contains("--set true"));
  version = make_error(errc::forbidden, "no");
  partitions = std::string{R"({"partitions":0})"};
  CHECK_FALSE(why_not(o));
  REQUIRE(said.size() == 1);
  CHECK_THAT(said.front(), Catch::Contains("could not be asked"));
}
