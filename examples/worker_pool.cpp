// A supervised pool of workers in a plain CAF program: no broker, nothing of Pulsar.
//
// A worker that fails is started again and found under its old name, and its neighbours do not notice. What was asked
// of it is asked again. In the end the pool stops, in reverse order.
#include <stargate/registry.hpp>
#include <stargate/supervisor.hpp>

#include <iostream>
#include <string>

using namespace std::chrono_literals;

namespace pool {

struct square {
  int number;
};
struct squared {
  int number;
};

} // namespace pool

// CAF wants to know about messages: 1.x their numbers, 0.17 that they stay in the process.
STARGATE_BEGIN_TYPES(pool, caf::first_custom_type_id)
STARGATE_TYPE(pool, pool::square)
STARGATE_TYPE(pool, pool::squared)
STARGATE_END_TYPES(pool)
STARGATE_LOCAL_MESSAGE(pool::square)
STARGATE_LOCAL_MESSAGE(pool::squared)

namespace {

using pool::square;
using pool::squared;

constexpr int pool_size = 3;

/// Registers itself, tells its supervisor that it has started, and squares numbers. It does not bear 13.
caf::behavior worker(caf::event_based_actor* self, const std::string& name, const stargate::registry& names,
                     const caf::actor& supervisor) {
  const auto me = caf::actor_cast<caf::actor>(self);
  stargate::compat::request(self, names.actor(), 5s, stargate::register_name{name, me, 2s})
    .then([=](const stargate::registered&) { stargate::compat::send(self, supervisor, stargate::child_started{me}); },
          [=](const caf::error& why) { self->quit(why); });
  return stargate::compat::behave(self, {}, [](const square& q) {
    if (q.number == 13)
      throw std::runtime_error{"13 brings bad luck"};
    return squared{q.number * q.number};
  });
}

} // namespace

int main() {
#if STARGATE_CAF_1
  caf::init_global_meta_objects<caf::id_block::pool>();
#endif
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};

  const auto names = stargate::registry::spawn(system, "workers");
  stargate::supervisor_options workers{.name = "pool", .strategy = stargate::strategy::one_for_one, .intensity = 5};
  for (int i = 0; i < pool_size; ++i) {
    stargate::child_spec spec;
    spec.id = "worker/" + std::to_string(i);
    spec.start_timeout = 5s; // it has started when it says so
    spec.start = [names, id = spec.id](const stargate::start_context& c) -> caf::expected<caf::actor> {
      return c.system.spawn(worker, id, names, c.supervisor);
    };
    workers.children.push_back(std::move(spec));
  }
  workers.log = [](stargate::log_level, std::string_view who, std::string_view text) {
    std::cout << who << ": " << text << '\n';
  };
  const auto supervisor = stargate::spawn_supervisor(system, workers, caf::actor_cast<caf::actor>(self));
  self->monitor(supervisor);
  self->receive([](const stargate::child_started&) { std::cout << "the pool stands\n"; });

  int sum = 0;
  for (int number = 10; number < 16; ++number) {
    const auto name = "worker/" + std::to_string(number % pool_size);
    // By its name: whoever holds it now is asked, also when it has been restarted meanwhile.
    stargate::compat::request(self.ptr(), names.actor(), 5s, stargate::await_name{name, 5s})
      .receive(
        [&](const stargate::found& f) {
          stargate::compat::request(self.ptr(), f.who, 5s, square{number})
            .receive([&](const squared& r) { sum += r.number; },
                     [&](const caf::error& why) {
                       std::cout << name << " did not square " << number << ": " << stargate::describe(why) << '\n';
                     });
        },
        [](const caf::error& why) { std::cout << stargate::describe(why) << '\n'; });
  }
  std::cout << "the sum of the squares is " << sum << '\n';

  std::uint64_t restarts = 0;
  stargate::compat::request(self.ptr(), supervisor, 5s, stargate::which_children{})
    .receive([&](const stargate::children& c) { restarts = c.restarts; }, [](const caf::error&) {});
  stargate::compat::send_exit(supervisor, caf::exit_reason::user_shutdown);
  self->receive(
    [](const caf::down_msg& down) { std::cout << "the pool has ended: " << stargate::describe(down.reason) << '\n'; });
  stargate::compat::send_exit(names.actor(), caf::exit_reason::user_shutdown);
  return sum == 100 + 121 + 144 + 196 + 225 && restarts == 1 ? 0 : 1;
}
