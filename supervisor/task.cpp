// The actor that runs one task.
//
// accepts  nothing; exit messages
// sends    nothing
// dies of  its work being done; what its work throws; an exit message
#include <stargate/task.hpp>

#include "libstargate/base/scheduler.hpp"

namespace stargate {

using namespace compat;

namespace {

using internal::task_work;

struct runner_state {
  static inline const char* name = "stargate.task";
  caf::event_based_actor* const self;
  const std::shared_ptr<task_work> work;

  runner_state(caf::event_based_actor* of, std::shared_ptr<task_work> what) : self{of}, work{std::move(what)} {}

  caf::behavior make_behavior() {
    self->attach_functor([work = work](const caf::error& why) { work->fail(why); });
    work->run_by(caf::actor_cast<caf::actor>(self));
    send(self, caf::actor_cast<caf::actor>(self), deferred{[this] {
           work->run();
           self->quit();
         }});
    return behave(self, {});
  }
};

} // namespace

supervisor_options task_supervisor(task_options options) {
  child_spec spec;
  spec.id = "task";
  spec.restart = restart::temporary;
  spec.start = [own_thread = options.own_thread](const start_context& context) -> caf::expected<caf::actor> {
    const auto* work = std::any_cast<std::shared_ptr<task_work>>(&context.argument);
    if (work == nullptr)
      return make_error(errc::start_failed, "a task is begun with stargate::async");
    return own_thread ? spawn_state<runner_state, caf::detached>(context.system, *work)
                      : spawn_state<runner_state>(context.system, *work);
  };
  supervisor_options result;
  result.name = "tasks";
  result.strategy = strategy::simple_one_for_one;
  result.max_children = options.max_children;
  result.children = {std::move(spec)};
  return result;
}

namespace internal {

caf::error may_wait_for_task(const caf::actor& supervisor) {
  const auto* who = caf::actor_cast<caf::abstract_actor*>(supervisor);
  if (who == nullptr || !is_scheduler_thread(who->home_system()))
    return {};
  return make_error(errc::would_block,
                    "a task was waited for on a thread of the actor system's scheduler, which would "
                    "keep other actors from running; use task::then, or wait on a thread of your own");
}

void begin_task(const caf::actor& supervisor, std::shared_ptr<task_work> work) {
  if (supervisor)
    post(supervisor, start_dynamic_child{std::any{std::move(work)}});
}

} // namespace internal

} // namespace stargate
