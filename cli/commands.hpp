/// @file
/// The shell commands that handle messages in `stargate run`.
#pragma once

#include <stargate/handler.hpp>

#include <sys/types.h>

#include <chrono>
#include <mutex>
#include <set>
#include <string>

namespace stargate::cli {

/// Runs shell commands, each in a process group of its own, and can end all that still run.
/// @par Threads any thread
class commands {
public:
  /// Runs a command with the message on its standard input and the rest of it in its environment, and waits for its
  /// end; for nothing that it left behind in the background. It starts with no signal blocked or ignored, and no
  /// descriptor open but the standard ones and 3, where it finds all but the payload as JSON.
  /// @param limit after it, the whole group is killed; 0 is as long as it takes
  /// @param capture gives what the command printed; otherwise that goes to this process's standard output
  /// @throws std::runtime_error when it cannot be run, ends with another status than 0, or takes longer
  std::string run(const std::string& command, const received_message& m, std::chrono::milliseconds limit, bool capture);

  /// Kills what still runs; from now on nothing is started.
  void kill_all();

private:
  std::mutex mutex_;
  std::set<pid_t> running_; // guarded by mutex_: the leaders of their groups, which nobody has waited for
  bool closed_ = false;     // guarded by mutex_
};

} // namespace stargate::cli
