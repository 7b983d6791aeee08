// The starter: it waits until a tree stands, for somebody who may not.
//
// accepts  announced from whoever starts the tree; child_started from the tree's supervisor, and its down message
// sends    nothing
// dies of  having told how it went
#include "actors/tree/starter.hpp"

#include <stargate/error.hpp>
#include <stargate/supervisor.hpp>

#include <utility>

namespace stargate::internal {

namespace {

struct starter_state {
  using told = std::function<void(caf::error, std::shared_ptr<tree_guard>)>;
  static inline const char* name = "stargate.starter";

  caf::event_based_actor* const self;
  const told tell;
  std::shared_ptr<tree_guard> guard; ///< Set when it is announced.
  bool stands = false;

  starter_state(caf::event_based_actor* of, told what) : self{of}, tell{std::move(what)} {}

  void done(caf::error how) {
    tell(std::move(how), std::exchange(guard, nullptr));
    self->quit();
  }

  caf::behavior make_behavior() {
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr&, const caf::error& why) {
      done(make_error(errc::start_failed, describe(why)));
    };
    return behave(
      self, std::move(signals),
      [this](announced& m) {
        guard = std::move(m.guard);
        if (stands)
          done({});
        else
          monitor(self, guard->supervisor);
      },
      [this](const child_started&) {
        stands = true;
        if (guard)
          done({});
      });
  }
};

} // namespace

caf::expected<std::shared_ptr<tree_guard>>
begin_to_start(const tree_context_ptr& context, std::function<void(caf::error, std::shared_ptr<tree_guard>)> tell) {
  const auto starter = spawn_state<starter_state>(context->system, std::move(tell));
  auto guard = tree_guard::make(context, starter);
  if (guard)
    post(starter, announced{*guard});
  else
    send_exit(starter, caf::exit_reason::kill);
  return guard;
}

} // namespace stargate::internal
