/// @file
/// A broker of a test's own, which may be stopped, killed and started again.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

#include <csignal>
#include <sys/types.h>

namespace stargate::integration {

/// It is stopped with the object. @par Threads one at a time
class broker_control {
public:
  explicit broker_control(std::uint16_t port) : port_{port} {}
  broker_control(const broker_control&) = delete;
  broker_control& operator=(const broker_control&) = delete;
  ~broker_control() { run("stop"); }

  std::uint16_t port() const { return port_; }
  /// Starts it empty.
  void start() { must("start --fresh"); }
  /// Starts it with what it had.
  void start_again() { must("start"); }
  /// An orderly end, in which it closes its connections.
  void stop() { must("stop"); }
  /// The end of its process, without a word.
  void kill() {
    std::ifstream file{std::string{cache()} + "/broker-" + std::to_string(port_) + "/pid"};
    pid_t pid = 0;
    file >> pid;
    if (pid <= 0 || ::kill(pid, SIGKILL) != 0)
      throw std::runtime_error{"the broker on port " + std::to_string(port_) + " cannot be killed"};
  }
  void restart() {
    stop();
    start_again();
  }

private:
  static std::string cache() {
    if (const auto* set = std::getenv("STARGATE_CACHE"))
      return set;
    const auto* xdg = std::getenv("XDG_CACHE_HOME");
    const auto* home = std::getenv("HOME");
    return (xdg != nullptr ? std::string{xdg} : std::string{home != nullptr ? home : "/var"} + "/.cache") + "/stargate";
  }
  int run(const std::string& what) const {
    const auto command = std::string{STARGATE_SOURCE_DIR} + "/scripts/broker " + what + " --port "
                         + std::to_string(port_) + " >/dev/null 2>&1";
    return std::system(command.c_str());
  }
  void must(const std::string& what) const {
    if (run(what) != 0)
      throw std::runtime_error{"scripts/broker " + what + " --port " + std::to_string(port_) + " failed"};
  }

  const std::uint16_t port_;
};

} // namespace stargate::integration
