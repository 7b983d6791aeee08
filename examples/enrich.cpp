// Consume, transform, produce, as supervised actors: messages of `orders` go to an actor of ours, which asks another one
// about each and has the answer produced to `priced`; an order is acknowledged when its price is stored. Kill any of
// them, cut any connection: it goes on.   enrich [PORT]
#include <stargate/stargate.hpp>

#include <future>
#include <iostream>

using namespace stargate;
using namespace stargate::compat;
using namespace std::chrono_literals;

namespace {

const topic_name orders{.topic = "orders"}, priced{.topic = "priced"};

/// Gives the price of an order.
caf::behavior price_list(caf::event_based_actor* self) {
  return behave(self, {}, [](const std::string& order) { return static_cast<int>(order.size()); });
}

/// Takes batches of orders by demand: one after the other, no thread waits.
caf::behavior pricing(caf::event_based_actor* self, weak_tree tree, registry names) {
  return behave(self, {}, [=](message_batch& batch) {
    for (const auto& order : batch.messages)
      request(self, names.whereis("prices"), 1s, order.payload)
        .then(
          [=](int price) {
            tree.produce_and_ack(order, producer_key(priced),
                                 {.payload = order.payload + ": " + std::to_string(price)});
          },
          [=](const caf::error&) { order.negative_acknowledge(); });
    return dispositions{disposition::continue_};
  });
}

/// A child that is found under its name, whoever it is now.
template <class... Arguments>
child_spec named(const registry& names, std::string name, Arguments... arguments) {
  return {.id = name, .start = [=](const start_context& c) -> caf::expected<caf::actor> {
            auto who = c.system.spawn(arguments...);
            post(names.actor(), register_name{name, who});
            return who;
          }};
}

} // namespace

int main(int argc, char** argv) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  const auto names = registry::spawn(system, "mine");
  options o;
  o.hosts = {{"127.0.0.1", static_cast<std::uint16_t>(argc > 1 ? std::stoi(argv[1]) : 8080)}};
  o.producers = {{.topic = orders}, {.topic = priced}};
  o.consumers = {{.topic = orders,
                  .subscription = "pricing",
                  .position = initial_position::earliest,
                  .handler = deliver_to(names, "pricing")}};
  auto tree = start(system, std::move(o));
  if (!tree || tree->add(named(names, "prices", price_list))
      || tree->add(named(names, "pricing", pricing, tree->weak(), names)))
    return 1;
  if (const auto why = tree->wait_ready(20s)) {
    std::cerr << describe(why) << std::endl;
    return 1;
  }
  std::promise<std::string> seen;
  if (tree->add(reader_options{.topic = priced,
                               .start = start_at::earliest(),
                               .handler = [&, told = false](const received_message& m) mutable {
                                 if (!std::exchange(told, true))
                                   seen.set_value(m.payload);
                                 return disposition::ack;
                               }}))
    return 1;
  if (const auto id = tree->produce(producer_key(orders), "tea"); !id)
    return 1;
  std::cout << seen.get_future().get() << std::endl;
  const bool stopped = !tree->stop();
  send_exit(names.actor(), caf::exit_reason::user_shutdown);
  return stopped ? 0 : 1;
}
