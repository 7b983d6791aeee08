#include "actors/shared/environment.hpp"

#include "libstargate/base/scheduler.hpp"
#include "libstargate/connection/event_loops.hpp"

#include <stargate/error.hpp>

#include <optional>
#include <random>
#include <string>

namespace stargate::internal {

namespace {

std::optional<connection::tls_settings> tls_settings(const options& o) {
  if (o.scheme == url_scheme::ws)
    return std::nullopt;
  return connection::tls_settings{o.tls.ca_file, o.tls.certificate_file, o.tls.key_file,
                                  o.tls.dangerously_trust_any_certificate};
}

class real final : public environment {
public:
  explicit real(caf::actor_system& system) : system_{system} {}

  std::shared_ptr<connection::transport> make_transport(const options& o) override {
    if (o.event_loops > 1)
      return std::make_shared<connection::event_loops>(o.event_loops, tls_settings(o), o.gather_time);
    return connection::event_loop::start(tls_settings(o), o.gather_time);
  }
  admin make_admin(const options& o, std::chrono::milliseconds timeout) override { return admin{o, timeout}; }
  std::uint64_t random() override {
    const std::lock_guard guard{mutex_};
    return random_();
  }
  bool has_threads() const override { return true; }
  bool may_wait() const override { return !is_scheduler_thread(system_); }
  bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, clock::time_point until,
            const std::function<bool()>& done) override {
    return changed.wait_until(lock, until, done);
  }

private:
  caf::actor_system& system_;
  std::mutex mutex_;
  std::mt19937_64 random_{[] {
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32 | device();
  }()}; // guarded by mutex_
};

} // namespace

std::shared_ptr<environment> real_environment(caf::actor_system& system) {
  return std::make_shared<real>(system);
}

caf::error would_block(std::string_view call) {
  return make_error(
    errc::would_block,
    std::string{call}
      + " waits, and was called on a thread of the actor system's scheduler, or in a handler of the tree itself, "
        "which would keep the actors it waits for from running; call it from a thread of your own or a detached actor, "
        "or use the "
        "form that answers an actor or a callback");
}

} // namespace stargate::internal
