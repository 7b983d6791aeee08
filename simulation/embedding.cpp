#include "simulation/world.hpp"

#include <array>
#include <string>
#include <utility>

namespace stargate::simulation {

using namespace compat;

namespace {

using namespace std::chrono_literals;

} // namespace

bool world::go_on(micros at_most, const std::function<bool()>& done) {
  for (const auto limit = now_ + at_most; !done();)
    if (now_ >= limit || !step(limit))
      return done();
  return true;
}

// The tree is one of the children of somebody's supervisor, who restarts it whatever ends in it. Actors of it are
// struck, its own supervisor more often than others; then it stands, takes messages, and ends with its supervisor.
void world::embed() {
  say("EMBEDDED");
  const auto nested = nest();
  randomness random{s_.seed, 10};
  ended_.clear();
  expect_description();
  supervisor_options above{.name = "app", .intensity = 1'000'000};
  above.children = {tree_as_child()};
  const auto top = spawn_supervisor(system_.actors(), std::move(above));
  const auto find = [this] { return find_tree(system_.actors(), "sim"); };
  for (std::size_t n = 0; n < s_.embedded; ++n) {
    go_on(random.between(0, 500_ms), [] { return false; });
    tree_ = find();
    strike_actor({.at = now_,
                  .kind = random.pick(std::array{fault_kind::kill, fault_kind::kill, fault_kind::throwing,
                                                 fault_kind::throwing, fault_kind::ask_to_end}),
                  .whom = random.chance(0.4) ? victim::top : static_cast<victim>(random.below(drawn_victims)),
                  .which = random.next()});
  }
  tree_ = {};
  calm_since_ = now_;
  const auto stands = [&] {
    const auto t = find();
    return t && !has_ended(t.supervisor()) && !t.wait_ready(1ms);
  };
  if (!go_on(300_s, stands) && !may_be_given_up())
    violate("a tree below a supervisor does not stand again");
  tree_ = find();
  if (tree_ && !may_be_given_up())
    probe();
  tree_ = {};
  send_exit(top, make_error(exit_code::shutdown, "the application ends"));
  if (!go_on(200_s, [&] { return living() == 0; }))
    violate("a supervisor leaves " + std::to_string(living()) + " actors of its tree");
  nothing_is_left("a supervisor with a tree below it");
  books_.judge(broker_.topics(), broker_.refused_on);
}

} // namespace stargate::simulation
