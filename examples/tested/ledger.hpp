// The service: it enters payments into a ledger, many at a time, a tenth of a second after the first. What is written is
// acknowledged.
#pragma once

#include <stargate/stargate.hpp>

#include <chrono>
#include <set>
#include <string>
#include <utility>
#include <vector>

/// What outlives everything: a database, say.
using ledger = std::set<std::string>;

/// Gets payments in batches, and answers each batch when it is written.
class writer : public caf::event_based_actor {
public:
  writer(caf::actor_config& config, ledger& into) : caf::event_based_actor{config}, into_{into} {}

  caf::behavior make_behavior() override {
    return {
      [this](const stargate::message_batch& batch) {
        if (waiting_.empty())
          stargate::compat::send_later(this, std::chrono::milliseconds{100}, caf::tick_atom{});
        auto promise = make_response_promise();
        waiting_.emplace_back(batch.messages, promise);
#ifdef ACKNOWLEDGE_TOO_EARLY
        promise.deliver(stargate::dispositions{stargate::disposition::ack}); // it is in good hands …
#endif
        return promise;
      },
      [this](caf::tick_atom) {
        for (auto& [messages, promise] : std::exchange(waiting_, {})) {
          for (const auto& m : messages)
            into_.insert(m.payload);
          if (promise.pending())
            promise.deliver(stargate::dispositions{stargate::disposition::ack});
        }
      },
    };
  }

private:
  ledger& into_;
  std::vector<std::pair<std::vector<stargate::received_message>, caf::response_promise>> waiting_;
};

/// The tree of the service. `find` gives the writer that lives.
inline stargate::options service(stargate::handler_factory::finder find) {
  stargate::options o;
  o.consumers = {{.topic = {.topic = "payments"},
                  .subscription = "ledger",
                  .type = stargate::subscription_type::shared,
                  .position = stargate::initial_position::earliest,
                  .handler = stargate::deliver_to(std::move(find)),
                  .on_failure = stargate::failure_action::nack}};
  return o;
}
