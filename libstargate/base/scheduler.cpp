#include "libstargate/base/scheduler.hpp"

#if STARGATE_CAF_1
#include <caf/logger.hpp>

#include <array>
#include <string_view>

#include <pthread.h>
#else
#include <caf/policy/work_sharing.hpp>
#include <caf/policy/work_stealing.hpp>
#include <caf/scheduler/coordinator.hpp>
#endif

#include <thread>

namespace stargate::internal {

#if STARGATE_CAF_1
// The workers are out of sight; what tells them from others is the name that CAF gives to their threads, and that they
// run an actor: a thread that an actor makes inherits the name.
bool is_scheduler_thread(caf::actor_system&) {
  std::array<char, 16> name{};
  return caf::logger::thread_local_aid() != caf::invalid_actor_id
         && pthread_getname_np(pthread_self(), name.data(), name.size()) == 0
         && std::string_view{name.data()} == "caf.worker";
}
#else
namespace {

template <class Policy>
bool has_worker(caf::actor_system& system, std::thread::id thread) {
  auto* workers = dynamic_cast<caf::scheduler::coordinator<Policy>*>(&system.scheduler());
  if (workers == nullptr)
    return false;
  for (std::size_t i = 0; i < workers->num_workers(); ++i)
    if (workers->worker_by_id(i)->get_thread().get_id() == thread)
      return true;
  return false;
}

} // namespace

bool is_scheduler_thread(caf::actor_system& system) {
  // A system makes its workers' threads, so a thread that is none of them never becomes one, not of a later system at
  // the same address either.
  thread_local const caf::actor_system* no_worker_of = nullptr;
  if (no_worker_of == &system)
    return false;
  const auto me = std::this_thread::get_id();
  if (has_worker<caf::policy::work_stealing>(system, me) || has_worker<caf::policy::work_sharing>(system, me))
    return true;
  no_worker_of = &system;
  return false;
}
#endif

} // namespace stargate::internal
