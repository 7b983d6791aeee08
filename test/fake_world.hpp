/// @file
/// A world in which a test plays the network: it sees every attempt to connect, and says what becomes of it.
#pragma once

#include "actors/shared/environment.hpp"

#include <stargate/error.hpp>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

namespace stargate::test {

class fake_world final : public internal::environment {
public:
  struct connection {
    stargate::connection::endpoint to;
    std::shared_ptr<stargate::connection::observer> who;
    std::vector<std::string> sent;
    bool closed = false;
  };

  explicit fake_world(caf::actor_system& system) : system_{system}, real_{internal::real_environment(system)} {}

  /// Runs for every attempt to connect, on an actor of its own; unset, nothing happens until the test says so.
  std::function<void(connection&)> on_connect;
  /// Answers what the broker's administration is asked, by method and path; unset, it is as a broker that deduplicates.
  std::function<caf::expected<std::string>(std::string_view, const std::string&)> rest;
  bool threads = true;           ///< Otherwise what would block runs on the scheduler.
  std::uint64_t random_step = 0; ///< From one random number to the next, beginning with 0: the longest waits.

  [[nodiscard]] std::size_t count() const {
    const std::lock_guard guard{mutex_};
    return connections_.size();
  }
  [[nodiscard]] std::shared_ptr<connection> last() const {
    const std::lock_guard guard{mutex_};
    return connections_.empty() ? nullptr : connections_.back();
  }

  std::shared_ptr<stargate::connection::transport> make_transport(const options&) override {
    return std::make_shared<fake_transport>(*this);
  }
  admin make_admin(const options&, std::chrono::milliseconds) override {
    return admin{
      [this](std::string_view method, const std::string& path, const std::string&) -> caf::expected<std::string> {
        if (rest)
          return rest(method, path);
        if (path.ends_with("/stats"))
          return make_error(errc::not_found, "no topics here");
        return std::string{path.ends_with("deduplication") ? "true" : R"({"partitions":0})"};
      }};
  }
  std::uint64_t random() override { return random_ += random_step; } // any thread asks
  bool has_threads() const override { return threads; }
  bool may_wait() const override { return real_->may_wait(); }
  bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, clock::time_point until,
            const std::function<bool()>& done) override {
    return real_->wait(lock, changed, until, done);
  }

private:
  class fake_link final : public stargate::connection::link {
  public:
    explicit fake_link(std::shared_ptr<connection> c) : c_{std::move(c)} {}
    ~fake_link() override { fake_link::close(); }
    void send(std::vector<stargate::connection::frame> frames) override {
      for (const auto& f : frames)
        c_->sent.push_back(f->str());
    }
    void close() override {
      if (!std::exchange(c_->closed, true))
        c_->who->on_end({stargate::connection::end::closed, 0, {}});
    }

  private:
    std::shared_ptr<connection> c_;
  };

  class fake_transport final : public stargate::connection::transport {
  public:
    explicit fake_transport(fake_world& in) : in_{in} {}
    std::unique_ptr<stargate::connection::link>
    connect(stargate::connection::endpoint to, std::unique_ptr<stargate::connection::observer> observer) override {
      auto c = std::make_shared<connection>();
      c->to = std::move(to);
      c->who = std::move(observer);
      {
        const std::lock_guard guard{in_.mutex_};
        in_.connections_.push_back(c);
      }
      if (in_.on_connect)
        in_.system_.spawn([c, then = in_.on_connect](caf::event_based_actor*) { then(*c); });
      return std::make_unique<fake_link>(c);
    }
    void stop() override {}

  private:
    fake_world& in_;
  };

  caf::actor_system& system_;
  std::shared_ptr<environment> real_;
  std::atomic<std::uint64_t> random_{0};
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<connection>> connections_;
};

} // namespace stargate::test
