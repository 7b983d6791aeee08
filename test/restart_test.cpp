#include "supervisor/restart.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>

using namespace stargate;
using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

const caf::error crash = make_error(errc::handler_failed, "boom");
const caf::error shut = make_error(exit_code::shutdown, "done");

} // namespace

TEST_CASE("permanent children are always restarted") {
  CHECK(is_restarted(restart::permanent, crash));
  CHECK(is_restarted(restart::permanent, {}));
  CHECK(is_restarted(restart::permanent, shut));
}

TEST_CASE("transient children are restarted when they did not end well") {
  CHECK(is_restarted(restart::transient, crash));
  CHECK(is_restarted(restart::transient, caf::exit_reason::kill));
  CHECK_FALSE(is_restarted(restart::transient, {}));
  CHECK_FALSE(is_restarted(restart::transient, shut));
  CHECK_FALSE(is_restarted(restart::transient, caf::exit_reason::user_shutdown));
}

TEST_CASE("temporary children are never restarted") {
  CHECK_FALSE(is_restarted(restart::temporary, crash));
}

TEST_CASE("the strategy says whom a restart affects") {
  const std::string_view all = "abcd";
  const auto whom = [&](strategy how) {
    const auto [first, last] = affected(how, all.begin(), all.begin() + 1, all.end());
    return std::string{first, last};
  };
  CHECK(whom(strategy::one_for_one) == "b");
  CHECK(whom(strategy::simple_one_for_one) == "b");
  CHECK(whom(strategy::one_for_all) == "abcd");
  CHECK(whom(strategy::rest_for_one) == "bcd");
}

TEST_CASE("one restart more than the intensity within the period is too many") {
  restart_log log{2, 5s};
  const std::chrono::steady_clock::time_point t{100s};
  CHECK(log.add(t));
  CHECK(log.add(t + 1s));
  CHECK_FALSE(log.add(t + 2s));
}

TEST_CASE("a restart counts as long as now minus then is at most the period, in whole seconds") {
  const std::chrono::steady_clock::time_point t{100s};
  restart_log at_the_edge{1, 5s};
  CHECK(at_the_edge.add(t + 900ms));
  CHECK_FALSE(at_the_edge.add(t + 5s + 999ms)); // 105 - 100 = 5
  restart_log beyond{1, 5s};
  CHECK(beyond.add(t + 900ms));
  CHECK(beyond.add(t + 6s)); // 106 - 100 = 6
}

TEST_CASE("bounds that change leave what was counted") {
  restart_log log{5, 5s};
  const std::chrono::steady_clock::time_point t{100s};
  CHECK(log.add(t));
  CHECK(log.add(t));
  log.set_bounds(2, 5s);
  CHECK_FALSE(log.add(t + 1s));
}

TEST_CASE("a supervisor shuts down by itself for significant children only") {
  CHECK_FALSE(shuts_down(auto_shutdown::never, true, false));
  CHECK(shuts_down(auto_shutdown::any_significant, true, true));
  CHECK_FALSE(shuts_down(auto_shutdown::any_significant, false, false));
  CHECK(shuts_down(auto_shutdown::all_significant, true, false));
  CHECK_FALSE(shuts_down(auto_shutdown::all_significant, true, true));
  CHECK_FALSE(shuts_down(auto_shutdown::all_significant, false, false));
}

TEST_CASE("an intensity of zero allows no restart") {
  restart_log log{0, 5s};
  CHECK_FALSE(log.add(std::chrono::steady_clock::time_point{1s}));
}
